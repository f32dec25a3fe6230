"""frame + colours and their weight -> the same frame, mixed in its own samples.

A mean by a weight is linear, and so is the way from RGB to samples: only what is laid over the frame is converted, the
frame itself where the mean leaves black or white behind. A sample whose weight is 0 keeps its value to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.types import F32, I64
from faceswap_core.video.colour import rgb_to_codes
from faceswap_core.video.patch import editable
from faceswap_core.video.samples import Plane, Samples

Rect = tuple[int, int, int, int]
"""x, y, width, height in px."""


def mix_rect(frame: VideoFrame, rect_xywh: Rect, draw: Callable[[Rect], tuple[F32, F32]]) -> VideoFrame:
    """Lay colours over one rectangle of a frame: ``rgb + weight * (over - rgb)``, cut to black and white, rounded.

    A chroma sample counts as equal all over its block and takes the mean of what its pixels become.

    Args:
        frame: edited in place (made writable first).
        rect_xywh: left, top, width, height in px, inside the frame.
        draw: given the rectangle widened to whole chroma blocks, which may end beyond the frame, returns what lies
            there, (h, w, 3) RGB 0..1 that may overshoot, and its weight (h, w) 0..1.

    Returns:
        The same frame.

    Raises:
        MediaError: the pixel format or colour matrix is not supported.
    """
    frame.make_writable()
    samples = editable(frame)
    to_codes = np.column_stack(rgb_to_codes(frame, samples.bits))
    x, y, width, height = _whole_blocks(rect_xywh, samples.block_wh)
    over, weight = draw((x, y, width, height))
    at = _overshooting(over)
    excess = _excess(samples, (at[0] + y, at[1] + x), over[at], weight[at], to_codes)
    keep = {block: 1 - _means(weight, *block) for block in {(1, 1), samples.block_wh}}
    for channel, view in enumerate(samples.views):
        across, down = block = samples.block_wh if channel else (1, 1)
        laid = np.asarray(cv2.transform(over, to_codes[channel : channel + 1]), np.float32)
        laid *= weight
        laid[at] -= excess[:, channel]
        part = view[y // down : (y + height) // down, x // across : (x + width) // across]
        _mix(part, _means(laid, *block), keep[block], samples)
    return frame


def _overshooting(over: F32) -> tuple[I64, I64]:
    """Rows and columns of pixels beyond black or white."""
    if over.min() >= 0 and over.max() <= 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows, columns = np.nonzero(cv2.inRange(over, (0.0,) * 3, (1.0,) * 3) == 0)
    return rows, columns


def _whole_blocks(rect_xywh: Rect, block_wh: tuple[int, int]) -> Rect:
    """The rectangle widened to whole chroma blocks."""
    (x, y, width, height), (across, down) = rect_xywh, block_wh
    left, top = x // across * across, y // down * down
    return left, top, -(-(x + width - left) // across) * across, -(-(y + height - top) // down) * down


def _excess(samples: Samples, at: tuple[I64, I64], over: F32, weight: F32, to_codes: F32) -> F32:
    """By how much the codes (K, 3) of mixed pixels lie beyond those of black and white; 0 where nothing is laid.

    Args:
        samples: of the frame.
        at: rows and columns (K,) of the pixels in the frame, or up to a block beyond it.
        over: (K, 3) RGB that is laid there.
        weight: (K,).
        to_codes: (3, 4) RGB and 1 -> codes.
    """
    found = np.empty_like(over)
    for channel, view in enumerate(samples.views):
        across, down = samples.block_wh if channel else (1, 1)
        rows, columns = (
            np.minimum(a // step, n - 1) for a, step, n in zip(at, (down, across), view.shape, strict=True)
        )
        found[:, channel] = view[rows, columns] >> samples.shift
    rgb = (found - to_codes[:, 3]) @ np.linalg.inv(to_codes[:, :3]).T
    mixed = rgb + weight[:, None] * (over - rgb)
    beyond = (mixed - np.clip(mixed, 0, 1)) * (weight > 0)[:, None]
    return np.asarray(beyond @ to_codes[:, :3].T, np.float32)


def _means(image: F32, across: int, down: int) -> F32:
    """Means over blocks of an image whose sides are multiples of theirs."""
    if (across, down) == (1, 1):
        return image
    size_wh = image.shape[1] // across, image.shape[0] // down
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.float32)


def _mix(part: Plane, laid: F32, keep: F32, samples: Samples) -> None:
    """Write ``keep * sample + laid``, rounded, into a view of samples, which the frame's edge may cut."""
    laid, keep = (image[: part.shape[0], : part.shape[1]] for image in (laid, keep))
    codes = part >> samples.shift if samples.shift else part
    kind = cv2.CV_8U if part.dtype == np.uint8 else cv2.CV_16U
    mixed = np.asarray(cv2.add(cv2.multiply(codes, keep, dtype=cv2.CV_32F), laid, dtype=kind), part.dtype)
    part[...] = mixed << samples.shift if samples.shift else mixed
