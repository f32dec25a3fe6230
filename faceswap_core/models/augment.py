"""chips -> pairs of (warped view, target view): one composed map a sample, interpolated once.

Source of the rule: seed 002. A 5x5 grid is disturbed and the view is drawn through it; the target is the same
view under the similarity that fits the disturbed grid best, so that only the non-rigid part has to be undone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from faceswap_core.types import F32, F64, U8

GRID = 5
_LOOK_UP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True)
class Augmentation:
    """Amounts of random change; shares are of the view's side."""

    rotation: float
    """Largest turn in degrees."""
    zoom: float
    """Largest change of size."""
    shift: float
    """Largest shift, as a share."""
    flip: float
    """Chance of a mirrored sample."""
    warp: float
    """Standard deviation of the grid's disturbance, as a share."""
    light: float
    """Spread of a random shading across the view, in natural logarithms from the centre to the edge."""
    color: float
    """Spread of a random gain of all channels, and half as much of each apart, in natural logarithms."""


def random_maps(rng: np.random.Generator, count: int, how: Augmentation) -> tuple[F64, F64, F64]:
    """Draw the random numbers of ``count`` samples.

    Returns:
        grids: (count, 5, 5) complex, disturbed positions in view units, the view spanning -1..1.
        similarity: (count, 2) complex factor and shift that fit the disturbed grid.
        flips: (count,) -1 or 1, mirroring x.
    """
    angle = np.radians(rng.uniform(-how.rotation, how.rotation, count))
    scale = 1 + rng.uniform(-how.zoom, how.zoom, count)
    shift = (rng.uniform(-how.shift, how.shift, (count, 2)) * 2) @ np.array([1, 1j])
    flips = np.where(rng.random(count) < how.flip, -1.0, 1.0)
    noise = (rng.standard_normal((count, GRID, GRID, 2)) * how.warp * 2) @ np.array([1, 1j])
    axis = np.linspace(-1, 1, GRID)
    regular = axis[None, :] + 1j * axis[:, None]
    # least squares z -> k z + t in the complex plane; the regular grid is centred, so t is the noise's mean
    k = 1 + (np.conj(regular) * noise).sum((1, 2)) / (np.abs(regular) ** 2).sum()
    turn = scale * np.exp(1j * angle)
    grids = turn[:, None, None] * (regular + noise) + shift[:, None, None]
    similarity = np.stack([turn * k, turn * noise.mean((1, 2)) + shift], axis=1)
    return grids, similarity, flips


def _interpolation(resolution: int) -> F64:
    """Matrix (R, 5): values at the grid's lines -> values at pixel centres, linear."""
    position = ((np.arange(resolution) + 0.5) / resolution) * (GRID - 1)
    low = np.minimum(position.astype(int), GRID - 2)
    weights = np.zeros((resolution, GRID))
    weights[np.arange(resolution), low] = 1 - (position - low)
    weights[np.arange(resolution), low + 1] = position - low
    return weights


def sample_pairs(
    chips: U8, rng: np.random.Generator, how: Augmentation, *, resolution: int, coverage: float
) -> tuple[F32, F32]:
    """Draw one warped view and one target view from each chip.

    Args:
        chips: (N, S, S, C) RGB, mask and whatever else lies in the chip.
        rng: source of every random number.
        how: amounts of change.
        resolution: side R of the views in pixels.
        coverage: side of the view as a share of the chip's side.

    Returns:
        (N, R, R, C) float32 0..255 inputs and targets; beyond the chip its border repeats.
    """
    count, size = len(chips), chips.shape[1]
    grids, similarity, flips = random_maps(rng, count, how)
    weights = _interpolation(resolution)
    warped = weights @ grids @ weights.T  # (N, 5, 5) -> (N, R, R)
    axis = (np.arange(resolution) + 0.5) / resolution * 2 - 1
    straight = axis[None, :] + 1j * axis[:, None]
    target = similarity[:, :1, None] * straight + similarity[:, 1:, None]
    both = np.concatenate([warped, target], axis=1)  # (N, 2R, R): one look-up draws both
    half = coverage * size / 2
    map_x = (both.real * flips[:, None, None] * half + (size - 1) / 2).astype(np.float32)
    map_y = (both.imag * half + (size - 1) / 2).astype(np.float32)
    out = np.empty((count, 2 * resolution, resolution, chips.shape[3]), np.uint8)
    for chip, x, y, view in zip(chips, map_x, map_y, out, strict=True):
        cv2.remap(chip, x, y, cv2.INTER_LINEAR, dst=view, borderMode=cv2.BORDER_REPLICATE)
    views = out.astype(np.float32)
    return views[:, :resolution], views[:, resolution:]


def random_light(rng: np.random.Generator, count: int, resolution: int, how: Augmentation) -> F32:
    """Draw gains (count, R, R, 3) that relight views: a tint, a brightness and a slope of shading.

    Input and target get the same gain, so that a decoder learns to draw light that it has not seen.
    """
    gain = rng.normal(0, how.color, (count, 1, 1, 1)) + rng.normal(0, how.color / 2, (count, 1, 1, 3))
    slope = rng.normal(0, how.light, (count, 2))
    axis = np.linspace(-1, 1, resolution)
    shading = slope[:, 0, None, None] * axis[None, None, :] + slope[:, 1, None, None] * axis[None, :, None]
    return np.exp(gain + shading[..., None]).astype(np.float32)


def plain_views(chips: U8, *, resolution: int, coverage: float) -> F32:
    """The undisturbed views (N, R, R, C) float32 0..255 of chips (N, S, S, C)."""
    size = chips.shape[1]
    scale = coverage * size / resolution
    offset = (size - 1) / 2 - scale * (resolution - 1) / 2
    matrix = np.array([[scale, 0, offset], [0, scale, offset]])
    out = np.empty((len(chips), resolution, resolution, chips.shape[3]), np.uint8)
    for chip, view in zip(chips, out, strict=True):
        cv2.warpAffine(
            chip, matrix, (resolution, resolution), dst=view, flags=_LOOK_UP, borderMode=cv2.BORDER_REPLICATE
        )
    return out.astype(np.float32)
