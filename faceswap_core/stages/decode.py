"""video -> frames: index by demux, chunks cut at keyframes, one checked decode of each chunk."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from faceswap_core import layout, manifest
from faceswap_core.config import DecodeSettings
from faceswap_core.errors import MediaError
from faceswap_core.schemas import FRAMES, PACKETS
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.types import F32, I64, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.chunks import NO_TIMESTAMP, cut_chunk
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import Chunk, FrameIndex, build_index, plan_chunks
from faceswap_core.video.planes import plane_bytes, thumbnail
from faceswap_core.video.reader import DecodedFrame, read_chunk

_log = logging.getLogger(__name__)

THUMBNAIL_WH = (64, 36)


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
        MediaError: the file is no video, has no video stream, or a frame is larger than allowed.
    """
    index = build_index(video["path"])
    if index.facts.width * index.facts.height > settings.max_pixels:
        raise MediaError(
            f"{video['path']}: frames of {index.facts.width}x{index.facts.height} px exceed decode.max_pixels "
            f"({settings.max_pixels}): raise it if you trust the file"
        )
    chunks = plan_chunks(index, settings.chunk_frames or default_chunk_frames(len(index)))
    ref = publish_packets(workspace, index, chunks)
    return VideoPlan(**ref, chunks=len(chunks))


def default_chunk_frames(frames: int) -> int:
    """Length of chunks where the job does not say: clamp(frames / 300, 240, 3600)."""
    return min(max(frames // 300, 240), 3600)


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


def load_packets(workspace: Workspace, plan: VideoPlan) -> tuple[FrameIndex, I64]:
    """The index of a planned video, and the chunk of each frame, (N,).

    Raises:
        ManifestError: the manifest is missing or was altered.
    """
    facts = StreamFacts.from_json(manifest.metadata(workspace, plan, PACKETS)["facts"])
    table = manifest.load(workspace, plan, PACKETS)
    columns = {name: table.column(name).to_numpy() for name in ("pts", "duration", "packet_size", "packet_order")}
    index = FrameIndex(
        facts=facts,
        key_class=np.array(table.column("key_class").to_pylist(), dtype="<U7"),
        packet_dts=table.column("packet_dts").fill_null(NO_TIMESTAMP).to_numpy(),
        **columns,
    )
    return index, table.column("chunk_index").to_numpy().astype(np.int64)


def _planned_chunk(index: FrameIndex, chunk_of_frame: I64, chunk_index: int) -> Chunk:
    frames = np.flatnonzero(chunk_of_frame == chunk_index)
    return cut_chunk(index, chunk_index, int(frames[0]), int(frames[-1]) + 1)


def decode_frames(
    workspace: Workspace, video: FileRef, plan: VideoPlan, chunk_index: int, progress: Progress = no_progress
) -> ManifestRef:
    """Decode one chunk once, check it, and publish its frames.

    Raises:
        MediaError: a frame of the chunk cannot be decoded, or the file changed since it was planned.
    """
    check_source(video)
    index, chunk_of_frame = load_packets(workspace, plan)
    chunk = _planned_chunk(index, chunk_of_frame, chunk_index)
    first = last = None
    rows = []
    for frame in read_chunk(video["path"], chunk):
        small = thumbnail(frame.frame, THUMBNAIL_WH)
        rows.append(
            {
                "frame_index": frame.frame_index,
                "pts": frame.pts,
                "duration": int(index.duration[frame.frame_index]),
                "key_class": str(index.key_class[frame.frame_index]),
                "chunk_index": chunk_index,
                "corrupt": frame.corrupt,
                "luma_mean": float(small.mean()),
                "cut_score": None if last is None else cut_score(last, small),
                "crc32": _crc32(frame),
            }
        )
        first, last = (small if first is None else first), small
        progress(len(rows), len(chunk.pts), "frames")
    metadata = {
        "facts": index.facts.to_json(),
        "source_sha256": video["sha256"],
        "chunk": json.dumps(
            {
                k: getattr(chunk, k)
                for k in ("chunk_index", "first_frame", "start_dts", "start_size", "exact", "is_last")
            }
        ),
        "first_thumbnail": _thumbnail_text(first),
        "last_thumbnail": _thumbnail_text(last),
    }
    _log.info("decoded %d frames of chunk %d", len(rows), chunk_index)
    name = layout.chunk_name("frames", chunk_index)
    return manifest.publish(workspace, layout.FRAMES, name, FRAMES, rows, metadata)


def _crc32(frame: DecodedFrame) -> int:
    crc = 0
    for plane in plane_bytes(frame.frame):
        crc = zlib.crc32(plane, crc)
    return crc


def _thumbnail_text(small: F32 | None) -> str:
    return "" if small is None else np.round(small * 255).astype(np.uint8).tobytes().hex()


def thumbnail_of(text: str) -> F32 | None:
    """Inverse of the text in the manifest's metadata: luma 0..1, or None."""
    if not text:
        return None
    small = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(THUMBNAIL_WH[::-1])
    return np.asarray(small / np.float32(255), np.float32)


def cut_score(before: F32, now: F32) -> float:
    """Mean absolute difference of two luma thumbnails, 0..1."""
    return float(cv2.absdiff(before, now).mean())


def check_source(video: FileRef) -> None:
    """Refuse a video whose bytes changed since the run began.

    Raises:
        MediaError: the file is gone or another one.
    """
    path = Path(video["path"])
    if not path.is_file() or sha256_file(path) != video["sha256"]:
        raise MediaError(f"video {path} was changed or removed while the job ran: put it back, or start again")


def published_chunk(workspace: Workspace, frames: ManifestRef) -> tuple[Chunk, StreamFacts]:
    """What reading a published chunk again needs."""
    facts = manifest.metadata(workspace, frames, FRAMES)
    pts = manifest.load(workspace, frames, FRAMES, ["pts"]).column("pts").to_pylist()
    return Chunk(**json.loads(facts["chunk"]), pts=tuple(pts)), StreamFacts.from_json(facts["facts"])


def read_frames(workspace: Workspace, video: FileRef, frames: ManifestRef) -> Iterator[DecodedFrame]:
    """Decode the frames of a published chunk again.

    Raises:
        MediaError: the video's bytes are not those that were checked.
    """
    check_source(video)
    chunk, _ = published_chunk(workspace, frames)
    if manifest.metadata(workspace, frames, FRAMES)["source_sha256"] != video["sha256"]:
        raise MediaError(f"video {video['path']} is not the one that was decoded before: start again with that one")
    return read_chunk(video["path"], chunk)
