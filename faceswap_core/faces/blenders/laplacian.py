"""frame rectangle, patch and weight -> a blend in which coarse structure passes over more softly than fine."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32

_COARSEST = 8
"""Side, in px, below which the pyramid ends."""
_MOST_LEVELS = 6
_RISE = 4
"""The whole blend is reached where the weight is 1 / _RISE; at its edge the frame is left as it is."""


def laplacian(rect: F32, over: F32, weight: F32) -> F32:
    """Multi-band blending (Burt and Adelson 1983).

    The blend of two Laplacian pyramids under a Gaussian pyramid of the weight is linear in the two images, hence the
    rectangle plus the blended pyramid of their difference: an image laid onto itself comes back to the last bit,
    whatever its size. Bands pass over inside the mask only, so that nothing beyond it changes.

    Args:
        rect: (H, W, 3) the frame's rectangle, any range.
        over: (H, W, 3) the patch in the same range.
        weight: (H, W) 0..1.

    Returns:
        (H, W, 3).
    """
    change, soft = np.asarray(over - rect, np.float32), weight
    bands: list[F32] = []
    while min(change.shape[:2]) > _COARSEST and len(bands) < _MOST_LEVELS:
        smaller = np.asarray(cv2.pyrDown(change), np.float32)
        bands.append((change - _enlarged(smaller, change)) * _inner(soft, len(bands)))
        change, soft = smaller, np.asarray(cv2.pyrDown(soft), np.float32)
    blended: F32 = change * _inner(soft, len(bands))
    for band in reversed(bands):
        blended = _enlarged(blended, band) + band
    return np.asarray(rect + blended * np.minimum(weight * _RISE, 1)[..., None], np.float32)


def _enlarged(image: F32, like: F32) -> F32:
    return np.asarray(cv2.pyrUp(image, dstsize=like.shape[1::-1]), np.float32)


def _inner(soft: F32, level: int) -> F32:
    """Weight (H, W, 1) of a level: a blur reaches as far out as in, so that the half that lies inside is taken."""
    return soft[..., None] if level == 0 else np.maximum(2 * soft - 1, 0)[..., None]
