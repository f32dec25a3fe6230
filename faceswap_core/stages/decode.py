"""video -> frames: index by demux, chunks cut at keyframes, one checked decode of each chunk."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from faceswap_core import layout, manifest
from faceswap_core.config import DecodeSettings
from faceswap_core.errors import MediaError
from faceswap_core.manifest import Row
from faceswap_core.schemas import FRAMES, PACKETS
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.types import FileRef, Json, ManifestRef, Progress, no_progress
from faceswap_core.video.checked import decode_unchecked, index_unchecked
from faceswap_core.video.chunks import NO_TIMESTAMP, cut_chunk
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import Chunk, FrameIndex, plan_chunks
from faceswap_core.video.reader import DecodedFrame, read_chunk
from faceswap_core.video.sandbox import Limits

_log = logging.getLogger(__name__)

_DEFAULTS = DecodeSettings()


class VideoPlan(ManifestRef):
    """How one video is cut into chunks: its PACKETS, one row a frame."""

    chunks: int
    """Chunks of the video."""


def video_ref(path: Path) -> FileRef:
    """Reference to a source video, with the digest of its bytes.

    Raises:
        MediaError: there is no such file.
    """
    if not path.is_file():
        raise MediaError(f"video {path} does not exist or is no file: correct its path in the job file")
    return file_ref(path)


def plan_video(workspace: Workspace, video: FileRef, settings: DecodeSettings) -> VideoPlan:
    """Index a video and cut it into chunks.

    Raises:
        MediaError: the file is no video, has no video stream, a frame is larger than allowed, or reading the file
            hits a limit.
    """
    index = index_unchecked(video["path"], limits=_limits(settings))
    if index.facts.width * index.facts.height > settings.max_pixels:
        raise MediaError(
            f"{video['path']}: frames of {index.facts.width}x{index.facts.height} px exceed decode.max_pixels "
            f"({settings.max_pixels}): raise it if you trust the file"
        )
    chunks = plan_chunks(index, settings.chunk_frames or default_chunk_frames(len(index)))
    ref = publish_packets(workspace, index, chunks)
    return VideoPlan(**ref, chunks=len(chunks))


def default_chunk_frames(frames: int) -> int:
    """Length of chunks where the job does not say: clamp(frames / 250, 240, 4000)."""
    return min(max(frames // 250, 240), 4000)


def publish_packets(workspace: Workspace, index: FrameIndex, chunks: list[Chunk]) -> ManifestRef:
    """Publish the index of a video and which frames belong to which chunk, as PACKETS."""
    columns = {
        "pts": index.pts,
        "duration": index.duration,
        "key_class": pa.array(index.key_class.tolist(), pa.string()),
        "packet_dts": pa.array(index.packet_dts, mask=index.packet_dts == NO_TIMESTAMP),
        "packet_size": index.packet_size,
        "packet_order": index.packet_order,
        "chunk_index": np.repeat([c.chunk_index for c in chunks], [len(c.pts) for c in chunks]).astype(np.int32),
    }
    table = pa.table(columns, schema=PACKETS)
    return manifest.publish_table(workspace, layout.FRAMES, "packets", table, {"facts": index.facts.to_json()})


def load_packets(workspace: Workspace, plan: VideoPlan, chunk_index: int) -> tuple[FrameIndex, int]:
    """The part of a planned video's index that is one chunk, and frame_index of its first frame.

    Raises:
        ManifestError: the manifest is missing or was altered.
    """
    facts = StreamFacts.from_json(manifest.metadata(workspace, plan, PACKETS)["facts"])
    table, first = manifest.load_part(workspace, plan, PACKETS, "chunk_index", chunk_index)
    columns = {name: table.column(name).to_numpy() for name in ("pts", "duration", "packet_size", "packet_order")}
    index = FrameIndex(
        facts=facts,
        key_class=np.array(table.column("key_class").to_pylist(), dtype="<U7"),
        packet_dts=table.column("packet_dts").fill_null(NO_TIMESTAMP).to_numpy(),
        **columns,
    )
    return index, first


def _planned_chunk(plan: VideoPlan, chunk_index: int, part: FrameIndex, first_frame: int) -> Chunk:
    chunk = cut_chunk(part, chunk_index, 0, len(part))
    return replace(chunk, first_frame=first_frame, is_last=chunk_index == plan["chunks"] - 1)


def decode_frames(
    workspace: Workspace,
    video: FileRef,
    plan: VideoPlan,
    chunk_index: int,
    settings: DecodeSettings = _DEFAULTS,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Decode one chunk once, check it, and publish its frames.

    Later stages know the frames that were decoded here and no others; ones that the plan names beside are written
    down as missing.

    Raises:
        MediaError: the file cannot be decoded within the limits, or changed since it was planned.
    """
    check_source(video)
    index, first_frame = load_packets(workspace, plan, chunk_index)
    chunk = _planned_chunk(plan, chunk_index, index, first_frame)
    rows: list[Row] = []

    def keep(frame: Json) -> None:
        number = frame["frame_index"] - first_frame
        planned = {"duration": int(index.duration[number]), "key_class": str(index.key_class[number])}
        rows.append({**frame, **planned, "chunk_index": chunk_index})
        progress(len(rows), len(chunk.pts), "frames")

    found = decode_unchecked(video["path"], chunk, limits=_limits(settings), told=keep)
    metadata = {
        "facts": index.facts.to_json(),
        "source_sha256": video["sha256"],
        "chunk": json.dumps(
            {
                k: getattr(chunk, k)
                for k in ("chunk_index", "first_frame", "start_dts", "start_size", "exact", "is_last")
            }
        ),
        "first_thumbnail": found.first_thumbnail,
        "last_thumbnail": found.last_thumbnail,
    }
    if found.missing:
        lost = [(number, chunk.pts[number - chunk.first_frame]) for number in found.missing]
        metadata["missing"] = json.dumps(lost)
        _log.warning("%s: %d frames of chunk %d cannot be decoded", video["path"], len(lost), chunk_index)
    _log.info("decoded %d frames of chunk %d", len(rows), chunk_index)
    name = layout.chunk_name("frames", chunk_index)
    return manifest.publish(workspace, layout.FRAMES, name, FRAMES, rows, metadata)


