"""frame rectangle, patch and weight -> the patch's detail on the colours of the frame around it."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32, Bool

_NEIGHBOURS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
_COARSEST = 4
"""Side, in px, at which the coarse-to-fine solution begins."""
_SWEEPS = 12
"""Jacobi sweeps a level; the start from the coarser one leaves only what is rough to them."""
_SWEEPS_AT_START = 64


def poisson(rect: F32, over: F32, weight: F32) -> F32:
    """Seamless cloning (Perez et al. 2003), solved for the difference.

    The image with the patch's gradients and the frame's values at the border is the patch plus a membrane: the
    harmonic function that equals ``rect - over`` around the mask. Nothing is centred or moved for it (a clone that
    centres the mask's box on a point is off by a pixel where the two do not agree), so that an image laid
    onto itself stays exactly as it is, for even, odd and cut-off masks alike. Where the mask meets the rectangle's
    edge, which is the frame's, the membrane ends freely.

    Args:
        rect: (H, W, 3) the frame's rectangle, any range.
        over: (H, W, 3) the patch in the same range.
        weight: (H, W) 0..1; the mask is where it is above 0.

    Returns:
        (H, W, 3).
    """
    inside = (weight > 0).astype(np.uint8)
    ring = (cv2.dilate(inside, np.ones((3, 3), np.uint8), borderValue=0) - inside).astype(bool)
    membrane = harmonic(rect - over, ring)
    return rect + weight[..., None] * (over + membrane - rect)


def harmonic(values: F32, known: Bool) -> F32:
    """The function (H, W, C) that equals ``values`` where they are known and is harmonic elsewhere; 0 if nowhere.

    Source: cascadic multigrid (Bornemann and Deuflhard 1996): the solution of half the size, enlarged, is the start
    of a few Jacobi sweeps. At the edges the derivative across is 0.
    """
    if not known.any():
        return np.zeros_like(values)
    keep = known[..., None]
    coarsest = min(known.shape) <= _COARSEST
    found = np.where(keep, values, _mean(values, keep) if coarsest else _enlarged(values, known))
    for _ in range(_SWEEPS_AT_START if coarsest else _SWEEPS):
        around = cv2.filter2D(found, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE).reshape(found.shape)
        found = np.where(keep, values, around)
    return np.asarray(found, np.float32)


def _mean(values: F32, keep: Bool) -> F32:
    return np.asarray((values * keep).sum((0, 1)) / keep.sum(), np.float32)


def _enlarged(values: F32, known: Bool) -> F32:
    """The solution of half the size at full size."""
    height, width = known.shape
    pad = ((0, height % 2), (0, width % 2))
    count = _pooled(np.pad(known, pad)[..., None].astype(np.float32))
    total = _pooled(np.asarray(np.pad(values * known[..., None], (*pad, (0, 0))), np.float32))
    half = harmonic(np.asarray(total / np.maximum(count, 1), np.float32), count[..., 0] > 0)
    full = cv2.resize(half, (half.shape[1] * 2, half.shape[0] * 2), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full.reshape(half.shape[0] * 2, half.shape[1] * 2, -1)[:height, :width], np.float32)


def _pooled(image: F32) -> F32:
    """Sums over blocks of 2 x 2."""
    height, width, channels = image.shape
    return np.asarray(image.reshape(height // 2, 2, width // 2, 2, channels).sum((1, 3)), np.float32)
