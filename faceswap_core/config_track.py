"""Settings of tracking: how faces are followed, and which of them is meant."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from faceswap_core.config_branch import Branch

Pick: TypeAlias = Literal["auto", "largest", "left", "right"]
TrackId: TypeAlias = Annotated[int, Field(ge=0)]


class Choice(Branch):
    """Which of the faces in one video is meant; the first that is given decides."""

    tracks: tuple[TrackId, ...] = ()
    """Ids of its tracks."""
    reference: tuple[float, ...] = ()
    """Embedding of a picture of the person, of length 1."""
    pick: Pick = "auto"
    """``auto``: whoever is alone; ``largest``, ``left``, ``right``: of those seen together."""


class TrackSettings(Branch):
    """How detections become tracks."""

    min_iou: float = Field(default=0.3, gt=0, le=1)
    """Least overlap (intersection over union) of a face with where its motion leads it."""
    min_cosine: float = Field(default=0.35, ge=-1, le=1)
    """Least cosine of two embeddings of one person, for detectors that give embeddings."""
    start_score: float = Field(default=0.9, ge=0, le=1)
    """Score that a track must reach once, or for long nearly (its median 0.15 less); weaker faces only continue it."""
    max_gap: int = Field(default=5, ge=0, le=1000)
    """Longest gap, in frames, filled by interpolation, or to a cut along the motion."""
    max_lost: int = Field(default=30, ge=0, le=10000)
    """Frames for which a face may be hidden and still be followed, by its place and motion alone."""
    cut_threshold: float = Field(default=0.12, gt=0, le=1)
    """Mean absolute luma difference of two thumbnails, of 1, above which a shot ends; a third, where it stands out."""
    smooth_radius: int = Field(default=4, ge=0, le=60)
    """Reach of the zero-phase filter of the points, in frames to each side; 0 switches it off."""
    similarity_radius: int = Field(default=11, ge=0, le=60)
    """The same for a face's position, scale and rotation."""
