"""frame -> RGB and back with the stream's own matrix and range.

PyAV's own defaults convert with BT.601 whatever the frame says or leave the target unsaid, which shifts
colours visibly; here both ends are always named. A frame whose matrix is unspecified is read as BT.709
if it has 720 lines or more and as BT.601 below; an unspecified range as limited (``yuvj*``: full).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from faceswap_core.errors import MediaError

LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""H.273 MatrixCoefficients -> (Kr, Kb): BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020 NCL."""
_SWSCALE = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
"""Flags of FFmpeg's scaler: its most exact arithmetic."""
_UNSPECIFIED = (2, 3)


def matrix_of(frame: VideoFrame) -> int:
    """H.273 code point of a YUV frame's matrix, with the rule above where it is unspecified.

    Raises:
        MediaError: a matrix that is no plain linear one (YCgCo, BT.2020 CL, ICtCp).
    """
    code = int(frame.colorspace)
    if code in _UNSPECIFIED or (code == 0 and not is_rgb(frame)):
        return 1 if frame.height >= 720 else 6
    if code in LUMA_WEIGHTS or code == 0:
        return code
    raise MediaError(f"colour matrix {code} (ITU-T H.273) is not supported; convert the video to BT.709 or BT.2020 NCL")


def is_full_range(frame: VideoFrame) -> bool:
    """True where sample values use the whole code range."""
    return int(frame.color_range) == 2 or frame.format.name.startswith("yuvj") or is_rgb(frame)


def is_rgb(frame: VideoFrame) -> bool:
    """True for red, green and blue samples, packed or planar."""
    return bool(frame.format.is_rgb)


def rgb_to_codes(frame: VideoFrame, bits: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(3, 3) and (3,): sample codes = matrix @ rgb + offset, for rgb in [0, 1], as ITU-T H.273 defines them.

    Args:
        frame: its matrix and range count; for red, green and blue samples the codes are R, G, B, else Y, Cb, Cr.
        bits: significant bits of a sample.

    Raises:
        MediaError: as `matrix_of`.
    """
    return _affine(0 if is_rgb(frame) else matrix_of(frame), bits, is_full_range(frame))


@cache
def _affine(code: int, bits: int, full: bool) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """`rgb_to_codes` by matrix, bits and range; 0 is that of red, green and blue samples."""
    top = float((1 << bits) - 1)
    unit = float(1 << (bits - 8))
    if code == 0:
        return np.eye(3, dtype=np.float32) * np.float32(top), np.zeros(3, np.float32)
    kr, kb = LUMA_WEIGHTS[code]
    luma = np.array([kr, 1 - kr - kb, kb])
    blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
    red = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
    scale = np.array([top, top, top] if full else [219 * unit, 224 * unit, 224 * unit])
    offset = np.array([0 if full else 16 * unit, 128 * unit, 128 * unit])
    return (np.stack([luma, blue, red]) * scale[:, None]).astype(np.float32), offset.astype(np.float32)


def to_rgb(frame: VideoFrame, *, exact: bool = True) -> npt.NDArray[np.uint8]:
    """Convert a whole frame to RGB with its own matrix and range (unspecified: see the module).

    Args:
        frame: any frame.
        exact: False takes FFmpeg's quick conversion, for looking only: an eighth of the time, about 1 of 255 darker,
            and the chroma of a pixel is that of its pair.

    Returns:
        (H, W, 3) uint8, red first, full range, in stored orientation (the display matrix is not applied).
    """
    if is_rgb(frame) or frame.format.name in ("pal8", "gray"):
        return _array(frame.reformat(format="rgb24", threads=1))
    converted = frame.reformat(
        format="rgb24",
        src_colorspace=_SWSCALE[matrix_of(frame)],
        src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=int(EXACT if exact else Interpolation.BILINEAR),
        threads=1,
    )
    return _array(converted)


def _array(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(frame.to_ndarray(), dtype=np.uint8)


def from_rgb(rgb: npt.NDArray[np.uint8], pix_fmt: str, *, matrix: int = 1, full_range: bool = False) -> VideoFrame:
    """Make a frame of ``pix_fmt`` from RGB and tag it with matrix and range.

    Args:
        rgb: (H, W, 3) uint8.
        pix_fmt: FFmpeg pixel format; an RGB one is stored unconverted.
        matrix: H.273 code point of the target.
        full_range: whether the target uses the whole code range.
    """
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
    return convert(frame, pix_fmt, matrix=matrix, full_range=full_range)


def convert(
    frame: VideoFrame, pix_fmt: str, *, matrix: int | None = None, full_range: bool | None = None
) -> VideoFrame:
    """Change a frame's pixel format; its pts and time base stay.

    Args:
        frame: any frame.
        pix_fmt: FFmpeg name of the target format.
        matrix: H.273 code point of the target; None = the frame's own (see `matrix_of`; RGB: BT.709).
        full_range: range of the target; None = the frame's own (RGB: limited).
    """
    source_is_rgb = is_rgb(frame)
    source_full = is_full_range(frame)
    target = (1 if source_is_rgb else matrix_of(frame)) if matrix is None else matrix
    full = (source_full and not source_is_rgb) if full_range is None else full_range
    full = full or pix_fmt.startswith(("yuvj", "rgb", "bgr", "gbr"))
    converted = frame.reformat(
        format=pix_fmt,
        src_colorspace=None if source_is_rgb else _SWSCALE[matrix_of(frame)],
        dst_colorspace=_SWSCALE.get(target, Colorspace.ITU709),
        src_color_range=ColorRange.JPEG if source_full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        interpolation=int(EXACT),
        threads=1,
    )
    converted.pts = frame.pts
    if frame.time_base is not None:
        converted.time_base = frame.time_base
    return converted
