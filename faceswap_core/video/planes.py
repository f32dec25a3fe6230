"""decoded frame -> its samples: bytes of every plane, and a luma thumbnail."""

from __future__ import annotations

from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.types import F32


def plane_bytes(frame: VideoFrame) -> Iterator[bytes]:
    """Samples of each plane, without the padding at the end of lines."""
    for number, plane in enumerate(frame.planes):
        lines = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height]
        width = min(plane.line_size, plane.width * _bytes_per_sample(frame, number))
        yield np.ascontiguousarray(lines.reshape(plane.height, plane.line_size)[:, :width]).tobytes()


def _bytes_per_sample(frame: VideoFrame, plane: int) -> int:
    """Bytes that a plane holds for each of its columns."""
    components = [c for c in frame.format.components if c.plane == plane]
    return sum((c.bits + 7) // 8 for c in components) or 1


def thumbnail(frame: VideoFrame, size_wh: tuple[int, int]) -> F32:
    """Luma of a frame reduced to ``size_wh``, float32 0..1, range as stored.

    Raises:
        MediaError: its pixels cannot be brought to grey, as with colour tags that contradict each other.
    """
    try:
        luma = frame.reformat(format="gray", threads=1) if not _has_byte_luma(frame) else frame
    except av.FFmpegError as error:
        raise MediaError(
            f"a frame in {frame.format.name} cannot be converted ({error.strerror}); the file is damaged: copy or "
            "export it again"
        ) from error
    plane = luma.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height]
    image = lines.reshape(plane.height, plane.line_size)[:, : plane.width]
    small: F32 = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    return small


def _has_byte_luma(frame: VideoFrame) -> bool:
    name = frame.format.name
    return name.startswith(("yuv", "nv1", "gray")) and frame.format.components[0].bits == 8


def cut_score(before: F32, now: F32) -> float:
    """Mean absolute difference of two luma thumbnails, 0..1."""
    return float(cv2.absdiff(before, now).mean())
