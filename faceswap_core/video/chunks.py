"""frame index -> chunks: runs of frames that can be read alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from faceswap_core.video.keyframes import SAFE_CUTS

if TYPE_CHECKING:
    from faceswap_core.video.index import FrameIndex

NO_TIMESTAMP = int(np.iinfo(np.int64).min)
"""Stands for a missing pts or dts in integer arrays."""


@dataclass(frozen=True)
class Chunk:
    """A run of frames that can be read alone; holds all that `read_chunk` needs."""

    chunk_index: int
    """Ordinal of the chunk."""
    first_frame: int
    """frame_index of its first frame."""
    pts: tuple[int, ...]
    """Presentation times of its frames, ticks."""
    start_dts: int | None = None
    """dts of the packet to start decoding at (that packet's pts is ``pts[0]``); None = unknown."""
    start_size: int | None = None
    """Bytes of that packet; None = decode from the beginning of the file."""
    exact: bool = True
    """False where frames have no pts of their own: the whole file is one chunk, its frames counted."""
    is_last: bool = False
    """True where no frame follows this chunk."""

    @property
    def last_frame(self) -> int:
        """frame_index behind the last frame (exclusive)."""
        return self.first_frame + len(self.pts)


def plan_chunks(index: FrameIndex, chunk_frames: int) -> list[Chunk]:
    """Cut a video into runs of at least ``chunk_frames`` frames; only the last may be shorter.

    Cuts stand at keyframes after which nothing refers back (idr, open, key). A file with one keyframe
    or without times is one chunk: it can only be read from its beginning, and so is decoded once.

    Raises:
        ValueError: ``chunk_frames`` is not positive.
    """
    if chunk_frames <= 0:
        raise ValueError(f"chunk_frames ({chunk_frames}) must be > 0")
    starts = [0]
    for cut in _cuts(index):
        if cut - starts[-1] >= chunk_frames:
            starts.append(cut)
    ends = [*starts[1:], len(index)]
    return [cut_chunk(index, n, a, b) for n, (a, b) in enumerate(zip(starts, ends, strict=True))]


def _cuts(index: FrameIndex) -> list[int]:
    """Frames at which a chunk may begin: a safe key that every packet before it precedes in time too."""
    if not index.facts.exact:
        return []
    decoding = np.argsort(index.packet_order)
    latest = np.maximum.accumulate(index.pts[decoding])
    first_in_time = np.zeros(len(index), bool)
    first_in_time[decoding] = index.pts[decoding] >= latest
    safe = np.isin(index.key_class, list(SAFE_CUTS)) & first_in_time
    return [int(i) for i in np.flatnonzero(safe) if i > 0]


def cut_chunk(index: FrameIndex, number: int, first: int, last: int) -> Chunk:
    """Chunk ``number``: the frames from ``first``, one of those at which a chunk may begin, to before ``last``."""
    dts, size = int(index.packet_dts[first]), int(index.packet_size[first])
    from_start = number == 0
    return Chunk(
        chunk_index=number,
        first_frame=first,
        pts=tuple(index.pts[first:last].tolist()),
        start_dts=None if from_start or dts == NO_TIMESTAMP else dts,
        start_size=None if from_start else size,
        exact=index.facts.exact,
        is_last=last == len(index),
    )
