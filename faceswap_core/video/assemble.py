"""encoded chunks + source -> finished video: packets joined, everything else of the source copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError
from faceswap_core.video.carry import ITUNES_TAGS, OWN_TAGS, add_others, copy_tags
from faceswap_core.video.container import open_input, pick_video, to_the_damage
from faceswap_core.video.encoder import container_options
from faceswap_core.video.facts import extradata_sha
from faceswap_core.video.index import FrameIndex
from faceswap_core.video.outfile import MP4_FAMILY, muxer_of, open_output
from faceswap_core.video.timing import decode_times, frame_durations

_SAY_THEIR_ASPECT = ("h264", "hevc")
"""Codecs whose pictures carry their aspect ratio themselves; PyAV can tell it to MP4 and MOV only."""

_Packet: TypeAlias = "av.Packet[Any]"


@dataclass(frozen=True)
class AssemblyReport:
    """What the finished file holds."""

    path: Path
    """The file."""
    frames: int
    """Video packets written."""
    streams_copied: tuple[int, ...]
    """Indices of source streams copied beside the video."""
    not_carried: tuple[str, ...]
    """What of the source is absent, each with the reason."""
    bytes: int
    """Size of the file."""


def suffix_for(index: FrameIndex) -> str:
    """Suffix of the container that resembles the source's: the one to prefer for the output."""
    names = index.facts.container.split(",")
    table = {"matroska": ".mkv", "mpegts": ".ts", "avi": ".mkv", "nut": ".mkv"}
    if "mov" in names:
        return ".mov" if index.facts.metadata.get("major_brand", "").strip() == "qt" else ".mp4"
    return table.get(names[0], ".mp4")


def assemble(
    source_path: str | Path, parts: Sequence[str | Path], out_path: str | Path, index: FrameIndex
) -> AssemblyReport:
    """Join encoded chunks and copy sound, subtitles, attachments, chapters, tags and rotation.

    Frames keep the source's pts exactly where the container can say them (Matroska rounds to 1 ms).
    The container follows the suffix of ``out_path``; a stream it cannot hold is named in the report.
    The file appears under its name only when complete.

    Args:
        source_path: the video the chunks were made from.
        parts: chunk files in order of time, as `encoder.encode_chunk` writes them.
        out_path: the file to write.
        index: the source's index.

    Raises:
        MediaError: chunks made with different settings, overlapping in time, or of another source.
        SettingsError: an unknown suffix.
        DiskFullError: no space left.
    """
    out = Path(out_path)
    timeline = _timeline(parts, index)
    muxer = muxer_of(out)
    options = _muxer_options(muxer, index)
    with (
        _write_faults_named(out),
        open_input(source_path) as source,
        open_output(out, muxer, options) as container,
    ):
        with open_input(parts[0]) as first:
            video, lost = _add_video(container, first.streams.video[0], index)
        copies, refused = add_others(container, source, index.facts)
        copy_tags(source, container, pick_video(source, source_path), video)
        streams = [_video_packets(parts, video, timeline)]
        if copies:
            streams.append(_copied_packets(source, copies))
        for packet in merge(*streams, key=_decode_seconds):
            container.mux(packet)
    return AssemblyReport(out, len(timeline.pts), tuple(copies), (*lost, *refused), out.stat().st_size)


@contextmanager
def _write_faults_named(out: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{out}: the {out.suffix} file cannot be written ({error}); "
            "write a .mkv, or check that source and chunks are intact"
        ) from error


@dataclass(frozen=True)
class _Timeline:
    """Times of all video packets in decoding order, ticks of ``time_base``."""

    pts: npt.NDArray[np.int64]
    dts: npt.NDArray[np.int64]
    duration: npt.NDArray[np.int64]
    time_base: Fraction


