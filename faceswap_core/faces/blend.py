"""a patch and where it belongs -> the frame's rectangle that it covers, and the patch laid into that rectangle."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.faces.geometry import invert
from faceswap_core.types import F32, F64

_BLUR = 1.5 / 64
"""Standard deviation of the unsharp mask's blur, as a share of the patch's side."""

Rect = tuple[int, int, int, int]
"""x, y, width, height in px."""


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


def resized(matrix: F64, side: int, *, scale: float, shift_xy: tuple[float, float]) -> F64:
    """The matrix (2, 3), frame px -> patch px, of a patch that lies larger and elsewhere.

    Args:
        matrix: where the patch belongs.
        side: side of the patch in pixels.
        scale: how much larger it appears, about its centre.
        shift_xy: how far it moves to the right and down, as a share of the patch's side.
    """
    centre = (side - 1) / 2
    moved = matrix.copy()
    moved[:, 2] -= centre + side * np.array(shift_xy)
    moved /= scale
    moved[:, 2] += centre
    return moved


Box = tuple[int, int, int, int]
"""First and last column, first and last row."""


def covered_box(alpha: F32) -> Box | None:
    """The part of a patch (S, S) that shows something, with a pixel around; None where nothing does."""
    columns, rows = (np.flatnonzero(alpha.any(axis=axis)) for axis in (0, 1))
    if not columns.size:
        return None
    return int(columns[0]) - 1, int(columns[-1]) + 1, int(rows[0]) - 1, int(rows[-1]) + 1


def patch_rect(matrix: F64, side: int, frame_wh: tuple[int, int], box: Box | None = None) -> Rect | None:
    """Smallest rectangle of the frame that holds a patch; None when it lies outside.

    Args:
        matrix: (2, 3) frame px -> patch px.
        side: side of the patch in pixels.
        frame_wh: size of the frame.
        box: the part of the patch that counts; by default all of it.
    """
    left, right, top, bottom = (edge + out for edge, out in zip(box or (0, side - 1) * 2, (-0.5, 0.5) * 2, strict=True))
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    back = invert(matrix)
    points = corners @ back[:, :2].T + back[:, 2]
    low = np.maximum(np.floor(points.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 1, frame_wh)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def placed(patch_rgb: F32, alpha: F32, matrix: F64, rect: Rect) -> tuple[F32, F32]:
    """Warp a patch into the pixels of a rectangle.

    Args:
        patch_rgb: (S, S, 3).
        alpha: (S, S) 0..1.
        matrix: (2, 3) frame px -> patch px.
        rect: where the rectangle lies in the frame.

    Returns:
        (H, W, 3) colours, which repeat the patch's border beyond it, and (H, W) weight 0..1, which is 0 there.
    """
    over = _to_rect(patch_rgb, matrix, rect, cv2.INTER_CUBIC)
    moved = matrix.copy()
    moved[:, 2] += 1
    weight = _to_rect(np.pad(alpha, 1), moved, rect, cv2.INTER_LINEAR)
    return over, np.clip(weight, 0, 1)


def _to_rect(image: F32, matrix: F64, rect: Rect, interpolation: int) -> F32:
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ np.array(rect[:2], float)
    warped = cv2.warpAffine(
        image, shifted, rect[2:], flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.float32)
