"""video -> frame index: exact times of every frame and the places where decoding can start."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError
from faceswap_core.video.chunks import NO_TIMESTAMP, Chunk, plan_chunks
from faceswap_core.video.container import open_input, pick_video, read_only
from faceswap_core.video.facts import StreamFacts, gather_facts
from faceswap_core.video.keyframes import key_class

__all__ = ["Chunk", "FrameIndex", "build_index", "frame_seconds", "open_input", "plan_chunks"]

_VideoPacket: TypeAlias = "av.Packet[VideoStream]"
_PROBE_PACKETS = 500
"""Packets after which a stream without a decodable frame is given up."""


@dataclass(frozen=True)
class FrameIndex:
    """Every shown frame of a video, in presentation order; all arrays have shape (N,)."""

    facts: StreamFacts
    """Facts of the stream."""
    pts: npt.NDArray[np.int64]
    """Presentation times, ticks of ``facts.time_base``, strictly increasing."""
    duration: npt.NDArray[np.int64]
    """Ticks each frame is shown; from pts differences where the file does not say."""
    key_class: npt.NDArray[np.str_]
    """'' | idr | open | gradual | key, see `keyframes`."""
    packet_dts: npt.NDArray[np.int64]
    """Decoding time of the frame's packet; `NO_TIMESTAMP` where absent."""
    packet_size: npt.NDArray[np.int64]
    """Bytes of the frame's packet."""
    packet_order: npt.NDArray[np.int64]
    """Ordinal of the frame's packet in the file (decoding order)."""

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.pts)


def _nothing() -> None:
    pass


def build_index(path: str | Path, *, alive: Callable[[], None] = _nothing) -> FrameIndex:
    """Index a video by reading its packets; only the first frame is decoded.

    Packets that an edit list hides are left out, and so are frames before the first keyframe of a
    recording that was cut in the middle (no decoder shows them; ``facts.why`` counts them). A file
    whose frames lack a pts of their own (raw H.264, B-frames in AVI, damaged streams) is decoded once to
    count them, gets made-up increasing times and ``facts.exact`` False.

    Args:
        path: the video.
        alive: called for every packet read, so that a caller knows that the work goes on.

    Raises:
        MediaError: the file is unreadable, has no video stream, or no frame of it can be decoded.
    """
    with open_input(path) as container:
        facts, first_pts, rest = _probe(container, path)
        if not facts.exact:
            return _counted_index(path, facts, alive)
        extradata = container.streams[facts.stream_index].codec_context.extradata
        packets, stop = _scan(rest, facts.codec, extradata, alive)
    if not len(packets.pts):
        raise MediaError(f"{path}: the video stream holds no packets ({stop or 'empty'}); export it again")
    if stop:
        facts = facts.limited(stop, exact=True)
    if (packets.pts == NO_TIMESTAMP).any():
        return _counted_index(path, facts.limited("frames without pts", exact=False), alive)
    order = np.argsort(packets.pts, kind="stable")
    early = int(np.searchsorted(packets.pts[order], NO_TIMESTAMP if first_pts is None else first_pts))
    if early:
        facts = facts.limited(f"{early} frames before the first decodable keyframe left out", exact=True)
    order = order[early:]
    if not len(order):
        raise MediaError(f"{path}: no packet belongs to a frame that decodes; the file is damaged: export it again")
    pts = packets.pts[order]
    if (np.diff(pts) == 0).any():
        return _counted_index(path, facts.limited("several frames share one pts", exact=False), alive)
    return FrameIndex(
        facts=facts,
        pts=pts,
        duration=_fill_durations(packets.duration[order], pts, _ticks_per_frame(facts)),
        key_class=packets.key_class[order],
        packet_dts=packets.dts[order],
        packet_size=packets.size[order],
        packet_order=packets.order[order],
    )


def _probe(container: InputContainer, path: str | Path) -> tuple[StreamFacts, int | None, Iterator[_VideoPacket]]:
    """Facts of the stream, the pts of the first frame that decodes, and the packets from the very first on."""
    stream = pick_video(container, path)
    read_only(container, stream)
    packets = container.demux(stream)
    head: list[_VideoPacket] = []
    first = _first_frame(_kept(packets, head), path)
    facts = gather_facts(container, stream, first)
    if facts.container == "avi" and facts.codec in ("h264", "hevc") and stream.codec_context.has_b_frames:
        facts = facts.limited("AVI holds no presentation times of reordered frames", exact=False)
    return facts, first.pts, chain(head, packets)