def _timeline(parts: Sequence[str | Path], index: FrameIndex) -> _Timeline:
    """Read the pts of all parts and lay one decoding clock over them."""
    if not parts:
        raise MediaError("there is no chunk to assemble; encode the chunks first")
    base = index.facts.time_base
    all_pts: list[int] = []
    sha = ""
    for part in parts:
        with open_input(part) as container:
            stream = container.streams.video[0]
            found = extradata_sha(stream.codec_context.extradata)
            if sha not in ("", found):
                raise MediaError(f"{part}: encoded with other settings than {parts[0]}; encode both alike")
            sha = found
            pts = [_source_ticks(p, base, part) for p in container.demux(stream) if p.size]
        if not pts or (all_pts and min(pts) <= max(all_pts)):
            raise MediaError(f"{part}: empty, or overlaps the chunk before; give chunks in order of time")
        all_pts += pts
    array = np.array(all_pts, np.int64)
    durations = frame_durations(array, int(index.duration[-1]))
    return _Timeline(array, decode_times(array), durations, base)


def _source_ticks(packet: _Packet, base: Fraction, part: str | Path) -> int:
    """The packet's pts in the source's time base; exact or refused."""
    ticks = (packet.pts or 0) * packet.time_base / base
    if packet.pts is None or ticks.denominator != 1:
        raise MediaError(f"{part}: pts {packet.pts} is no whole tick of {base} s; encode this chunk again")
    return ticks.numerator


def _muxer_options(muxer: str, index: FrameIndex) -> dict[str, str]:
    options = container_options(muxer, index.facts)
    if muxer in MP4_FAMILY:
        keys = {key for key in index.facts.metadata if key not in OWN_TAGS}
        options["movflags"] = "+faststart" if keys <= ITUNES_TAGS else "+faststart+use_metadata_tags"
    return options


def _add_video(container: OutputContainer, template: VideoStream, index: FrameIndex) -> tuple[VideoStream, list[str]]:
    """The output's video stream; AV1 has no encoder of its decoder's name and takes the bare way."""
    facts, lost = index.facts, list[str]()
    try:
        stream = container.add_stream_from_template(template)
        if facts.display_matrix is not None:
            stream.set_display_matrix(facts.display_matrix)
    except (av.FFmpegError, ValueError):
        context = template.codec_context
        size = {"width": context.width, "height": context.height}
        bare = container.add_mux_stream(context.codec.canonical_name, rate=facts.average_rate, **size)
        assert isinstance(bare, VideoStream)
        stream = bare
        if facts.display_matrix is not None:
            lost.append(f"rotation by {facts.rotation} degrees: not possible for this video codec")
    stream.time_base = facts.time_base
    codec, context = template.codec_context.codec.canonical_name, stream.codec_context
    movie = container.format.name in MP4_FAMILY
    if movie and codec == "hevc":
        context.codec_tag = "hvc1"  # Apple's players open no hev1
    if facts.sample_aspect_ratio != 1:
        context.sample_aspect_ratio = facts.sample_aspect_ratio
        if not movie and codec not in _SAY_THEIR_ASPECT:
            ratio = f"{facts.sample_aspect_ratio.numerator}:{facts.sample_aspect_ratio.denominator}"
            lost.append(f"sample aspect ratio {ratio}: {container.format.name} cannot be told it for {codec}")
    return stream, lost


def _video_packets(parts: Iterable[str | Path], video: VideoStream, timeline: _Timeline) -> Iterator[_Packet]:
    number = 0
    for part in parts:
        with open_input(part) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                packet.stream, packet.time_base = video, timeline.time_base
                packet.pts, packet.dts = int(timeline.pts[number]), int(timeline.dts[number])
                packet.duration = int(timeline.duration[number])
                number += 1
                yield packet


def _copied_packets(source: InputContainer, copies: dict[int, Stream]) -> Iterator[_Packet]:
    for packet in to_the_damage(source.demux([source.streams[i] for i in copies])):
        if packet.size and (packet.dts is not None or packet.pts is not None):
            if packet.dts is None:
                packet.dts = packet.pts
            packet.stream = copies[packet.stream_index]
            yield packet


def _decode_seconds(packet: _Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base
