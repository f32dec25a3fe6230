"""patch + the plate's face under it -> how their colours part along the mask's border, and the field that joins them.

A shift by the mean of the whole face puts the beard, the brows or the glasses that one of both has into its cheeks, and
these end at the border in a step. What they are apart there is measured coarsely and apart from its use, so that it can
be averaged over time before a patch is changed.
"""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.faces.beyond import continued
from faceswap_core.types import F32, F64, U8

SIDE = 32
"""Side at which differences are kept and spread: what they spread to is smooth."""
_ZONE = 3 / 64
"""Standard deviation of the blur that makes the border a zone, as a share of the side."""
_NEAR, _FAR = 3 / 64, 14 / 64
"""Standard deviations, as shares of the side, of the two means by which differences are spread."""
_FAR_COUNTS, _ALL_COUNTS = 0.05, 0.002
"""Weights of the wider mean and of that of the whole border against the nearer one: for where that has nothing."""
_ODD = 16 / 255
"""Difference from what the border nearby says, of 1 a channel, at which a pixel counts a quarter."""
_PASSES = 3
_DEPTH = 6 / 64
"""Standard deviation of the blur by which the field fades towards the middle of the face, as a share of the side."""


def colors_apart(patch: U8, view: U8, shift: F64) -> F32:
    """What the plate's face is more than a patch (S, S, 4) RGBA shifted to its mean colour.

    Args:
        patch: as the network drew it; where it drew no face its skin is continued.
        view: (S, S, 3), the plate's face in the patch's own pixels.
        shift: (3,) of 255, mean colour of the plate's face less that of the patch.

    Returns:
        (32, 32, 3) of 255.
    """
    small, plate = (
        np.asarray(cv2.resize(i, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8) for i in (patch, view)
    )
    skin = continued(small[..., :3].astype(np.float32) / np.float32(255), small[..., 3])
    return np.asarray(plate - np.float32(255) * skin - shift.astype(np.float32), np.float32)


def border_field(apart: F32, weight: F32) -> F32:
    """The smooth field that a patch lacks of the plate's colours at the border of its mask; it fades inwards.

    A membrane as of a seamless clone (Perez et al. 2003), but by means (normalised convolution, Knutsson and Westin
    1993), and one in which not all of the border has a say: what differs from what the border nearby says (hair,
    background, glasses, a hand) counts the less the more it does (Geman and McClure 1987).

    Args:
        apart: (32, 32, 3) 0..1, as `colors_apart` gives it.
        weight: (S, S) 0..1, by which the patch is laid.

    Returns:
        (S, S, 3), of 1: to add to the patch; zeros where the mask has no border.
    """
    inside = (weight >= 0.5).astype(np.float32)
    ring = _small(_ring(inside) * (weight > 0))
    if not ring.any():
        return np.zeros((*weight.shape, 3), np.float32)
    field = np.asarray(np.median(apart[ring >= ring.max() / 2], axis=0), np.float32)
    for _ in range(_PASSES):
        odd = np.square(apart - field).mean(-1) / np.float32(_ODD**2)
        field = _spread(apart, ring / np.square(1 + odd))
    full = cv2.resize(field, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    depth = cv2.GaussianBlur(inside, (0, 0), _DEPTH * weight.shape[0])
    return np.asarray(full * np.clip(2 - 2 * depth, 0, 1)[..., None], np.float32)


def _ring(inside: F32) -> F32:
    """How near pixels (S, S) are to the border of a mask of zeros and ones, 0..1."""
    soft = cv2.GaussianBlur(inside, (0, 0), max(_ZONE * inside.shape[0], 0.3))
    return np.asarray(4 * soft * (1 - soft), np.float32)


def _small(image: F32) -> F32:
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _spread(values: F32, trust: F32) -> F32:
    """Means (32, 32, 3) of values (32, 32, 3) by their trust (32, 32), of those nearby where there are some."""
    weighted = np.dstack([values * trust[..., None], trust])
    near, far = (np.asarray(cv2.GaussianBlur(weighted, (0, 0), share * SIDE), np.float32) for share in (_NEAR, _FAR))
    total = near + np.float32(_FAR_COUNTS) * far + np.float32(_ALL_COUNTS) * weighted.mean((0, 1))
    return np.asarray(total[..., :3] / np.maximum(total[..., 3:], np.float32(1e-9)), np.float32)
