"""step -> every random number of its views, so that a step's batch depends on nothing before it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from faceswap_core.models.augment import Augmentation, random_light, random_maps
from faceswap_core.models.faces import Side
from faceswap_core.types import F32, F64, I64

_BLUR_LENGTHS = (5.0, 11.0)
"""Of a blur, in pixels of a view of 64. Source: faceswap-GAN v2.2."""
_QUALITIES = (20.0, 90.0)
_MOST_STRETCH = 2.0
"""How far a face's contrast is stretched at most when its colours are matched."""


@dataclass(frozen=True)
class Draws:
    """Random numbers of N samples of one side."""

    chosen: I64
    """(N,) chips."""
    grids: F64
    """(N, 5, 5) complex; see `random_maps`, as for the next two."""
    similarity: F64
    """(N, 2) complex."""
    flips: F64
    """(N,)."""
    factors: F32
    """(N, 3) and"""
    offsets: F32
    """(N, 3): colours 0..255 * factors + offsets = colours 0..1 in the common space, matched where so drawn."""
    gains: F32
    """(N, 3) of the channels."""
    slopes: F32
    """(N, 2) of the light, natural logarithms."""
    lab: F32
    """(N, 3) shifts in L*, a*, b*."""
    lengths: F32
    """(N,) of the motion blur, in pixels of a view of 64; 0 for none."""
    angles: F32
    """(N,) radians."""
    qualities: F32
    """(N,) of the JPEG noise, 1..100; 0 for none."""

    def part(self, own: slice) -> Draws:
        """Those of some samples."""
        return Draws(*(getattr(self, f.name)[own] for f in fields(self)))


def draw_numbers(rng: np.random.Generator, side: Side, other: Side, count: int, how: Augmentation) -> Draws:
    """Draw the numbers of ``count`` samples of a side; what is switched off draws none."""
    if side.weights is None:
        chosen = rng.integers(0, len(side.chips), count)
    else:
        chosen = rng.choice(len(side.chips), count, p=side.weights)
    grids, similarity, flips = random_maps(rng, count, how)
    gains, slopes = random_light(rng, count, how)
    factors, offsets = np.tile(side.scale, (count, 1)), np.tile(side.shift, (count, 1))
    if how.color_match:
        stretch, move = _matching(rng, side, other, chosen, how.color_match)
        factors, offsets = factors * stretch, offsets * stretch + move
    none = np.zeros(count)
    return Draws(
        chosen,
        grids,
        similarity,
        flips,
        (factors / 255).astype(np.float32),
        (offsets / 255).astype(np.float32),
        gains,
        slopes,
        (rng.normal(0, how.lab, (count, 3)) if how.lab else np.zeros((count, 3))).astype(np.float32),
        (_sometimes(rng, count, how.motion_blur, _BLUR_LENGTHS) if how.motion_blur else none).astype(np.float32),
        (rng.uniform(0, np.pi, count) if how.motion_blur else none).astype(np.float32),
        (_sometimes(rng, count, how.jpeg, _QUALITIES) if how.jpeg else none).astype(np.float32),
    )


def _sometimes(rng: np.random.Generator, count: int, chance: float, between: tuple[float, float]) -> F64:
    values = rng.uniform(*between, count)
    return np.where(rng.random(count) < chance, values, 0.0)


def _matching(rng: np.random.Generator, side: Side, other: Side, chosen: I64, chance: float) -> tuple[F64, F64]:
    """Factor and offset (N, 3) that bring a face's colours part of the way to those of a random face of the other.

    Source: the random colour match of faceswap-GAN v2.2.
    """
    mean, std = (values[chosen] for values in side.colors)
    model = rng.integers(0, len(other.chips), len(chosen))
    mean_there, std_there = (values[model] for values in other.colors)
    way = rng.random(len(chosen)) * (rng.random(len(chosen)) < chance)
    stretch = np.clip(std_there / np.maximum(std, 1.0), 1 / _MOST_STRETCH, _MOST_STRETCH)
    move = mean_there - mean * stretch
    return 1 + way[:, None] * (stretch - 1), way[:, None] * move