def _kept(packets: Iterator[_VideoPacket], head: list[_VideoPacket]) -> Iterator[_VideoPacket]:
    for packet in packets:
        head.append(packet)
        yield packet


def _first_frame(packets: Iterator[_VideoPacket], path: str | Path) -> VideoFrame:
    seen, fault = 0, "no frame came out of the decoder"
    try:
        for seen, packet in enumerate(packets, start=1):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError as error:
                frames, fault = [], str(error)
            if frames:
                return frames[0]
            if seen > _PROBE_PACKETS:
                break
    except MemoryError:
        raise
    except av.FFmpegError as error:
        fault = str(error)
    raise MediaError(
        f"{path}: no frame of its video stream can be decoded ({seen} packets read; {fault}); "
        "the file is damaged or cut off: copy or export it again"
    )


@dataclass(frozen=True)
class _Packets:
    """Shown packets in decoding order; arrays of shape (N,)."""

    pts: npt.NDArray[np.int64]
    dts: npt.NDArray[np.int64]
    duration: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    key_class: npt.NDArray[np.str_]


def _scan(
    packets: Iterator[_VideoPacket], codec: str, extradata: bytes | None, alive: Callable[[], None]
) -> tuple[_Packets, str]:
    """All shown packets, and what stopped the demuxer ('' at a regular end)."""
    numbers = array("q")  # five a packet: pts, dts, duration, size, order
    classes: list[str] = []
    stop = ""
    try:
        for order, packet in enumerate(packets):
            alive()
            size = packet.size
            if size == 0 or packet.is_discard:
                continue
            pts, dts = packet.pts, packet.dts
            pts, dts = NO_TIMESTAMP if pts is None else pts, NO_TIMESTAMP if dts is None else dts
            numbers.extend((pts, dts, packet.duration or 0, size, order))
            classes.append(key_class(codec, extradata, bytes(packet)) if packet.is_keyframe else "")
    except MemoryError:
        raise
    except av.FFmpegError as error:
        stop = f"reading stopped after {len(classes)} frames: {error}"
    pts_column, dts_column, duration, sizes, orders = np.array(numbers, np.int64).reshape(-1, 5).T
    return _Packets(pts_column, dts_column, duration, sizes, orders, np.array(classes, dtype="<U7")), stop


def _ticks_per_frame(facts: StreamFacts) -> int:
    return max(1, round(1 / (facts.average_rate * facts.time_base)))


def _fill_durations(duration: npt.NDArray[np.int64], pts: npt.NDArray[np.int64], usual: int) -> npt.NDArray[np.int64]:
    """Durations with gaps filled from the distance to the next frame; the last from the one before."""
    steps = np.diff(pts)
    last = steps[-1] if len(steps) else usual
    return np.where(duration > 0, duration, np.append(steps, last)).astype(np.int64)


def _counted_index(path: str | Path, facts: StreamFacts, alive: Callable[[], None]) -> FrameIndex:
    """Index of a file without usable times: one linear decode counts its frames."""
    from faceswap_core.video.reader import decode_linear

    step = _ticks_per_frame(facts)
    count = 0
    for _ in decode_linear(path):
        count += 1
        alive()
    if not count:
        raise MediaError(f"{path}: no frame decodes; the file is damaged: export it again")
    zeros = np.zeros(count, np.int64)
    return FrameIndex(
        facts=facts,
        pts=np.arange(count, dtype=np.int64) * step,
        duration=zeros + step,
        key_class=np.array([""] * count, dtype="<U7"),
        packet_dts=zeros + NO_TIMESTAMP,
        packet_size=zeros,
        packet_order=np.arange(count, dtype=np.int64),
    )


def frame_seconds(index: FrameIndex, frame_index: int) -> Fraction:
    """Exact presentation time of a frame, seconds."""
    return int(index.pts[frame_index]) * index.facts.time_base
