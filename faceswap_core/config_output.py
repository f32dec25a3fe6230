"""What a job writes for the user: a finished video, or files for a compositor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from faceswap_core.config_branch import Branch

LAST_NUMBER = 99_999_999
"""Largest number of a file: names hold eight digits."""


class OutputSettings(Branch):
    """What is written for the user."""

    kind: Literal["video", "patches", "image_sequence"] = "video"
    """``video``: the finished video. ``patches``: a folder with the face patches of every frame, to be laid over the
    plate in a compositor. ``image_sequence``: a folder with every finished frame."""
    video: Path | None = None
    """The finished video; needed by kind ``video``, else left alone."""
    folder: Path | None = None
    """Folder that is written, new or made by an earlier run; needed by the other kinds."""
    start_number: int | None = Field(default=None, ge=0, le=LAST_NUMBER)
    """Number of the first frame's files; by default the plate's timecode in frames, 0 where it has none."""
    format: Literal["png", "exr"] = "png"
    """Images of a sequence: 16-bit PNG, or EXR with 32-bit floats that also keeps values beyond black and white.
    Patches are always PNG."""

    @model_validator(mode="after")
    def _has_its_target(self) -> Self:
        needed = "video" if self.kind == "video" else "folder"
        if getattr(self, needed) is None:
            raise ValueError(f"output.kind {self.kind!r} needs output.{needed}: add the path to be written")
        if self.kind == "patches" and self.format != "png":
            raise ValueError(f"output.format {self.format!r} is for image sequences: patches are written as png")
        return self

    @property
    def path(self) -> Path:
        """The video or folder that is written."""
        path = self.video if self.kind == "video" else self.folder
        assert path is not None  # checked above
        return path
