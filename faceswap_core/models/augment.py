"""chips -> pairs of (warped view, target view): one composed map a sample, interpolated once.

Source of the rule: seed 002. A 5x5 grid is disturbed and the view is drawn through it; the target is the same
view under the similarity that fits the disturbed grid best, so that only the non-rigid part has to be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from faceswap_core.models.faces import Chips
from faceswap_core.types import F32, F64, I64, U8

GRID = 5
C128: TypeAlias = npt.NDArray[np.complex128]
LOOK_UP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
"""Flags of OpenCV by which a matrix says where each pixel comes from."""


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
    crop: float = 0.0
    """Largest share of the side that is cut off, the rest enlarged to the whole view."""
    lab: float = 0.0
    """Spread of a random shift of L*, a* and b*."""
    color_match: float = 0.0
    """Chance that a face is given, part of the way, the colours of a face of the other person."""
    motion_blur: float = 0.0
    """Chance of a blur along a line."""
    jpeg: float = 0.0
    """Chance that the input is compressed."""


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
    if how.crop:
        left = 1 - rng.uniform(0, how.crop, count)
        scale = scale * left
        shift = shift + (rng.uniform(-1, 1, (count, 2)) * (1 - left)[:, None]) @ np.array([1, 1j])
    regular = _regular()
    # least squares z -> k z + t in the complex plane; the regular grid is centred, so t is the noise's mean
    k = 1 + (np.conj(regular) * noise).sum((1, 2)) / (np.abs(regular) ** 2).sum()
    turn = scale * np.exp(1j * angle)
    grids = turn[:, None, None] * (regular + noise) + shift[:, None, None]
    similarity = np.stack([turn * k, turn * noise.mean((1, 2)) + shift], axis=1)
    return grids, similarity, flips


@cache
def _interpolation(resolution: int) -> F32:
    """Matrix (R, 5): values at the grid's lines -> values at pixel centres, linear."""
    position = ((np.arange(resolution) + 0.5) / resolution) * (GRID - 1)
    low = np.minimum(position.astype(int), GRID - 2)
    weights = np.zeros((resolution, GRID), np.float32)
    weights[np.arange(resolution), low] = 1 - (position - low)
    weights[np.arange(resolution), low + 1] = position - low
    return weights


def chip_grids(maps: tuple[F64, F64, F64], *, size: int, coverage: float) -> F32:
    """Where the grid's points of both views lie in the chip.

    Args:
        maps: what `random_maps` drew for N samples.
        size: side of the chips in pixels.
        coverage: side of the view as a share of the chip's side.

    Returns:
        (N, 2, 2, 5, 5) chip pixels, centres at whole numbers: x and y; warped view and target; rows; columns.
        A similarity is linear, so that the target's grid says it all.
    """
    grids, similarity, flips = maps
    target = similarity[:, :1, None] * _regular() + similarity[:, 1:, None]
    both = np.stack([grids, target], axis=1) * (coverage * size / 2)
    found = np.stack([both.real * flips[:, None, None, None], both.imag], axis=1)
    return (found + (size - 1) / 2).astype(np.float32)


def pixel_maps(grids: F32, resolution: int) -> F32:
    """Grids (N, 2, 2, 5, 5) -> chip pixel of every pixel, (N, 2, 2R, R): x and y; the target's rows beneath."""
    weights = _interpolation(resolution)
    rows = (grids.reshape(-1, GRID) @ weights.T).reshape(len(grids), 2, 2, GRID, resolution)
    maps: F32 = np.matmul(weights, rows)
    return maps.reshape(len(grids), 2, 2 * resolution, resolution)


def _regular() -> C128:
    axis = np.linspace(-1, 1, GRID)
    regular: C128 = axis[None, :] + 1j * axis[:, None]
    return regular


def sample_pairs(chips: Chips, chosen: I64, grids: F32, resolution: int) -> tuple[U8, U8]:
    """Draw one warped view and one target view from each chosen chip, both by one look-up.

    Args:
        chips: M of them.
        chosen: (N,) which of them.
        grids: (N, 2, 2, 5, 5) of `chip_grids`.
        resolution: side R of the views in pixels.

    Returns:
        RGB and mask (N, 2R, R, 4), the warped view above the target, and the target's features (N, F, R, R); beyond
        the chip its border repeats.
    """
    colors = np.empty((len(chosen), 2 * resolution, resolution, 4), np.uint8)
    features = np.empty((len(chosen), chips.features.shape[1], resolution, resolution), np.uint8)
    maps = pixel_maps(grids, resolution)
    for number, (x, y), view, planes in zip(chosen, maps, colors, features, strict=True):
        cv2.remap(chips.colors[number], x, y, cv2.INTER_LINEAR, dst=view, borderMode=cv2.BORDER_REPLICATE)
        x, y = x[resolution:], y[resolution:]
        for plane, drawn in zip(chips.features[number], planes, strict=True):
            cv2.remap(plane, x, y, cv2.INTER_LINEAR, dst=drawn, borderMode=cv2.BORDER_REPLICATE)
    return colors, features


def sample_pairs_on(
    chips: tuple[Tensor, Tensor], chosen: Tensor, grids: Tensor, resolution: int
) -> tuple[Tensor, Tensor]:
    """The same by `grid_sample`, on the device where the chips lie.

    Args:
        chips: colours (M, S, S, 4) and features (M, F, S, S), uint8.
        chosen: (N,) which of them.
        grids: (N, 2, 2, 5, 5) of `chip_grids`.
        resolution: side R of the views in pixels.

    Returns:
        (N, 4, 2R, R) and (N, F, R, R), float32 0..255.
    """
    weights = torch.from_numpy(_interpolation(resolution)).to(grids.device)
    maps = (weights @ (grids @ weights.T)).flatten(2, 3).movedim(1, -1)  # (N, 2R, R, 2)
    places = maps * (2 / (chips[0].shape[1] - 1)) - 1
    colors, features = chips[0][chosen].permute(0, 3, 1, 2).float(), chips[1][chosen].float()
    return _looked_up(colors, places), _looked_up(features, places[:, resolution:])


def _looked_up(images: Tensor, places: Tensor) -> Tensor:
    return functional.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=True)


def random_light(rng: np.random.Generator, count: int, how: Augmentation) -> tuple[F32, F32]:
    """Draw how views are relit: a tint and brightness, and a slope of shading.

    Input and target get the same light, so that a decoder learns to draw light that it has not seen.

    Returns:
        gains (count, 3) of the channels, and slopes (count, 2) along x and y, natural logarithms from the view's
        centre to its edge.
    """
    gain = rng.normal(0, how.color, (count, 1)) + rng.normal(0, how.color / 2, (count, 3))
    slope = rng.normal(0, how.light, (count, 2))
    return np.exp(gain).astype(np.float32), slope.astype(np.float32)


def plain_views(chips: U8, *, resolution: int, coverage: float) -> F32:
    """The undisturbed views (N, R, R, C) float32 0..255 of chips (N, S, S, C)."""
    size = chips.shape[1]
    scale = coverage * size / resolution
    offset = (size - 1) / 2 - scale * (resolution - 1) / 2
    matrix = np.array([[scale, 0, offset], [0, scale, offset]])
    out = np.empty((len(chips), resolution, resolution, chips.shape[3]), np.uint8)
    for chip, view in zip(chips, out, strict=True):
        cv2.warpAffine(chip, matrix, (resolution, resolution), dst=view, flags=LOOK_UP, borderMode=cv2.BORDER_REPLICATE)
    return out.astype(np.float32)
