"""videos -> pictures of some frames: the truth's and the encoded ones, beside the frames that are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

from faceswap_core import manifest
from faceswap_core.schemas import CHUNKS, FRAMES
from faceswap_core.stages.decode import read_frames
from faceswap_core.storage import Workspace
from faceswap_core.types import U8, FileRef, ManifestRef
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.reader import decode_linear


class Footage(TypedDict):
    """A video that was decoded."""

    video: FileRef
    """The source."""
    frames: list[ManifestRef]
    """FRAMES of every chunk, in order."""


def pictures(workspace: Workspace, footage: Footage, wanted: Sequence[int]) -> Iterator[tuple[int, U8]]:
    """frame_index and picture (H, W, 3) of the truth's frames among those wanted, in order."""
    numbers = set(wanted)
    for ref in footage["frames"]:
        own = manifest.load(workspace, ref, FRAMES, ["frame_index"]).column("frame_index").to_pylist()
        last = max((n for n in own if n in numbers), default=None)
        for frame in read_frames(workspace, footage["video"], ref) if last is not None else ():
            if frame.frame_index in numbers:
                yield frame.frame_index, to_rgb(frame.frame)
            if frame.frame_index == last:
                break


def encoded_pictures(workspace: Workspace, finished: ManifestRef, wanted: Sequence[int]) -> Iterator[tuple[int, U8]]:
    """frame_index and picture (H, W, 3) of the encoded frames among those wanted, in order."""
    numbers = set(wanted)
    for chunk in manifest.stream(workspace, finished, CHUNKS, ["path", "sha256", "states"]):
        video = workspace.localize(chunk["path"], chunk["sha256"])
        for state, frame in zip(chunk["states"], decode_linear(video), strict=False):
            if state["frame_index"] in numbers:
                yield state["frame_index"], to_rgb(frame)
            if state["frame_index"] >= wanted[-1]:
                return


class Beside:
    """Pictures of some frames, in order, to be asked for in order."""

    def __init__(self, pictures: Iterator[tuple[int, U8]]) -> None:
        """Take (frame_index, picture), frames ascending."""
        self._pictures = pictures
        self._next = next(pictures, None)

    def at(self, frame_index: int) -> U8 | None:
        """The picture of a frame; None where there is none."""
        while self._next is not None and self._next[0] < frame_index:
            self._next = next(self._pictures, None)
        return self._next[1] if self._next is not None and self._next[0] == frame_index else None
