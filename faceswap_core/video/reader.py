"""video + chunk -> decoded frames: exactly the frames of the chunk, found by pts, never by a seek's word."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.container import open_input, pick_video, read_only, to_the_damage
from faceswap_core.video.index import Chunk

__all__ = ["DecodedFrame", "decode_linear", "read_chunk", "to_rgb"]

_log = logging.getLogger(__name__)
_VideoPacket: TypeAlias = "av.Packet[VideoStream]"
_BACK_SECONDS = (0, 1, 3, 10, 30, 100)
"""How much earlier to ask for when a seek landed behind the wanted keyframe."""
_PATIENCE = 32
"""Frames shown later than the chunk's last after which missing ones are given up."""


@dataclass(frozen=True)
class DecodedFrame:
    """One frame of the video."""

    frame_index: int
    """Ordinal in presentation order."""
    pts: int
    """Presentation time, ticks of the stream's time base."""
    frame: VideoFrame
    """Decoded picture in stored orientation; its buffer may still serve the decoder: edit by `edit_rect`."""
    corrupt: bool
    """True where the decoder concealed damage."""


def read_chunk(
    path: str | Path,
    chunk: Chunk,
    *,
    threads: int = 1,
    missing: list[int] | None = None,
) -> Iterator[DecodedFrame]:
    """Decode the frames of one chunk, in presentation order.

    One thread gives the same pixels on every run even where the file is damaged; ask for more only
    where nothing depends on it. If the file ends early (a recording cut off), the last frames of the
    last chunk may be missing: that is logged, not raised.

    Args:
        path: the video.
        chunk: which frames.
        threads: threads of the decoder.
        missing: where given, frame_index of every frame that was not decoded is put there at the end, and
            none of them is an error.

    Raises:
        MediaError: a frame of the chunk was not found or not decoded, or the picture size or pixel
            format changed within it.
    """
    frames = _frames_by_pts(path, chunk, threads) if chunk.exact else _frames_by_count(path, chunk, threads)
    awaited = dict.fromkeys(chunk.pts)
    shape: tuple[int, int, str] | None = None
    for decoded in frames:
        shape = _same_shape(path, decoded, shape)
        del awaited[decoded.pts]
        yield decoded
    lost = [chunk.first_frame + i for i, pts in enumerate(chunk.pts) if pts in awaited]
    if missing is not None:
        missing += lost
    elif lost:
        _report_missing(path, chunk, lost)


def _frames_by_pts(path: str | Path, chunk: Chunk, threads: int) -> Iterator[DecodedFrame]:
    wanted = {pts: chunk.first_frame + i for i, pts in enumerate(chunk.pts)}
    late, last = 0, chunk.pts[0] - 1
    with open_input(path) as container:
        packets = _start(container, path, chunk, threads)
        for frame in _decode(packets):
            number = wanted.pop(frame.pts, None) if frame.pts is not None else None
            if number is not None and frame.pts is not None:
                if frame.pts > last:  # a decoder that lost its thread may give a frame behind its successor
                    last = frame.pts
                    yield DecodedFrame(number, frame.pts, frame, frame.is_corrupt)
            elif frame.pts is not None and frame.pts > chunk.pts[-1]:
                late += 1
            if not wanted or late > _PATIENCE:
                return


def _frames_by_count(path: str | Path, chunk: Chunk, threads: int) -> Iterator[DecodedFrame]:
    for number, frame in enumerate(islice(decode_linear(path, threads=threads), chunk.last_frame)):
        frame.pts = chunk.pts[number]  # such a file is one chunk
        yield DecodedFrame(number, frame.pts, frame, frame.is_corrupt)


def decode_linear(path: str | Path, *, threads: int = 1) -> Iterator[VideoFrame]:
    """Decode the whole video stream from its beginning, hidden frames left out."""
    with open_input(path) as container:
        stream = _prepare(container, path, threads)
        yield from _decode(container.demux(stream))


def _prepare(container: InputContainer, path: str | Path, threads: int) -> VideoStream:
    stream = pick_video(container, path)
    read_only(container, stream)
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return stream


def _decode(packets: Iterator[_VideoPacket]) -> Iterator[VideoFrame]:
    """Frames of packets; a packet that the decoder refuses costs its own frame only."""
    for packet in to_the_damage(packets):
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError:
            continue
        yield from frames


def _start(container: InputContainer, path: str | Path, chunk: Chunk, threads: int) -> Iterator[_VideoPacket]:
    """The packets of the video stream from the chunk's own keyframe on.

    A seek may land behind the packet asked for (MPEG-TS does); so every landing is checked by the
    packet's pts and size, the next try asks earlier, and the last one reads from the beginning.
    """
    stream = _prepare(container, path, threads)
    if chunk.start_size is None:
        return container.demux(stream)
    ticks_per_second = 1 / (stream.time_base or 1)
    for back in _BACK_SECONDS:
        ts = chunk.pts[0] - int(back * ticks_per_second)
        if stream.start_time is not None and ts < stream.start_time:
            break
        try:
            container.seek(ts, stream=stream, backward=True)
        except av.FFmpegError:
            break
        packets = container.demux(stream)
        found = _skip_to(packets, chunk)
        if found is not None:
            return chain([found], packets)
    return _start_from_beginning(container, path, chunk, threads)


def _start_from_beginning(
    container: InputContainer, path: str | Path, chunk: Chunk, threads: int
) -> Iterator[_VideoPacket]:
    fresh = open_input(path)
    stream = _prepare(fresh, path, threads)
    packets = fresh.demux(stream)
    found = _skip_to(packets, chunk, whole=True)
    if found is None:
        fresh.close()
        raise MediaError(
            f"{path}: the keyframe of chunk {chunk.chunk_index} (pts {chunk.pts[0]}) is gone; "
            "the file changed after it was indexed: start again with the file as it is"
        )
    return _closing(fresh, chain([found], packets))


def _closing(container: InputContainer, packets: Iterator[_VideoPacket]) -> Iterator[_VideoPacket]:
    with container:
        yield from packets


def _skip_to(packets: Iterator[_VideoPacket], chunk: Chunk, *, whole: bool = False) -> _VideoPacket | None:
    """The chunk's start packet, or None where the seek landed behind it."""
    for packet in packets:
        if packet.size == 0:
            return None
        if packet.pts == chunk.pts[0] and packet.size == chunk.start_size and packet.is_keyframe:
            return packet
        behind = chunk.start_dts is not None and packet.dts is not None and packet.dts > chunk.start_dts
        if behind and not whole:
            return None
    return None


def _same_shape(path: str | Path, decoded: DecodedFrame, before: tuple[int, int, str] | None) -> tuple[int, int, str]:
    frame = decoded.frame
    shape = (frame.width, frame.height, frame.format.name)
    if before is not None and shape != before:
        raise MediaError(
            f"{path}: the picture changes at frame {decoded.frame_index} from {before} to {shape}; "
            "cut the file there and treat the parts separately"
        )
    return shape


def _report_missing(path: str | Path, chunk: Chunk, lost: list[int]) -> None:
    """Raise for lost frames, except where only the end of the file is missing."""
    shown = ", ".join(map(str, lost[:10])) + (f" ... ({len(lost)} in all)" if len(lost) > 10 else "")
    if chunk.is_last and lost[-1] == chunk.last_frame - 1 and len(lost) == lost[-1] - lost[0] + 1:
        _log.warning("%s: the file ends early; frames not decoded: %s", path, shown)
        return
    raise MediaError(
        f"{path}: frames {shown} of chunk {chunk.chunk_index} cannot be decoded; "
        "the file is damaged there: copy or export it again"
    )
