"""float image <-> OpenEXR bytes, by FFmpeg's own codec."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from faceswap_core.errors import EnvironmentFault, MediaError
from faceswap_core.types import F32

_CODEC = "exr"
_OPTIONS = {"compression": "zip16", "format": "float"}


def check_exr() -> None:
    """Refuse to promise EXR files where they cannot be written.

    Raises:
        EnvironmentFault: this build of PyAV has no EXR encoder.
    """
    try:
        av.codec.Codec(_CODEC, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise EnvironmentFault(
            f"PyAV {av.__version__} on this machine has no EXR encoder: install PyAV's own wheel (pip install av), "
            "or set output.format to 'png'"
        ) from error


def write_exr(image: F32) -> bytes:
    """(H, W, 3) RGB float32 -> bytes of an EXR file with channels R, G, B of 32-bit floats, losslessly compressed."""
    check_exr()
    context = CodecContext.create(_CODEC, "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base, context.thread_count = "gbrpf32le", Fraction(1, 25), 1
    context.options = _OPTIONS
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image, np.float32), "gbrpf32le")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))


def read_exr(data: bytes) -> F32:
    """Inverse of `write_exr`.

    Raises:
        MediaError: the bytes are no such file.
    """
    context = CodecContext.create(_CODEC, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    try:
        (frame,) = (*context.decode(av.Packet(data)), *context.decode(None))
        return np.asarray(frame.to_ndarray(), np.float32)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{len(data)} bytes are no EXR image ({error}): make the folder again") from error
