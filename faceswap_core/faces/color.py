"""colours under masks -> the map that brings A's colours to B's, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from faceswap_core.types import F32, F64, U8

Rule = Literal["none", "mean", "std"]


@dataclass(frozen=True)
class ColorSums:
    """Sums of colours over weighted pixels, from which mean and deviation follow."""

    total: F64
    """(3,) sum of weight * colour, colours 0..255."""
    square: F64
    """(3,) sum of weight * colour^2."""
    weight: float
    """Sum of the weights."""

    def __add__(self, other: ColorSums) -> ColorSums:
        """Sums over both sets of pixels."""
        return ColorSums(self.total + other.total, self.square + other.square, self.weight + other.weight)

    @property
    def mean(self) -> F64:
        """(3,) 0..255."""
        result: F64 = self.total / max(self.weight, 1e-9)
        return result

    @property
    def std(self) -> F64:
        """(3,) 0..255."""
        result: F64 = np.sqrt(np.maximum(self.square / max(self.weight, 1e-9) - self.mean**2, 0))
        return result


def sum_colors(image: U8, mask: U8) -> ColorSums:
    """Sums over one image (H, W, 3) under its mask (H, W) 0..255."""
    weight = mask.astype(np.float64).ravel() / 255
    colors = image.reshape(-1, 3).astype(np.float64)
    return ColorSums(weight @ colors, weight @ colors**2, float(weight.sum()))


@dataclass(frozen=True)
class ColorMap:
    """Per channel: ``out = colour * scale + shift``, colours 0..255."""

    scale: F64
    """(3,)."""
    shift: F64
    """(3,)."""

    def apply(self, image: U8 | F32) -> F32:
        """(..., 3) 0..255 -> (..., 3) float32, not clipped."""
        flat = np.ascontiguousarray(image, np.float32).reshape(-1, 1, 3)
        matrix = np.column_stack([np.diag(self.scale), self.shift]).astype(np.float32)
        return np.asarray(cv2.transform(flat, matrix), np.float32).reshape(image.shape)

    def inverse(self) -> ColorMap:
        """The map of the opposite direction."""
        return ColorMap(1 / self.scale, -self.shift / self.scale)


def color_map(rule: Rule, a: ColorSums, b: ColorSums) -> ColorMap:
    """Map that brings the colours of A to those of B.

    ``mean`` is the seeds' rule, A += mean(B) - mean(A) per channel over the whole set; ``std`` also brings the
    deviation of A to that of B (Reinhard et al. 2001, per RGB channel), at most threefold either way.
    """
    one = np.ones(3)
    if rule == "none":
        return ColorMap(one, np.zeros(3))
    if rule == "mean":
        return ColorMap(one, b.mean - a.mean)
    scale = np.clip(b.std / np.maximum(a.std, 1e-6), 1 / 3, 3)
    return ColorMap(scale, b.mean - a.mean * scale)


_MOST_MISSED = 25.0
"""Largest difference, of 255, that counts as light: a hand before the face differs by more."""
_LITTLE = 1e-3
"""Weight, as a share of the whole view's, that draws the plane to zero where a mask is nearly empty."""


def missed_light(views: F32, again: F32, masks: F32) -> F32:
    """The light of views that a drawing of them missed: what to add to another drawing from the same features.

    A network that saw little of some light draws the face in the light that it knows. How far it is off shows where
    it draws the very person it looks at; a plane (level and slope across the view) leaves out what is no light.

    Args:
        views: (N, R, R, 3) 0..255.
        again: (N, R, R, 3) 0..255, drawn of ``views``, the same person.
        masks: (N, R, R) weights, 0 where nothing is to count.

    Returns:
        (N, R, R, 3) float32: for each view and channel the plane nearest to ``views - again`` by least squares.
    """
    count, side = masks.shape[:2]
    axis = np.linspace(-1, 1, side)
    plane = np.stack([np.ones((side, side)), *np.meshgrid(axis, axis)]).reshape(3, -1).astype(np.float32)  # 1, x, y
    missed = np.clip(views - again, -_MOST_MISSED, _MOST_MISSED).reshape(count, -1, 3)
    weighted = masks.reshape(count, 1, -1) * plane  # (N, 3, R * R)
    square = weighted @ plane.T + _LITTLE * side**2 * np.eye(3)
    levels = np.linalg.solve(square, weighted @ missed).astype(np.float32)  # (N, 3, 3)
    return np.asarray(plane.T @ levels, np.float32).reshape(views.shape)
