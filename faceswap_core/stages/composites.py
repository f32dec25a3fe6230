"""plate + patches (+ truth) -> the composites of one frame that are judged beside each other, before encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.config import BlendSettings
from faceswap_core.faces.blend import Rect, placed
from faceswap_core.manifest import Row
from faceswap_core.quality.metrics import background_leak, in_colours_of
from faceswap_core.stages.paste import Patch, lay, ready_patch
from faceswap_core.types import F32, U8
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.patch import edit_rect, editable
from faceswap_core.video.samples import Plane

Edit: TypeAlias = Callable[[VideoFrame], object]
_AROUND = 1 / 8
"""What is looked at around a patch, as a share of its size on each side."""


@dataclass(frozen=True)
class Place:
    """Where a face is judged: the patch that the swap lays there, with some of the plate around it."""

    row: Row
    """Of SMOOTHED."""
    patch: Patch
    """As the swap lays it."""
    rect: Rect
    """x, y, width, height in the frame."""
    weight: F32
    """(H, W) 0..1: by which the patch is laid over each pixel of the rectangle."""

    def cut(self, picture: U8) -> U8:
        """The rectangle (H, W, 3) of a whole picture."""
        x, y, width, height = self.rect
        return picture[y : y + height, x : x + width]


class Composite(NamedTuple):
    """One finished frame."""

    rgb: U8
    """(H, W, 3)."""
    leak: float
    """Largest change of a sample outside all patches, 8-bit code values."""


def place_of(row: Row, blend: BlendSettings, frame_wh: tuple[int, int]) -> Place | None:
    """Where a face's patch lies; None outside the frame."""
    patch = ready_patch(row, blend)
    rect = patch.rect(frame_wh)
    if rect is None:
        return None
    x, y, width, height = rect
    out_x, out_y = round(_AROUND * width), round(_AROUND * height)
    left, top = max(x - out_x, 0), max(y - out_y, 0)
    right, bottom = min(x + width + out_x, frame_wh[0]), min(y + height + out_y, frame_wh[1])
    wide = (left, top, right - left, bottom - top)
    return Place(row, patch, wide, weight_in(patch, wide))


def weight_in(patch: Patch, rect: Rect) -> F32:
    """Weight (H, W) 0..1 by which a patch is laid over the pixels of a rectangle."""
    return placed(patch.colors, patch.alpha, patch.matrix, rect)[1]


def laid(patch: Patch, blend: BlendSettings) -> Edit:
    """The edit that lays a patch into a frame."""
    return lambda frame: lay(frame, patch, blend)


def ideal(place: Place, wanted: F32) -> Edit:
    """The edit that lays the truth in a face's place by the same weight; ``wanted`` as `wanted_colours` gives it."""
    weight = place.weight[..., None]

    def mixed(pixels: F32) -> F32:
        return np.where(weight > 0, np.clip(pixels + weight * (wanted - pixels), 0, 1), pixels)

    return lambda frame: edit_rect(frame, place.rect, mixed, as_float=True)


def wanted_colours(place: Place, plate: U8, truth: U8) -> F32:
    """The truth in a face's rectangle (H, W, 3) 0..1, brought to the mean colour of the plate's face."""
    source, aim = (place.cut(picture).astype(np.float32) / np.float32(255) for picture in (plate, truth))
    return in_colours_of(aim, source, place.weight)


def composite(frame: VideoFrame, edits: list[Edit], places: list[tuple[Rect, F32]]) -> Composite:
    """The frame after some edits, as a picture; the frame itself is as before afterwards.

    Args:
        frame: the plate's frame.
        edits: what is laid into it.
        places: rectangle and weight of all that may have changed.
    """
    with _restored(frame) as before:
        for edit in edits:
            edit(frame)
        return Composite(to_rgb(frame), _leak(frame, before, places))


@contextmanager
def _restored(frame: VideoFrame) -> Iterator[list[Plane]]:
    """Give copies of a frame's samples and put them back at the end."""
    frame.make_writable()
    before = [view.copy() for view in editable(frame).views]
    try:
        yield before
    finally:
        for view, samples in zip(editable(frame).views, before, strict=True):
            view[...] = samples


def _leak(frame: VideoFrame, before: list[Plane], places: list[tuple[Rect, F32]]) -> float:
    samples = editable(frame)
    inside = np.zeros((frame.height, frame.width), np.uint8)
    for (x, y, width, height), weight in places:
        inside[y : y + height, x : x + width] |= (weight > 0).astype(np.uint8)
    largest = 0
    for number, (now, was) in enumerate(zip(samples.views, before, strict=True)):
        columns, rows = samples.block_wh if number else (1, 1)
        largest = max(largest, background_leak(now, was, _blocks(inside, columns, rows)))
    return largest / float(1 << (samples.bits - 8 + samples.shift))


def _blocks(mask: U8, columns: int, rows: int) -> U8:
    """(h, w) for blocks of pixels: 1 where any pixel of the block is inside."""
    padded = np.pad(mask, ((0, -mask.shape[0] % rows), (0, -mask.shape[1] % columns)))
    parts = [padded[row::rows, column::columns] for row in range(rows) for column in range(columns)]
    return np.asarray(np.bitwise_or.reduce(parts), np.uint8)
