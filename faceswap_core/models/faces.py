"""the faces of one person, as training keeps them: decoded once, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from faceswap_core.types import F64, I64, U8

_POSE_BIN_DEGREES = 10.0


@dataclass(frozen=True)
class Chips:
    """Faces cut out. Kept in two parts, as OpenCV looks up four channels, or one, at a fraction of the cost of six."""

    colors: U8
    """(N, S, S, 4) RGB and mask, 0..255."""
    features: U8
    """(N, F, S, S) what weights the losses: eyes, mouth."""

    @classmethod
    def of(cls, chips: Sequence[U8] | U8) -> Chips:
        """Take N chips (S, S, 4 + F): RGB, mask, features."""
        if not len(chips):
            return cls(np.zeros((0, 8, 8, 4), np.uint8), np.zeros((0, 2, 8, 8), np.uint8))
        return cls(np.stack([c[..., :4] for c in chips]), np.stack([c[..., 4:].transpose(2, 0, 1) for c in chips]))

    def __len__(self) -> int:
        """How many."""
        return len(self.colors)

    @property
    def side(self) -> int:
        """Side S in pixels."""
        return int(self.colors.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.colors.nbytes + self.features.nbytes

    def joined(self, chosen: I64 | slice) -> U8:
        """Some of them, as (N, S, S, 4 + F)."""
        return np.concatenate([self.colors[chosen], np.moveaxis(self.features[chosen], 1, -1)], -1)


@dataclass(frozen=True)
class Side:
    """The faces of one person."""

    chips: Chips
    """What is trained on."""
    held_out: Chips
    """The stretch of time kept from training."""
    scale: F64
    """(3,) colours * scale + shift = the common colour space."""
    shift: F64
    """(3,)."""
    weights: F64 | None = None
    """(N,) chance of each chip to be drawn; None draws all alike."""

    @cached_property
    def colors(self) -> tuple[F64, F64]:
        """Mean and deviation (N, 3) of each chip under its mask, 0..255 in the common space."""
        found = [cv2.meanStdDev(c[..., :3], mask=(c[..., 3] > 127).astype(np.uint8)) for c in self.chips.colors]
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
