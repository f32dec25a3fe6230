"""video -> frames: index by demux, chunks cut at keyframes, one checked decode of each chunk."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import DecodeSettings
from faceswap_core.errors import MediaError
from faceswap_core.schemas import FRAMES
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.types import F32, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import Chunk, FrameIndex, build_index, plan_chunks
from faceswap_core.video.planes import plane_bytes, thumbnail
from faceswap_core.video.reader import DecodedFrame, read_chunk

_log = logging.getLogger(__name__)

THUMBNAIL_WH = (64, 36)


class VideoPlan(TypedDict):
    """How one video is cut into chunks."""

    path: str
    """Path of the plan (JSON), relative to the workspace."""
    sha256: str
    """Digest of the plan's bytes."""
    size: int
    """Length in bytes."""
    frames: int
    """Frames of the video."""
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
    plan = {"facts": index.facts.to_json(), "chunks": [_chunk_json(chunk, index) for chunk in chunks]}
    ref = workspace.publish_bytes(layout.FRAMES, "plan", ".json", json.dumps(plan).encode())
    return VideoPlan(**ref, frames=len(index), chunks=len(chunks))


def default_chunk_frames(frames: int) -> int:
    """Length of chunks where the job does not say: clamp(frames / 300, 240, 3600)."""
    return min(max(frames // 300, 240), 3600)


def _chunk_json(chunk: Chunk, index: FrameIndex) -> dict[str, object]:
    span = slice(chunk.first_frame, chunk.last_frame)
    return {
        **vars(chunk),
        "duration": index.duration[span].tolist(),
        "key_class": index.key_class[span].tolist(),
    }


def decode_frames(
    workspace: Workspace, video: FileRef, plan: VideoPlan, chunk_index: int, progress: Progress = no_progress
) -> ManifestRef:
    """Decode one chunk once, check it, and publish its frames.

    Raises:
        MediaError: a frame of the chunk cannot be decoded, or the file changed since it was planned.
    """
    check_source(video)
    data = json.loads(workspace.path(plan["path"]).read_text())
    entry = data["chunks"][chunk_index]
    duration, key_class = entry.pop("duration"), entry.pop("key_class")
    chunk = Chunk(**{**entry, "pts": tuple(entry["pts"])})
    first = last = None
    rows = []
    for frame in read_chunk(video["path"], chunk):
        small = thumbnail(frame.frame, THUMBNAIL_WH)
        offset = frame.frame_index - chunk.first_frame
        rows.append(
            {
                "frame_index": frame.frame_index,
                "pts": frame.pts,
                "duration": duration[offset],
                "key_class": key_class[offset],
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
        "facts": data["facts"],
        "source_sha256": video["sha256"],
        "chunk": json.dumps(
            {k: entry[k] for k in ("chunk_index", "first_frame", "start_dts", "start_size", "exact", "is_last")}
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


def chunk_of(workspace: Workspace, frames: ManifestRef) -> tuple[Chunk, StreamFacts]:
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
    chunk, _ = chunk_of(workspace, frames)
    if manifest.metadata(workspace, frames, FRAMES)["source_sha256"] != video["sha256"]:
        raise MediaError(f"video {video['path']} is not the one that was decoded before: start again with that one")
    return read_chunk(video["path"], chunk)
