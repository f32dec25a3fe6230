"""plate + finished chunks -> pictures of the same frames, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from faceswap_core.errors import ManifestError
from faceswap_core.stages.decode import read_frames
from faceswap_core.stages.states import finished_picture, frame_states
from faceswap_core.storage import Workspace
from faceswap_core.types import I64, U8, FileRef, ManifestRef
from faceswap_core.video.colour import to_rgb

_DEEPEST = 120
"""Frames decoded from a chunk's start to reach a picture, at most."""


def pairs(
    workspace: Workspace, plate: FileRef, frames: Sequence[ManifestRef], chunks: Sequence[ManifestRef], count: int
) -> Iterator[tuple[int, U8, U8]]:
    """frame_index of some swapped frames, spread over the plate, with the source and the finished picture of each."""
    for chunk, offset, frame_index in _spread(_reachable(workspace, chunks), count):
        own, at = _where(frames, sum(_frames(workspace, ref) for ref in chunks[:chunk]) + offset)
        found = next(islice(read_frames(workspace, plate, own), at, None), None)
        if found is None:
            continue
        after = finished_picture(workspace, chunks[chunk], offset, frame_index, found.frame)
        if after is not None:
            yield frame_index, to_rgb(found.frame), after


def _frames(workspace: Workspace, chunk: ManifestRef) -> int:
    return len(frame_states(workspace, [chunk]))


def _where(frames: Sequence[ManifestRef], position: int) -> tuple[ManifestRef, int]:
    """FRAMES that hold a decoded frame, and its place there; all may have been encoded as one chunk."""
    for ref in frames:
        if position < ref["rows"]:
            return ref, position
        position -= ref["rows"]
    raise ManifestError(f"a frame encoded is none of those decoded ({position} too many): run the same command again")


def _reachable(workspace: Workspace, chunks: Sequence[ManifestRef]) -> list[tuple[int, int, int]]:
    """Chunk, offset in it and frame_index of swapped frames near their chunk's start."""
    found = []
    for number, ref in enumerate(chunks):
        states = frame_states(workspace, [ref])
        for offset, state in enumerate(states[:_DEEPEST]):
            if state["state"] == "swapped":
                found.append((number, offset, int(state["frame_index"])))
    return found


def _spread(items: list[tuple[int, int, int]], count: int) -> list[tuple[int, int, int]]:
    positions: I64 = np.linspace(0, len(items) - 1, count + 2)[1:-1].round().astype(np.int64)
    return [items[i] for i in dict.fromkeys(positions.tolist())] if items else []
