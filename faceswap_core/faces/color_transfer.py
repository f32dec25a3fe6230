"""a patch and the plate's face under it -> the patch in the plate's colours.

Statistics are measured apart from their use, so that they can be averaged over time before a patch is changed:
colours that follow every single frame flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceswap_core.types import F32, F64, U8

LEVELS = 17
"""Evenly spaced quantiles kept of each channel, from the smallest to the largest value."""
_COARSE = 1 / 8
"""Standard deviation of the blur that parts coarse from fine in `detail`, as a share of the side."""
_NOTHING = 1e-6
_STEADYING = 4.0 * np.eye(3)
"""Added to covariances: a direction in which colours hardly differ would be stretched at random."""


@dataclass(frozen=True)
class ColorStats:
    """Colours of one face under its mask; RGB 0..255."""

    mean: F64
    """(3,)."""
    covariance: F64
    """(3, 3)."""
    quantiles: F64
    """(3, LEVELS) of each channel."""
    lab_mean: F64
    """(3,) CIE L*a*b*."""
    lab_std: F64
    """(3,)."""

    def flat(self) -> list[float]:
        """All numbers, as `from_flat` reads them."""
        parts = (self.mean, self.covariance, self.quantiles, self.lab_mean, self.lab_std)
        return [float(value) for part in parts for value in part.ravel()]

    @classmethod
    def from_flat(cls, values: Sequence[float]) -> ColorStats:
        """The same numbers back."""
        shapes = ((3,), (3, 3), (3, LEVELS), (3,), (3,))
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        parts = np.split(np.asarray(values, np.float64), ends)
        return cls(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


FLAT_LENGTH = 3 + 9 + 3 * LEVELS + 6
"""Numbers in `ColorStats.flat`."""


def measure_colors(image: U8, mask: U8) -> ColorStats | None:
    """Colours of an image (H, W, 3) where its mask (H, W) is 128 or more; None where that is nowhere."""
    pixels = image[mask >= 128]
    if not len(pixels):
        return None
    rgb, lab = pixels.astype(np.float64), _lab(pixels[None].astype(np.float32) / np.float32(255))[0]
    return ColorStats(
        mean=rgb.mean(0),
        covariance=np.cov(rgb, rowvar=False, bias=True),
        quantiles=np.quantile(rgb, np.linspace(0, 1, LEVELS), axis=0).T,
        lab_mean=lab.mean(0, dtype=np.float64),
        lab_std=lab.std(0, dtype=np.float64),
    )


def averaged(stats: Sequence[ColorStats], weights: Sequence[float]) -> ColorStats:
    """Weighted mean of statistics of neighbouring frames; weights need not sum to 1."""
    table = np.array([one.flat() for one in stats])
    return ColorStats.from_flat((np.asarray(weights) @ table / np.sum(weights)).tolist())


def _lab(rgb: F32) -> F32:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


@dataclass(frozen=True)
class Look:
    """A patch beside the plate's face that it covers."""

    patch: ColorStats
    """Colours of the patch."""
    plate: ColorStats
    """Colours of the plate's face under the patch."""
    view: F32
    """(S, S, 3) RGB 0..1, the plate's face in the patch's own pixels."""
    mask: F32
    """(S, S) 0..1, where both are compared."""


def keep(rgb: F32, look: Look) -> F32:
    """The patch as it is."""
    return rgb


def move_mean(rgb: F32, look: Look) -> F32:
    """Shift each channel by the difference of the means."""
    return rgb + ((look.plate.mean - look.patch.mean) / 255).astype(np.float32)


def reinhard(rgb: F32, look: Look) -> F32:
    """Bring mean and deviation of L*, a* and b* to the plate's (Reinhard et al. 2001, in CIE L*a*b*)."""
    scale = _ratio(look.plate.lab_std, look.patch.lab_std)
    lab = (_lab(np.clip(rgb, 0, 1)) - look.patch.lab_mean) * scale + look.plate.lab_mean
    return np.asarray(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), np.float32)


def match_histogram(rgb: F32, look: Look) -> F32:
    """Send each channel's quantiles to the plate's; between them straight lines."""
    out = np.empty_like(rgb)
    for channel in range(3):
        here, there = look.patch.quantiles[channel] / 255, look.plate.quantiles[channel] / 255
        steps = here + np.arange(LEVELS) * _NOTHING  # equal quantiles stay in order
        out[..., channel] = np.interp(rgb[..., channel], steps, there)
    return out


def monge_kantorovitch(rgb: F32, look: Look) -> F32:
    """The linear map of least change between both colour distributions (Pitie and Kokaram 2007).

    With the covariances P of the patch and T of the plate it is P^-1/2 (P^1/2 T P^1/2)^1/2 P^-1/2.
    """
    root, inverse = _roots(look.patch.covariance + _STEADYING)
    middle, _ = _roots(root @ (look.plate.covariance + _STEADYING) @ root)
    turn = (inverse @ middle @ inverse).astype(np.float32)
    moved = cv2.transform(rgb - (look.patch.mean / 255).astype(np.float32), turn)
    return np.asarray(moved + (look.plate.mean / 255).astype(np.float32), np.float32)


def _roots(matrix: F64) -> tuple[F64, F64]:
    """Root of a symmetric matrix, and the root's inverse."""
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, _NOTHING))
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T


def _ratio(wanted: F64, had: F64) -> F64:
    """wanted / had, at most threefold either way."""
    ratio: F64 = np.clip(wanted / np.maximum(had, _NOTHING), 1 / 3, 3)
    return ratio


def take_coarse(rgb: F32, look: Look) -> F32:
    """The coarse structure (light and complexion) of the plate, the fine one of the patch."""
    weight = (look.mask + np.float32(_NOTHING))[..., None]
    sigma = _COARSE * rgb.shape[0]
    blurred = cv2.GaussianBlur(np.dstack([(look.view - rgb) * weight, weight]), (0, 0), sigma)
    return np.asarray(rgb + blurred[..., :3] / np.maximum(blurred[..., 3:], _NOTHING), np.float32)


COLOR_TRANSFERS: dict[str, Callable[[F32, Look], F32]] = {
    "none": keep,
    "mean": move_mean,
    "reinhard": reinhard,
    "histogram": match_histogram,
    "mkl": monge_kantorovitch,
    "detail": take_coarse,
}
"""Rules by the name in ``blend.color``: patch (S, S, 3) RGB 0..1 -> the same, not clipped."""
