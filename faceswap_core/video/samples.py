"""frame -> its samples as 2-D views, whatever the layout; and the same samples in a wider format.

Every format is seen as three views (Y, U, V or R, G, B; luma alone for gray) with a sub-sampling, so one path serves
planar, semi-planar and packed layouts of 8 to 16 bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import is_full_range

Plane = npt.NDArray[Any]
"""(h, w) samples, uint8 or uint16."""

_PLANAR = re.compile(r"yuv[ja]?(420|422|444|440|411|410)p(\d\d?)?(le)?$")
_SUBSAMPLING = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2), "411": (4, 1), "410": (4, 4)}
_GBRP = re.compile(r"gbra?p(\d\d?)?(le)?$")
_GRAY = re.compile(r"gray(\d\d?)?(le)?$")
_PACKED = {"rgb24": (3, 0, 1, 2), "bgr24": (3, 2, 1, 0), "rgba": (4, 0, 1, 2), "bgra": (4, 2, 1, 0)}
_PACKED |= {"rgb0": _PACKED["rgba"], "bgr0": _PACKED["bgra"]}
_WITH_ALPHA = ("rgba", "bgra")
_PAIRED = {"nv12": ((2, 2), 8, 0), "nv21": ((2, 2), 8, 0), "nv16": ((2, 1), 8, 0)}
_PAIRED |= {"p010le": ((2, 2), 10, 6), "p210le": ((2, 1), 10, 6), "p016le": ((2, 2), 16, 0)}
"""Luma and interleaved chroma: sub-sampling, bits, zero bits below them."""


@dataclass(frozen=True)
class Samples:
    """Where the samples of a frame are and what they mean."""

    views: tuple[Plane, ...]
    """Writable views: Y, U, V (the latter two sub-sampled), or R, G, B, or gray alone."""
    block_wh: tuple[int, int]
    """Luma samples that share one chroma sample."""
    bits: int
    """Significant bits of a sample."""
    shift: int = 0
    """Zero bits below the significant ones (p010: 6)."""
    rgb: bool = False
    """True where the views are R, G, B."""
    alpha: Plane | None = None
    """Transparency, where the format holds one; full range."""


def describes(name: str) -> bool:
    """True for the pixel formats that `samples_of` knows."""
    return name in _PACKED or name in _PAIRED or any(p.match(name) for p in (_PLANAR, _GBRP, _GRAY))


def samples_of(frame: VideoFrame) -> Samples:
    """The samples of a frame as views into its planes.

    Raises:
        MediaError: a pixel format without a description here.
    """
    name = frame.format.name
    if match := _PLANAR.match(name):
        bits = int(match[2] or 8)
        views = tuple(_plane(frame, i, bits) for i in range(3))
        return Samples(views, _SUBSAMPLING[match[1]], bits, alpha=_fourth(frame, bits))
    if match := _GBRP.match(name):
        bits = int(match[1] or 8)
        g, b, r = (_plane(frame, i, bits) for i in range(3))
        return Samples((r, g, b), (1, 1), bits, rgb=True, alpha=_fourth(frame, bits))
    if match := _GRAY.match(name):
        bits = int(match[1] or 8)
        return Samples((_plane(frame, 0, bits),), (1, 1), bits)
    if name in _PACKED:
        step, *at = _PACKED[name]
        plane = _plane(frame, 0, 8, step=step)
        views = tuple(plane[:, i::step] for i in at)
        return Samples(views, (1, 1), 8, rgb=True, alpha=plane[:, 3::4] if name in _WITH_ALPHA else None)
    if name in _PAIRED:
        block, bits, shift = _PAIRED[name]
        y, uv = _plane(frame, 0, bits), _plane(frame, 1, bits, step=2)
        u, v = (uv[:, 1::2], uv[:, 0::2]) if name == "nv21" else (uv[:, 0::2], uv[:, 1::2])
        return Samples((y, u, v), block, bits, shift)
    raise MediaError(f"pixel format {name} cannot be edited; convert the video to yuv420p or yuv444p")


def _fourth(frame: VideoFrame, bits: int) -> Plane | None:
    return _plane(frame, 3, bits) if len(frame.planes) == 4 else None


def _plane(frame: VideoFrame, number: int, bits: int, *, step: int = 1) -> Plane:
    plane = frame.planes[number]
    dtype: npt.DTypeLike = "u1" if bits == 8 else "<u2"
    whole: Plane = np.frombuffer(memoryview(plane), dtype).reshape(plane.buffer_size // plane.line_size, -1)
    return whole[: plane.height, : plane.width * step]


def widened(frame: VideoFrame, pix_fmt: str) -> VideoFrame:
    """The same samples in a format that holds them all; nothing is interpolated, so the way back is exact.

    A chroma sample is repeated over the pixels it stood for (those of its own field, in an interlaced frame). More
    bits: limited-range codes are multiplied, full-range ones scaled to the new top.

    Args:
        frame: gray, YUV or RGB; it is left alone.
        pix_fmt: a format of the same model (gray may become YUV) with no fewer bits and no coarser chroma.

    Raises:
        MediaError: one of the formats has no description here.
    """
    given = samples_of(frame)
    out = frame.reformat(format=pix_fmt, interpolation=Interpolation.POINT, threads=1)  # times, tags, field flags
    taken = samples_of(out)
    full = is_full_range(frame)
    for number, view in enumerate(taken.views):
        if number >= len(given.views):
            view[...] = 1 << (taken.bits - 1) << taken.shift
            continue
        codes = given.views[number] >> given.shift if given.shift else given.views[number]
        chroma = number > 0 and not given.rgb
        if chroma and given.block_wh != taken.block_wh:
            codes = _spread(codes, given.block_wh, taken.block_wh, view.shape, interlaced=frame.interlaced_frame)
        _store(codes, given.bits, view, taken, full=full, chroma=chroma)
    if taken.alpha is not None and given.alpha is not None:
        _store(given.alpha, given.bits, taken.alpha, taken, full=True, chroma=False)
    return out


def _spread(
    codes: Plane, block_wh: tuple[int, int], into_wh: tuple[int, int], shape_hw: tuple[int, ...], *, interlaced: bool
) -> Plane:
    """Chroma samples repeated from one sub-sampling to a finer one."""
    across, down = block_wh[0] // into_wh[0], block_wh[1] // into_wh[1]
    if down > 1:
        rows = np.arange(shape_hw[0])
        if interlaced:  # lines alternate between two pictures: line 2n + f is the n-th of field f, before and after
            rows = np.minimum(rows // 2 // down * 2 + rows % 2, len(codes) - 1)
        else:
            rows = rows // down
        codes = codes[rows]
    return codes.repeat(across, axis=1)[:, : shape_hw[1]]


def _store(codes: Plane, bits: int, view: Plane, taken: Samples, *, full: bool, chroma: bool) -> None:
    """Write codes of ``bits`` as those of another format into one of its views."""
    more = taken.bits
    if bits == more or not full:
        np.left_shift(codes, more - bits + taken.shift, out=view, dtype=view.dtype, casting="unsafe")
        return
    top, zero = (1 << bits) - 1, (1 << (bits - 1) if chroma else 0)
    table = np.rint((np.arange(top + 1) - zero) * ((1 << more) - 1) / top) + zero * (1 << (more - bits))
    view[...] = table.clip(0, (1 << more) - 1).astype(view.dtype)[codes] << taken.shift