def _limits(settings: DecodeSettings) -> Limits:
    return Limits(memory_mb=settings.max_memory_mb, seconds=settings.max_seconds)


def check_source(video: FileRef) -> None:
    """Refuse a video whose bytes changed since the run began.

    Raises:
        MediaError: the file is gone or another one.
    """
    path = Path(video["path"])
    if not path.is_file() or sha256_file(path) != video["sha256"]:
        raise MediaError(f"video {path} was changed or removed while the job ran: put it back, or start again")


def published_chunk(workspace: Workspace, frames: ManifestRef) -> tuple[Chunk, StreamFacts]:
    """What reading a published chunk again needs: the chunk as it was planned, missing frames included."""
    facts = manifest.metadata(workspace, frames, FRAMES)
    table = manifest.load(workspace, frames, FRAMES, ["frame_index", "pts"])
    times = dict(zip(table.column("frame_index").to_pylist(), table.column("pts").to_pylist(), strict=True))
    times |= dict(_missing(facts))
    pts = tuple(times[number] for number in sorted(times))
    return Chunk(**json.loads(facts["chunk"]), pts=pts), StreamFacts.from_json(facts["facts"])


def _missing(facts: Mapping[str, str]) -> list[tuple[int, int]]:
    """frame_index and pts of the frames that were not decoded."""
    return [(number, pts) for number, pts in json.loads(facts.get("missing", "[]"))]


def missing_frames(workspace: Workspace, frames: Sequence[ManifestRef]) -> list[int]:
    """frame_index of the frames that the index names and the decoder did not give, over all chunks."""
    return [number for ref in frames for number, _ in _missing(manifest.metadata(workspace, ref, FRAMES))]


def decoded_index(workspace: Workspace, frames: Sequence[ManifestRef]) -> FrameIndex:
    """The frames that were really decoded, over all chunks: what the finished video must show.

    Raises:
        MediaError: there is none.
    """
    names = ["pts", "duration", "key_class"]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for ref in frames:
        table = manifest.load(workspace, ref, FRAMES, names)
        for name in names:
            columns[name] += table.column(name).to_pylist()
    count = len(columns["pts"])
    if not count:
        raise MediaError("no frame of the video was decoded; give another copy of it")
    facts = manifest.metadata(workspace, frames[0], FRAMES)["facts"]
    return FrameIndex(
        facts=StreamFacts.from_json(facts),
        pts=np.array(columns["pts"], np.int64),
        duration=np.array(columns["duration"], np.int64),
        key_class=np.array(columns["key_class"], dtype="<U7"),
        packet_dts=np.full(count, NO_TIMESTAMP, np.int64),
        packet_size=np.zeros(count, np.int64),
        packet_order=np.arange(count, dtype=np.int64),
    )


def read_frames(workspace: Workspace, video: FileRef, frames: ManifestRef) -> Iterator[DecodedFrame]:
    """Decode the frames of a published chunk again.

    Raises:
        MediaError: the video's bytes are not those that were checked, or give other frames than before.
    """
    check_source(video)
    chunk, _ = published_chunk(workspace, frames)
    facts = manifest.metadata(workspace, frames, FRAMES)
    if facts["source_sha256"] != video["sha256"]:
        raise MediaError(f"video {video['path']} is not the one that was decoded before: start again with that one")
    return _read_again(video, chunk, [number for number, _ in _missing(facts)])


def _read_again(video: FileRef, chunk: Chunk, known_missing: list[int]) -> Iterator[DecodedFrame]:
    missing: list[int] = []
    yield from read_chunk(video["path"], chunk, missing=missing)
    if missing != known_missing:
        raise MediaError(
            f"{video['path']}: frames {missing} of chunk {chunk.chunk_index} cannot be decoded, {known_missing} could "
            "not before: the machine may be short of memory; run the same command again"
        )
