"""frame + rectangle + edit -> the same frame, changed only where the edit changed it.

Chroma is read by repeating each sample over its block and written as the mean of the block: exact inverses of each
other, so what the edit leaves alone keeps its colour to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import rgb_to_codes
from faceswap_core.video.samples import Plane, Samples, samples_of

Rgb = npt.NDArray[Any]
"""(h, w, 3), uint8 in 0..255 or float32 in [0, 1]."""
_Planes = tuple[Plane, Plane, Plane]
_Floats = npt.NDArray[np.float32]


def edit_rect(
    frame: VideoFrame,
    rect_xywh: tuple[int, int, int, int],
    edit: Callable[[Rgb], Rgb],
    *,
    as_float: bool = False,
) -> VideoFrame:
    """Edit one rectangle of a frame in RGB; every sample the edit did not change stays bit-equal.

    The rectangle is clipped to the frame; the edit sees exactly the clipped rectangle in stored
    orientation and returns an array of that shape. It is converted with the frame's own matrix and
    range (unspecified: see `colour`). A chroma sample is rewritten where any pixel of its block
    changed, luma only where the pixel itself did.

    Args:
        frame: edited in place (made writable first).
        rect_xywh: left, top, width, height in pixels.
        edit: RGB -> RGB, (h, w, 3); must not change its argument.
        as_float: hand out float32 in [0, 1] (keeps 10-bit precision) instead of uint8.

    Returns:
        The same frame.

    Raises:
        MediaError: the pixel format or colour matrix is not supported.
        ValueError: the edit returned another shape.
    """
    x0, y0, x1, y1 = _clip(rect_xywh, frame)
    if x1 <= x0 or y1 <= y0:
        return frame
    frame.make_writable()
    layout = editable(frame)
    (bw, bh), height, width = layout.block_wh, frame.height, frame.width
    ax, ay = x0 // bw * bw, y0 // bh * bh  # outward to the chroma grid; the frame's edge may cut a block
    bx, by = min(-(-x1 // bw) * bw, width), min(-(-y1 // bh) * bh, height)
    samples = _crop(layout, ax, ay, bx, by)
    to_yuv, offset = rgb_to_codes(frame, layout.bits)
    yuv = _read(samples, layout)
    rgb = np.clip(_product(yuv - offset, np.linalg.inv(to_yuv).astype(np.float32)), 0.0, 1.0)
    inner = (slice(y0 - ay, y1 - ay), slice(x0 - ax, x1 - ax))
    changed = np.zeros(rgb.shape[:2], bool)
    changed[inner], new = _apply(edit, rgb[inner], as_float)
    rows, columns = _bounds(changed, layout.block_wh)
    edited = rgb.copy()
    edited[inner] = new
    target = np.where(
        changed[rows, columns, None], _product(edited[rows, columns], to_yuv) + offset, yuv[rows, columns]
    )
    _write(samples, target, changed[rows, columns], layout, rows.start, columns.start)
    return frame


def _product(pixels: _Floats, matrix: _Floats) -> _Floats:
    """(h, w, 3) pixels, each as a column, times a (3, 3) matrix; by OpenCV, as BLAS would start threads for it."""
    return np.asarray(cv2.transform(pixels, matrix), np.float32)


def _clip(rect_xywh: tuple[int, int, int, int], frame: VideoFrame) -> tuple[int, int, int, int]:
    x, y, w, h = rect_xywh
    return max(0, x), max(0, y), min(frame.width, x + w), min(frame.height, y + h)


def _apply(edit: Callable[[Rgb], Rgb], rgb: _Floats, as_float: bool) -> tuple[npt.NDArray[np.bool_], _Floats]:
    """Where the edit changed a pixel, and the edited pixels in [0, 1]."""
    given: Rgb = rgb if as_float else np.rint(rgb * 255.0).astype(np.uint8)
    got = np.asarray(edit(given.copy()))
    if got.shape != given.shape:
        raise ValueError(f"edit returned shape {got.shape} for {given.shape}; return the same shape")
    differs = got != given
    changed = differs[..., 0] | differs[..., 1] | differs[..., 2]
    scale = 1.0 if as_float else 1.0 / 255.0
    return changed, np.clip(got.astype(np.float32) * np.float32(scale), 0.0, 1.0)


def editable(frame: VideoFrame) -> Samples:
    """The samples of a frame of three colours.

    Raises:
        MediaError: a pixel format that cannot be edited.
    """
    samples = samples_of(frame)
    if len(samples.views) != 3:
        raise MediaError(f"pixel format {frame.format.name} cannot be edited; convert the video to yuv420p or yuv444p")
    return samples


def _crop(layout: Samples, x0: int, y0: int, x1: int, y1: int) -> _Planes:
    bw, bh = layout.block_wh
    y, u, v = layout.views
    chroma = (slice(y0 // bh, -(-y1 // bh)), slice(x0 // bw, -(-x1 // bw)))
    return y[y0:y1, x0:x1], u[chroma], v[chroma]


def _read(samples: _Planes, layout: Samples) -> _Floats:
    """(h, w, 3) sample codes, chroma repeated over its blocks."""
    bw, bh = layout.block_wh
    height, width = samples[0].shape
    out = np.empty((height, width, 3), np.float32)
    for channel, view in enumerate(samples):
        codes = view >> layout.shift
        if channel and (bw, bh) != (1, 1):
            codes = codes.repeat(bh, axis=0).repeat(bw, axis=1)[:height, :width]
        out[..., channel] = codes
    return out


def _bounds(changed: npt.NDArray[np.bool_], block_wh: tuple[int, int]) -> tuple[slice, slice]:
    """Smallest rows and columns, on the chroma grid, that hold every change."""
    found: list[slice] = []
    for axis, block in ((1, block_wh[1]), (0, block_wh[0])):
        at = np.flatnonzero(changed.any(axis=axis))
        first, last = (int(at[0]), int(at[-1])) if at.size else (0, -1)
        end = min(-(-(last + 1) // block) * block, changed.shape[1 - axis])
        found.append(slice(first // block * block, end))
    return found[0], found[1]


def _write(
    samples: _Planes,
    target: _Floats,
    changed: npt.NDArray[np.bool_],
    layout: Samples,
    top: int,
    left: int,
) -> None:
    """Store the changed pixels; ``target`` and ``changed`` begin at (top, left) of the samples."""
    limit = (1 << layout.bits) - 1
    for channel, view in enumerate(samples):
        bw, bh = layout.block_wh if channel else (1, 1)
        codes, mask = _block_mean(target[..., channel], bw, bh), _block_any(changed, bw, bh)
        rows, columns = mask.shape
        part = view[top // bh : top // bh + rows, left // bw : left // bw + columns]
        part[mask] = (np.rint(codes[mask]).clip(0, limit).astype(view.dtype)) << layout.shift


def _block_mean(values: _Floats, bw: int, bh: int) -> _Floats:
    if (bw, bh) == (1, 1) or not values.size:
        return values
    padded = _pad(values, bw, bh)
    h, w = padded.shape
    return np.asarray(padded.reshape(h // bh, bh, w // bw, bw).mean(axis=(1, 3)), np.float32)


def _block_any(mask: npt.NDArray[np.bool_], bw: int, bh: int) -> npt.NDArray[np.bool_]:
    if (bw, bh) == (1, 1) or not mask.size:
        return mask
    padded = _pad(mask, bw, bh)
    h, w = padded.shape
    return np.asarray(padded.reshape(h // bh, bh, w // bw, bw).any(axis=(1, 3)))


def _pad(values: npt.NDArray[Any], bw: int, bh: int) -> npt.NDArray[Any]:
    """Repeat the last row or column where the frame's edge cuts a block."""
    h, w = values.shape
    return np.pad(values, ((0, -h % bh), (0, -w % bw)), mode="edge")
