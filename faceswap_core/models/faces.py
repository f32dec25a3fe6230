"""the faces of one person, as training keeps them: decoded once, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from faceswap_core.types import F64, U8

_POSE_BIN_DEGREES = 10.0


@dataclass(frozen=True)
class Side:
    """The faces of one person."""

    chips: U8
    """(N, S, S, 6) RGB, mask, eyes, mouth, 0..255."""
    held_out: U8
    """(M, S, S, 6) the stretch of time kept from training."""
    scale: F64
    """(3,) colours * scale + shift = the common colour space."""
    shift: F64
    """(3,)."""
    weights: F64 | None = None
    """(N,) chance of each chip to be drawn; None draws all alike."""

    @cached_property
    def colors(self) -> tuple[F64, F64]:
        """Mean and deviation (N, 3) of each chip under its mask, 0..255 in the common space."""
        found = [cv2.meanStdDev(c[..., :3], mask=(c[..., 3] > 127).astype(np.uint8)) for c in self.chips]
        mean, std = (np.array([f[k].ravel() for f in found]) for k in (0, 1))
        return mean * self.scale + self.shift, std * self.scale


def pose_weights(poses: F64) -> F64:
    """Chance of each face, so that every pose that occurs is drawn alike.

    Args:
        poses: (N, 2) yaw and pitch in degrees; NaN where it is not known.

    Returns:
        (N,) summing to 1: a bin of ten degrees counts as much as any other, however many faces share it; those of no
        known pose share one.
    """
    bins = np.nan_to_num(np.floor(np.asarray(poses) / _POSE_BIN_DEGREES), nan=np.inf)
    _, inverse, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    weights: F64 = 1.0 / (counts[inverse.ravel()] * len(counts))
    return weights
