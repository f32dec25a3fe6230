"""The settings of what is measured of a swap."""

from __future__ import annotations

from pydantic import Field

from faceswap_core.config_branch import Branch


class QualitySettings(Branch):
    """How much of a swap is measured for its report."""

    frames: int = Field(default=1200, ge=0)
    """Swapped frames that are measured, spread over the plate: the first of a chunk, 24 at least, of every chunk or, in
    a long plate, of some; 0 measures none."""
    identity_heads: int = Field(default=400, ge=0, le=100_000)
    """Synthetic heads from which `faceswap evaluate` learns to tell rendered actors apart, once a workspace; 0 leaves
    that out."""
    unsmoothed_frames: int = Field(default=60, ge=0, le=10000)
    """Consecutive frames, of one shot, that are swapped once more without any steadying in time, to be compared with;
    0 leaves that out."""
