"""one chip -> the figures that faces are chosen by: exposure, light, occlusion, hash and thumbnail."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from faceswap_core.faces.diversity import THUMBNAIL
from faceswap_core.faces.geometry import apply, compose, invert, template5, template_to_chip
from faceswap_core.faces.masks import outline
from faceswap_core.types import F64, U8, Bool

SIDE = 64
"""Side of the small face, in pixels, that all is measured in, whatever the chip's size and view."""
TO_SMALL = template_to_chip(SIDE, 0.4, 1.0, 0.45)
"""Template units -> px of the small face."""
_HASHED = 32
_COARSE = 32
"""Side of the face, in pixels, that colours are judged in: pores and noise are gone there."""
_TO_COARSE = template_to_chip(_COARSE, 0.4, 1.0, 0.45)
_DARK, _BRIGHT = 8, 247
_CHROMA_MISS, _LUMA_MISS = 14.0, 0.45
"""How far a pixel may be from its face's skin: Cr and Cb of 255, and luma as a share of the face's mean."""
_AXIS = (np.arange(_COARSE) + 0.5) / (_COARSE / 2) - 1
_PLANE: F64 = np.stack([np.ones((_COARSE, _COARSE)), *np.meshgrid(_AXIS, _AXIS)], axis=-1)
"""(32, 32, 3) 1, x and y of each pixel, -1..1."""


@dataclass(frozen=True)
class Measures:
    """Figures of one face, as ``schemas.FIGURES`` describes them."""

    exposure: float
    """Mean luma, 0..1."""
    clipped: float
    """Share that is black or white."""
    light_x: float
    """Slope of luma to the right."""
    light_y: float
    """Slope of luma downwards."""
    occlusion: float
    """Share whose colour is not the face's own skin."""
    hash: int
    """64 bits."""
    thumbnail: bytes
    """24x24 luma."""


def measure(chip: U8, to_chip: F64, points: F64) -> Measures:
    """Measure one face.

    Args:
        chip: (S, S, 3) RGB.
        to_chip: (2, 3) template units -> chip px.
        points: (5, 2) of the face in template units.
    """
    small = _small(chip, to_chip)
    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    coarse = cv2.resize(small, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    face = _face(points)
    planes = np.asarray(cv2.cvtColor(coarse, cv2.COLOR_RGB2YCrCb), np.uint8)[face].astype(np.float64)  # (N, 3)
    grey, axes = planes[:, 0], _PLANE[face]
    light = _light(grey, axes)
    skin = ~_features(points)[face]
    return Measures(
        exposure=float(grey.mean() / 255),
        clipped=float(((grey <= _DARK) | (grey >= _BRIGHT)).mean()),
        light_x=float(light[1] / max(light[0], 1.0)),
        light_y=float(light[2] / max(light[0], 1.0)),
        occlusion=_occlusion(planes[skin], (axes @ light)[skin]),
        hash=perceptual_hash(luma),
        thumbnail=cv2.resize(luma, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).tobytes(),
    )


def sharpness(view: U8) -> float:
    """Variance of the Laplacian of an image (H, W, 3)."""
    return float(cv2.Laplacian(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def perceptual_hash(luma: U8) -> int:
    """64 bits of a picture (H, W): which of its 64 lowest waves, the mean left out, are above their median.

    Source: the DCT hash of Zauner 2010, section 3.2.1. Pictures that look alike differ in few bits.
    """
    reduced = cv2.resize(luma, (_HASHED, _HASHED), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = np.asarray(cv2.dct(reduced), np.float32)[:9, :9].ravel()[1:65]
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), "big")


def _small(chip: U8, to_chip: F64) -> U8:
    """The face (SIDE, SIDE, 3) at its own scale, cut from the chip."""
    to_small = compose(TO_SMALL, invert(to_chip))
    shrink = 1 / float(to_small[0, 0])
    if shrink > 1.5:
        size = max(round(chip.shape[0] / shrink), 1)
        scale = chip.shape[0] / size
        chip = np.asarray(cv2.resize(chip, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        to_small = compose(to_small, np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]]))
    small = cv2.warpAffine(chip, to_small, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(small, np.uint8)


def _filled(polygon: F64) -> U8:
    mask = np.zeros((_COARSE, _COARSE), np.uint8)
    cv2.fillConvexPoly(mask, np.round(polygon).astype(np.int32), (1,))
    return mask


def _face(points: F64) -> Bool:
    """The inner part of the face (32, 32), a little within its outline; never empty."""
    hull = apply(_TO_COARSE, outline(points))
    middle = hull.mean(0)
    mask: Bool = _filled(middle + 0.9 * (hull - middle)).astype(bool)
    return mask if np.count_nonzero(mask) > _COARSE else _MIDDLE


_MIDDLE: Bool = _filled(apply(_TO_COARSE, outline(template5()))).astype(bool)


def _features(points: F64) -> Bool:
    """Eyes with their brows, nostrils and mouth (32, 32): never of the skin's colour."""
    mask = np.zeros((_COARSE, _COARSE), np.uint8)
    unit = float(_TO_COARSE[0, 0])
    spots = np.array([points[0] - [0, 0.15], points[1] - [0, 0.15], points[2] + [0, 0.1], points[3:].mean(0)])
    reach = [(0.42, 0.33), (0.42, 0.33), (0.25, 0.15), (0.55, 0.28)]
    for (x, y), (wide, high) in zip(apply(_TO_COARSE, spots).round().astype(int).tolist(), reach, strict=True):
        cv2.ellipse(mask, (x, y), (round(wide * unit), round(high * unit)), 0, 0, 360, (1,), -1)
    return mask.astype(bool)


def _light(luma: F64, axes: F64) -> F64:
    """Level and slopes (3,) of the plane nearest to luma (N,), fitted again without what is far off it."""
    light: F64 = np.zeros(3)
    weighted = axes
    for _ in range(2):
        light = np.asarray(np.linalg.solve(weighted.T @ axes + 1e-3 * np.eye(3), weighted.T @ luma), np.float64)
        missed = np.abs(luma - axes @ light)
        weighted = axes * (missed <= 1.5 * missed.mean() + 1)[:, None]
    return light


def _occlusion(planes: F64, expected: F64) -> float:
    """Share of skin (N, 3) YCrCb that is not of its own colour: what lies before it, hair, a beard, glasses.

    Args:
        planes: Y, Cr, Cb of the pixels where there should be skin, 0..255.
        expected: (N,) luma of skin in the face's light.
    """
    if not len(planes):
        return 0.0
    off = np.abs(planes[:, 1:] - np.median(planes[:, 1:], axis=0)).max(1) > _CHROMA_MISS
    off |= np.abs(planes[:, 0] - expected) > _LUMA_MISS * np.maximum(expected, 16.0)
    return float(off.mean())
