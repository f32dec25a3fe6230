"""The settings of what happens to patches after the network drew them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from faceswap_core.config_branch import Branch


class SmoothSettings(Branch):
    """How patches are steadied in time."""

    strength: float = Field(default=1.0, ge=0, le=1)
    """Weight of neighbouring frames; 0 switches everything in this branch off."""
    detail: float = Field(default=1.0, ge=0, le=1)
    """Share of that for fine structure; the coarse one is averaged in full."""
    radius: int = Field(default=2, ge=0, le=30)
    """Reach of the filter, and of the averages of the spread of colours, in frames to each side."""
    tolerance: float = Field(default=0.04, gt=0, le=1)
    """How far, of 1, the plate's face may differ from its neighbour carried along; beyond, nothing is averaged."""
    fade: int = Field(default=2, ge=0, le=60)
    """Frames over which a face that enters or leaves within a shot is blended in or out."""


class BlendSettings(Branch):
    """How a patch is laid over the frame."""

    mode: Literal["direct", "feather", "laplacian", "poisson", "learned"] = "feather"
    """``direct``: hard edge; ``feather``: soft edge; ``laplacian``: coarse structure passes over more softly than fine;
    ``poisson``: the patch's detail on the colours around it; ``learned``: the network's own alpha."""
    color: Literal["none", "mean", "border", "reinhard", "histogram", "mkl", "detail"] = "border"
    """How the patch's colours are brought to those of the plate's face; ``border`` is ``mean``, and along the mask's
    border the plate's own skin; ``detail`` takes coarse structure from the plate."""
    mask: Literal["plate", "learned", "either", "both"] = "plate"
    """``plate``: the plate's own face mask, so that nothing of its face stays and nothing beside it is painted over;
    ``learned``: where the network drew a face; ``either``: in one of them; ``both``: in both. Beyond what the network
    drew, its skin is continued."""
    feather: float = Field(default=0.13, ge=0, le=0.5)
    """Width of the soft edge as a share of the patch's side."""
    sharpen: float = Field(default=0.6, ge=0, le=5)
    """Strength of an unsharp mask on the patch, against the softness of an average face; 0 leaves it."""
    erode: float = Field(default=0.0, ge=0, le=0.5)
    """How far the mask is drawn in on all sides, as a share of the patch's side."""
    erode_top: float = Field(default=0.0, ge=0, le=0.5)
    """How much farther it is drawn in at the top."""
    erode_bottom: float = Field(default=0.0, ge=0, le=0.5)
    """How much farther at the bottom."""
    erode_left: float = Field(default=0.0, ge=0, le=0.5)
    """How much farther at the left."""
    erode_right: float = Field(default=0.0, ge=0, le=0.5)
    """How much farther at the right."""
    scale: float = Field(default=1.0, ge=0.5, le=2)
    """Size of the face drawn, against that of the plate."""
    shift_x: float = Field(default=0.0, ge=-0.5, le=0.5)
    """How far the face is moved to the right, as a share of the patch's side."""
    shift_y: float = Field(default=0.0, ge=-0.5, le=0.5)
    """How far the face is moved down."""
    linear_light: bool = False
    """Whether patch and frame are mixed in linear light, by the stream's own transfer, and not in its code values."""
    grain: float = Field(default=0.0, ge=0, le=2)
    """Share of the plate's grain that the patch lacks which is given to it; the same noise on every run."""
    soften: float = Field(default=0.0, ge=0, le=1)
    """How far a patch sharper than the plate is softened to it, along its motion and across."""
