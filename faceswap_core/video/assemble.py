"""encoded chunks + source -> finished video: packets joined, everything else of the source copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError
from faceswap_core.video.carry import ITUNES_TAGS, add_other, copy_tags, kept_tags, left_out
from faceswap_core.video.container import open_input, to_the_damage
from faceswap_core.video.encoder import container_options
from faceswap_core.video.holding import copied
from faceswap_core.video.index import FrameIndex
from faceswap_core.video.outfile import MP4_FAMILY, muxer_of, open_output
from faceswap_core.video.timeline import Timeline, timeline

_Packet: TypeAlias = "av.Packet[Any]"
NO_MARKS: Mapping[str, str] = MappingProxyType({})
_BLU_RAY_SUFFIXES = (".m2ts", ".mts")


@dataclass(frozen=True)
class AssemblyReport:
    """What the finished file holds."""

    path: Path
    """The file."""
    frames: int
    """Video packets written."""
    streams_copied: tuple[int, ...]
    """Indices of source streams whose packets were copied beside the video."""
    not_carried: tuple[str, ...]
    """Streams and tags of the source that are absent, each with the reason."""
    bytes: int
    """Size of the file."""


def assemble(
    source_path: str | Path,
    parts: Sequence[str | Path],
    out_path: str | Path,
    index: FrameIndex,
    marks: Mapping[str, str] = NO_MARKS,
) -> AssemblyReport:
    """Join encoded chunks and copy sound, subtitles, data, attachments, chapters, tags and rotation.

    Frames keep the source's pts exactly where the container can say them (Matroska rounds to 1 ms).
    The container follows the suffix of ``out_path``; a stream it cannot hold is named in the report.
    The streams stand in the order of the source. The file appears under its name only when complete.

    Args:
        source_path: the video the chunks were made from.
        parts: chunk files in order of time, as `encoder.encode_chunk` writes them.
        out_path: the file to write.
        index: the source's index.
        marks: further tags of the container.

    Raises:
        MediaError: chunks made with different settings, of other frames, or a container that cannot hold the video
            or its times.
        SettingsError: an unknown suffix.
        DiskFullError: no space left.
    """
    out = Path(out_path)
    clock = timeline(parts, index)
    muxer = muxer_of(out)
    if muxer in MP4_FAMILY and clock.pts.min() < 0:
        raise MediaError(f"{out}: the video begins before time zero, where {muxer} hides frames; write a .ts or .mkv")
    with (
        _write_faults_named(out),
        open_input(source_path) as source,
        open_input(parts[0]) as first,
        open_output(out, muxer, _muxer_options(out, muxer, index, marks)) as container,
    ):
        copies: dict[int, Stream] = {}
        refused = [left_out(source)]
        for stream in source.streams:
            if stream.index == index.facts.stream_index:
                video = _add_video(container, first.streams.video[0], index)
                copy_tags(source, container, stream, video)
            else:
                refused.append(add_other(container, stream, source_path, copies))
        container.metadata.update(marks)
        streams = [_video_packets(parts, video, clock)]
        if copies:
            streams.append(_copied_packets(source, copies))
        for packet in merge(*streams, key=_decode_seconds):
            container.mux(packet)
    return AssemblyReport(out, len(clock.pts), tuple(copies), tuple(filter(None, refused)), out.stat().st_size)


@contextmanager
def _write_faults_named(out: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{out}: the {out.suffix} file cannot be written ({error}); "
            "write a .mkv, or check that source and chunks are intact"
        ) from error


def _muxer_options(out: Path, muxer: str, index: FrameIndex, marks: Mapping[str, str]) -> dict[str, str]:
    options = container_options(muxer, index.facts)
    if muxer in MP4_FAMILY:
        keys = {*kept_tags(index.facts.metadata), *marks}
        options["movflags"] = "+faststart" if keys <= ITUNES_TAGS else "+faststart+use_metadata_tags"
    if out.suffix.lower() in _BLU_RAY_SUFFIXES:
        options["mpegts_m2ts_mode"] = "1"
    return options


def _add_video(container: OutputContainer, template: VideoStream, index: FrameIndex) -> VideoStream:
    """The output's video stream; all that its header says must be set before the first packet."""
    facts = index.facts
    stream = copied(container, template)
    assert isinstance(stream, VideoStream)
    stream.codec_context.framerate = facts.average_rate
    if template.codec_context.codec.canonical_name == "hevc" and container.format.name in MP4_FAMILY:
        stream.codec_context.codec_tag = "hvc1"  # parameter sets in the header only; QuickTime plays nothing else
    if facts.sample_aspect_ratio != 1:
        stream.codec_context.sample_aspect_ratio = facts.sample_aspect_ratio
    if facts.display_matrix is not None:
        stream.set_display_matrix(facts.display_matrix)
    stream.time_base = facts.time_base
    return stream


def _video_packets(parts: Iterable[str | Path], video: VideoStream, clock: Timeline) -> Iterator[_Packet]:
    number = 0
    for part in parts:
        with open_input(part) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                packet.stream, packet.time_base = video, clock.time_base
                packet.pts, packet.dts = int(clock.pts[number]), int(clock.dts[number])
                packet.duration = int(clock.duration[number])
                number += 1
                yield packet


def _copied_packets(source: InputContainer, copies: dict[int, Stream]) -> Iterator[_Packet]:
    for packet in to_the_damage(source.demux([source.streams[i] for i in copies])):
        if packet.size and _timed(packet):
            packet.stream = copies[packet.stream_index]
            yield packet


def _timed(packet: _Packet) -> bool:
    """False where nothing says when a packet belongs; cover art, which has no time, gets zero."""
    if packet.stream.disposition & Disposition.attached_pic:
        packet.pts = packet.dts = 0
    if packet.dts is None:
        packet.dts = packet.pts
    return packet.dts is not None


def _decode_seconds(packet: _Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base
