"""frame rectangle + RGBA patch -> blended rectangle."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from faceswap_core.faces.geometry import invert
from faceswap_core.types import F32, F64, U8

_BLUR = 1.5 / 64
"""Standard deviation of the unsharp mask's blur, as a share of the patch's side."""

Rect = tuple[int, int, int, int]
"""x, y, width, height in px."""


def soft_alpha(alpha: U8, *, erode: float, feather: float) -> F32:
    """Alpha (S, S) 0..255 of a patch -> soft alpha 0..1 that is 0 at the patch's border.

    Args:
        alpha: the patch's own alpha.
        erode: how far the mask is drawn in, as a share of S.
        feather: width of the soft edge, as a share of S.
    """
    side = alpha.shape[0]
    inside = np.zeros((side + 2, side + 2), np.uint8)
    inside[1:-1, 1:-1] = alpha >= 128
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    width = max(feather * side, 1.0)
    t = np.clip((distance - 1 - erode * side) / width, 0, 1)
    ramp: F32 = (t * t * (3 - 2 * t)).astype(np.float32)
    return ramp


def sharpened(patch_rgb: F32, strength: float) -> F32:
    """Unsharp mask: add what a blur takes away, ``strength`` times.

    Args:
        patch_rgb: (S, S, 3) 0..1.
        strength: 0 returns the patch.

    Returns:
        (S, S, 3) 0..1.
    """
    if strength == 0:
        return patch_rgb
    blurred = cv2.GaussianBlur(patch_rgb, (0, 0), _BLUR * patch_rgb.shape[0])
    return np.asarray(np.clip(patch_rgb + strength * (patch_rgb - blurred), 0, 1), np.float32)


def patch_rect(matrix: F64, side: int, frame_wh: tuple[int, int]) -> Rect | None:
    """Smallest rectangle of the frame that holds a patch; None when it lies outside.

    Args:
        matrix: (2, 3) frame px -> patch px.
        side: side of the patch in pixels.
        frame_wh: size of the frame.
    """
    corners = np.array([[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5], [-0.5, side - 0.5]])
    back = invert(matrix)
    points = corners @ back[:, :2].T + back[:, 2]
    low = np.maximum(np.floor(points.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 1, frame_wh)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _to_rect(image: F32, matrix: F64, rect: Rect, interpolation: int) -> F32:
    """Warp a patch into the pixels of a rectangle."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ np.array(rect[:2], float)
    warped = cv2.warpAffine(
        image, shifted, rect[2:], flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.float32)


def blend_feather(rect_rgb: F32, patch_rgb: F32, alpha: F32, matrix: F64, rect: Rect) -> F32:
    """Alpha compositing: patch over rectangle.

    Args:
        rect_rgb: (H, W, 3) the frame's rectangle, any range.
        patch_rgb: (S, S, 3) in the same range.
        alpha: (S, S) 0..1, 0 at the border.
        matrix: (2, 3) frame px -> patch px.
        rect: where the rectangle lies in the frame.

    Returns:
        (H, W, 3); pixels where alpha is 0 keep their exact value.
    """
    over = _to_rect(patch_rgb, matrix, rect, cv2.INTER_CUBIC)
    padded = np.pad(alpha, 1)
    moved = matrix.copy()
    moved[:, 2] += 1
    weight = np.clip(_to_rect(padded, moved, rect, cv2.INTER_LINEAR), 0, 1)[..., None]
    return np.where(weight > 0, rect_rgb * (1 - weight) + over * weight, rect_rgb)


BLENDERS: dict[str, Callable[[F32, F32, F32, F64, Rect], F32]] = {"feather": blend_feather}
"""Blenders by the name in ``blend.mode``."""
