"""a patch and the plate's face under it -> the patch in the plate's colours.

Statistics are measured apart from their use, so that their spread can be averaged over time before a patch is changed:
contrasts that follow every single frame flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from faceswap_core.faces.border import border_field
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

    def flat(self) -> F64:
        """All numbers (FLAT_LENGTH,), as `from_flat` reads them."""
        parts = (self.mean, self.covariance, self.quantiles, self.lab_mean, self.lab_std)
        return np.concatenate([part.ravel() for part in parts])

    @classmethod
    def from_flat(cls, values: F64 | Sequence[float]) -> ColorStats:
        """The same numbers back."""
        flat = np.asarray(values, np.float64)
        mean, covariance, quantiles, lab_mean, lab_std = (flat[i:j] for i, j in pairwise(_ENDS))
        return cls(mean, covariance.reshape(3, 3), quantiles.reshape(3, LEVELS), lab_mean, lab_std)


_ENDS = (0, 3, 12, 12 + 3 * LEVELS, 15 + 3 * LEVELS, 18 + 3 * LEVELS)
FLAT_LENGTH = _ENDS[-1]
"""Numbers in `ColorStats.flat`."""


def measure_colors(image: U8, mask: U8) -> ColorStats | None:
    """Colours of an image (H, W, 3) where its mask (H, W) is 128 or more; None where that is nowhere."""
    pixels = np.take(image.reshape(-1, 3), np.flatnonzero(mask >= 128), axis=0)
    if not len(pixels):
        return None
    covariance, mean = cv2.calcCovarMatrix(pixels, None, _OF_ROWS, ctype=cv2.CV_64F)  # type: ignore[call-overload]
    lab_mean, lab_std = cv2.meanStdDev(_lab(pixels[None].astype(np.float32) / np.float32(255)))
    lab = [np.asarray(numbers, np.float64).ravel() for numbers in (lab_mean, lab_std)]
    return ColorStats(mean.ravel(), covariance, _quantiles(pixels), *lab)


_OF_ROWS = cv2.COVAR_NORMAL | cv2.COVAR_ROWS | cv2.COVAR_SCALE


def _quantiles(pixels: U8) -> F64:
    """Evenly spaced quantiles (3, LEVELS) of (N, 3) colours, straight lines between neighbours.

    The three histograms stand in one row, so that their running sums find the n-th smallest value of each at once.
    """
    count = len(pixels)
    until = np.cumsum(np.bincount((pixels + _BINS).ravel(), minlength=3 * 256))
    place = _SHARES * (count - 1)
    low = np.floor(place)
    ranks = np.stack([low, np.ceil(place)])[:, None] + count * np.arange(3)[:, None]  # (2, 3, LEVELS)
    below, above = np.searchsorted(until, ranks, side="right") - _BINS[:, None]
    return np.asarray(below + (place - low) * (above - below), np.float64)


_BINS = np.array([0, 256, 512])
_SHARES = np.linspace(0, 1, LEVELS)


def averaged(stats: Sequence[F64], weights: Sequence[float]) -> F64:
    """Weighted mean of statistics of neighbouring frames, each as `ColorStats.flat`; weights need not sum to 1."""
    shares = np.array(weights) / np.sum(weights)
    return np.asarray(np.einsum("n,nv->v", shares, np.array(stats)), np.float64)


def centred(stats: F64, image: U8, mask: U8) -> F64 | None:
    """Statistics, as `ColorStats.flat`, moved to the mean colours of an image (H, W, 3) under its mask (H, W).

    Averaged over time, a spread is steady; an averaged mean lags behind what the face does, and that flickers.

    Returns:
        The same numbers about other means; None where the mask is nowhere 128 or more.
    """
    inside = (mask >= 128).astype(np.uint8)
    if not inside.any():
        return None
    moved = stats.copy()
    moved[_ENDS[0] : _ENDS[1]] = cv2.mean(image, inside)[:3]
    moved[_ENDS[3] : _ENDS[4]] = cv2.mean(_lab(image.astype(np.float32) / np.float32(255)), inside)[:3]
    moved[_ENDS[2] : _ENDS[3]] += np.repeat(moved[:3] - stats[:3], LEVELS)
    return moved


def _lab(rgb: F32) -> F32:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


@dataclass(frozen=True)
class Look:
    """A patch beside the plate's face that it covers."""

    patch: ColorStats
    """Colours of the patch."""
    plate: ColorStats
    """Colours of the plate's face under the patch."""
    view: Callable[[], F32]
    """(S, S, 3) RGB 0..1, the plate's face in the patch's own pixels; read where a rule asks for it."""
    mask: F32
    """(S, S) 0..1, where both are compared."""
    weight: F32
    """(S, S) 0..1, by which the patch is laid over the frame."""
    apart: Callable[[], F32]
    """(32, 32, 3) 0..1, how the plate's colours differ from the patch's shifted to their mean; as `view`."""


def keep(rgb: F32, look: Look) -> F32:
    """The patch as it is."""
    return rgb


def move_mean(rgb: F32, look: Look) -> F32:
    """Shift each channel by the difference of the means."""
    return rgb + ((look.plate.mean - look.patch.mean) / 255).astype(np.float32)


def join_border(rgb: F32, look: Look) -> F32:
    """Shift each channel by the difference of the means, and towards the mask's border to the plate's skin there."""
    return move_mean(rgb, look) + border_field(look.apart(), look.weight)


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
    blurred = cv2.GaussianBlur(np.dstack([(look.view() - rgb) * weight, weight]), (0, 0), sigma)
    return np.asarray(rgb + blurred[..., :3] / np.maximum(blurred[..., 3:], _NOTHING), np.float32)


COLOR_TRANSFERS: dict[str, Callable[[F32, Look], F32]] = {
    "none": keep,
    "mean": move_mean,
    "border": join_border,
    "reinhard": reinhard,
    "histogram": match_histogram,
    "mkl": monge_kantorovitch,
    "detail": take_coarse,
}
"""Rules by the name in ``blend.color``: patch (S, S, 3) RGB 0..1 -> the same, not clipped."""
