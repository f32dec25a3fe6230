"""frame -> red, green and blue as deep as the stream: 16-bit codes or floats, never by way of 8 bits.

The arithmetic is that of ITU-T H.273 in floats. FFmpeg's scaler is asked only to spread chroma over its pixels, from
where the decoder says that its samples lie; its own step from Y, Cb, Cr to 48-bit RGB is off by up to one 8-bit code.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from faceswap_core.types import F32, U16
from faceswap_core.video.colour import EXACT, is_full_range, rgb_to_codes, to_rgb
from faceswap_core.video.patch import editable

_BAND_ROWS = 256


def to_rgb_float(frame: VideoFrame) -> F32:
    """Convert a whole frame to RGB with its own matrix and range, and keep its transfer (nothing is linearised).

    Returns:
        (H, W, 3) float32, red first, in stored orientation; 0 is black and 1 white, and what the stream holds beyond
        them is kept.

    Raises:
        MediaError: the pixel format or colour matrix is not supported.
    """
    return np.concatenate(list(_bands(frame)))


def to_rgb16(frame: VideoFrame) -> U16:
    """As `to_rgb_float`, in 16-bit codes: (H, W, 3) uint16, full range; what lies beyond black and white is cut."""
    return np.concatenate([as_codes16(band) for band in _bands(frame)])


def _bands(frame: VideoFrame) -> Iterator[F32]:
    """RGB of some rows at a time, (h, W, 3), so that floats of a large frame need little memory."""
    if frame.format.name in ("pal8", "gray"):
        yield np.asarray(to_rgb(frame).astype(np.float32) / np.float32(255))
        return
    layout = editable(frame)
    to_codes, offset = rgb_to_codes(frame, layout.bits)
    back = np.linalg.inv(to_codes.astype(np.float64))
    matrix = np.hstack([back, -back @ offset.astype(np.float64)[:, None]])
    unit = np.float32(1)
    if layout.block_wh != (1, 1):
        layout, unit = editable(_spread(frame)), np.float32(1 << (16 - layout.bits))
    for top in range(0, frame.height, _BAND_ROWS):
        rows = [view[top : top + _BAND_ROWS] >> layout.shift for view in layout.views]
        codes = np.dstack([row.astype(np.float32) for row in rows]) / unit
        yield np.asarray(cv2.transform(codes, matrix.astype(np.float32)), np.float32)


def as_codes16(image: F32) -> U16:
    """Values 0..1 of any shape -> 0..65535, rounded; values beyond are cut."""
    return np.asarray(np.rint(np.clip(image, 0, 1) * np.float32(65535)), np.uint16)


def from_codes16(codes: U16) -> F32:
    """Inverse of `as_codes16`: 0..65535 -> 0..1."""
    return np.asarray(codes / np.float32(65535), np.float32)


def bit_depth(frame: VideoFrame) -> int:
    """Significant bits of a frame's samples."""
    return int(frame.format.components[0].bits)


def _spread(frame: VideoFrame) -> VideoFrame:
    """The frame with chroma for every pixel, interpolated; its codes shifted to 16 bits."""
    same = ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG
    return frame.reformat(
        format="yuv444p16le",
        src_colorspace=Colorspace.ITU709,  # the same at both ends, whatever it is: no matrix is wanted here
        dst_colorspace=Colorspace.ITU709,
        src_color_range=same,
        dst_color_range=same,
        interpolation=int(EXACT),
        threads=1,
    )
