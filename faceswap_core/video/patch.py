"""frame + rectangle + edit -> the same frame, changed only where the edit changed it.

Every format is seen as three 2-D views of samples (Y, U, V or R, G, B) with a sub-sampling, so one
path serves planar, semi-planar and packed layouts of 8 to 16 bits. Chroma is read by repeating each
sample over its block and written as the mean of the block: exact inverses of each other, so what the
edit leaves alone keeps its colour to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import rgb_to_codes

Rgb = npt.NDArray[Any]
"""(h, w, 3), uint8 in 0..255 or float32 in [0, 1]."""
_Plane = npt.NDArray[Any]
_Floats = npt.NDArray[np.float32]

_PLANAR = re.compile(r"yuv[ja]?(420|422|444|440)p(\d\d)?(le)?$")
_SUBSAMPLING = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2)}
_GBRP = re.compile(r"gbra?p(\d\d)?(le)?$")
_PACKED = {"rgb24": (3, 0, 1, 2), "bgr24": (3, 2, 1, 0), "rgba": (4, 0, 1, 2), "bgra": (4, 2, 1, 0)}
_PACKED |= {"rgb0": _PACKED["rgba"], "bgr0": _PACKED["bgra"]}


@dataclass(frozen=True)
class Layout:
    """Where the samples of a frame are and what they mean."""

    views: tuple[_Plane, _Plane, _Plane]
    """Writable 2-D views: Y, U, V (the latter two sub-sampled) or R, G, B."""
    block_wh: tuple[int, int]
    """Luma samples that share one chroma sample."""
    bits: int
    """Significant bits of a sample."""
    shift: int = 0
    """Zero bits below the significant ones (p010: 6)."""


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
    layout = layout_of(frame)
    (bw, bh), height, width = layout.block_wh, frame.height, frame.width
    ax, ay = x0 // bw * bw, y0 // bh * bh  # outward to the chroma grid; the frame's edge may cut a block
    bx, by = min(-(-x1 // bw) * bw, width), min(-(-y1 // bh) * bh, height)
    samples = _crop(layout, ax, ay, bx, by)
    to_yuv, offset = rgb_to_codes(frame, layout.bits)
    yuv = _read(samples, layout)
    rgb = np.clip((yuv - offset) @ np.linalg.inv(to_yuv).T.astype(np.float32), 0.0, 1.0)
    inner = (slice(y0 - ay, y1 - ay), slice(x0 - ax, x1 - ax))
    changed = np.zeros(rgb.shape[:2], bool)
    changed[inner], new = _apply(edit, rgb[inner], as_float)
    rows, columns = _bounds(changed, layout.block_wh)
    edited = rgb.copy()
    edited[inner] = new
    target = np.where(changed[..., None], edited @ to_yuv.T + offset, yuv)
    _write(samples, target[rows, columns], changed[rows, columns], layout, rows.start, columns.start)
    return frame


def _clip(rect_xywh: tuple[int, int, int, int], frame: VideoFrame) -> tuple[int, int, int, int]:
    x, y, w, h = rect_xywh
    return max(0, x), max(0, y), min(frame.width, x + w), min(frame.height, y + h)


def _apply(edit: Callable[[Rgb], Rgb], rgb: _Floats, as_float: bool) -> tuple[npt.NDArray[np.bool_], _Floats]:
    """Where the edit changed a pixel, and the edited pixels in [0, 1]."""
    given: Rgb = rgb if as_float else np.rint(rgb * 255.0).astype(np.uint8)
    got = np.asarray(edit(given.copy()))
    if got.shape != given.shape:
        raise ValueError(f"edit returned shape {got.shape} for {given.shape}; return the same shape")
    changed = np.any(got != given, axis=2)
    scale = 1.0 if as_float else 1.0 / 255.0
    return changed, np.clip(got.astype(np.float32) * np.float32(scale), 0.0, 1.0)


def layout_of(frame: VideoFrame) -> Layout:
    """The samples of a frame as three views.

    Raises:
        MediaError: a pixel format without a description here.
    """
    name = frame.format.name
    if match := _PLANAR.match(name):
        bits = int(match[2] or 8)
        y, u, v = (_plane(frame, i, bits) for i in range(3))
        return Layout((y, u, v), _SUBSAMPLING[match[1]], bits)
    if match := _GBRP.match(name):
        bits = int(match[1] or 8)
        g, b, r = (_plane(frame, i, bits) for i in range(3))
        return Layout((r, g, b), (1, 1), bits)
    if name in _PACKED:
        step, *at = _PACKED[name]
        plane = _plane(frame, 0, 8, step=step)
        r, g, b = (plane[:, i::step] for i in at)
        return Layout((r, g, b), (1, 1), 8)
    if name in ("nv12", "nv21", "p010le"):
        bits = 10 if name == "p010le" else 8
        y, uv = _plane(frame, 0, bits), _plane(frame, 1, bits, step=2)
        u, v = (uv[:, 1::2], uv[:, 0::2]) if name == "nv21" else (uv[:, 0::2], uv[:, 1::2])
        return Layout((y, u, v), (2, 2), bits, shift=6 if bits == 10 else 0)
    raise MediaError(f"pixel format {name} cannot be edited; convert the video to yuv420p or yuv444p")


def _plane(frame: VideoFrame, number: int, bits: int, *, step: int = 1) -> _Plane:
    plane = frame.planes[number]
    dtype: npt.DTypeLike = "u1" if bits == 8 else "<u2"
    whole: _Plane = np.frombuffer(memoryview(plane), dtype).reshape(plane.buffer_size // plane.line_size, -1)
    return whole[: plane.height, : plane.width * step]


def _crop(layout: Layout, x0: int, y0: int, x1: int, y1: int) -> tuple[_Plane, _Plane, _Plane]:
    bw, bh = layout.block_wh
    y, u, v = layout.views
    chroma = (slice(y0 // bh, -(-y1 // bh)), slice(x0 // bw, -(-x1 // bw)))
    return y[y0:y1, x0:x1], u[chroma], v[chroma]


def _read(samples: tuple[_Plane, _Plane, _Plane], layout: Layout) -> _Floats:
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
    samples: tuple[_Plane, _Plane, _Plane],
    target: _Floats,
    changed: npt.NDArray[np.bool_],
    layout: Layout,
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
