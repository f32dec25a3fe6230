"""unchecked video -> index, measured frames: the two first looks into a source file, each in a limited child."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceswap_core.types import F32, Json
from faceswap_core.video.chunks import Chunk
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import FrameIndex, build_index
from faceswap_core.video.planes import cut_score, plane_bytes, thumbnail
from faceswap_core.video.reader import DecodedFrame, read_chunk
from faceswap_core.video.sandbox import DEFAULT_LIMITS, Limits, Tell, ignore, run_limited

THUMBNAIL_WH = (64, 36)
_COLUMNS = ("pts", "duration", "packet_dts", "packet_size", "packet_order")
_SECONDS_BETWEEN_SIGNS = 0.5


def index_unchecked(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> FrameIndex:
    """`index.build_index` in a child process.

    Raises:
        MediaError: as `build_index`, or a limit was hit.
    """
    found = run_limited(child_index, {"path": str(path)}, source=path, limits=limits)
    return FrameIndex(
        facts=StreamFacts.from_json(found["facts"]),
        key_class=np.array(found["key_class"], dtype="<U7"),
        **{name: np.array(found[name], np.int64) for name in _COLUMNS},
    )


def child_index(arguments: Json, tell: Tell) -> Json:
    """The child's side of `index_unchecked`."""
    index = build_index(arguments["path"], alive=_signs_of_life(tell))
    columns = {name: getattr(index, name).tolist() for name in (*_COLUMNS, "key_class")}
    return {"facts": index.facts.to_json(), **columns}


def _signs_of_life(tell: Tell) -> Callable[[], None]:
    """A function that tells the parent, twice a second at most, that the work goes on."""
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_SIGNS:
            last = time.monotonic()
            tell(None)

    return alive


@dataclass(frozen=True)
class Decoded:
    """What one checked decode of a chunk found beside its frames."""

    missing: tuple[int, ...]
    """frame_index of frames that the index names and the decoder did not give."""
    first_thumbnail: str
    """Luma of the first frame, `THUMBNAIL_WH`, bytes as hex; '' without frames."""
    last_thumbnail: str
    """Luma of the last frame, likewise."""


def decode_unchecked(
    path: str | Path, chunk: Chunk, *, limits: Limits = DEFAULT_LIMITS, told: Callable[[Json], None] = ignore
) -> Decoded:
    """Decode one chunk in a child process and measure its frames.

    Args:
        path: the video.
        chunk: which frames, as `plan_chunks` cut them.
        limits: memory and time.
        told: called with every frame as it is decoded: frame_index, pts, corrupt, luma_mean (0..1), cut_score
            (0..1, None for the first) and crc32 of all its planes.

    Raises:
        MediaError: as `read_chunk`, save that missing frames are told in the result; or a limit was hit.
    """

    def frames_only(message: Json | None) -> None:
        if message is not None:
            told(message)

    arguments = {"path": str(path), "chunk": vars(chunk)}
    found = run_limited(child_decode, arguments, source=path, limits=limits, told=frames_only)
    return Decoded(tuple(found["missing"]), found["first_thumbnail"], found["last_thumbnail"])


def child_decode(arguments: Json, tell: Tell) -> Json:
    """The child's side of `decode_unchecked`."""
    given = arguments["chunk"]
    chunk = Chunk(**{**given, "pts": tuple(given["pts"])})
    missing: list[int] = []
    first = last = None
    cv2.setNumThreads(1)
    for frame in read_chunk(arguments["path"], chunk, missing=missing):
        small = thumbnail(frame.frame, THUMBNAIL_WH)
        tell(_measured(frame, small, last))
        first, last = (small if first is None else first), small
    return {"missing": missing, "first_thumbnail": _text(first), "last_thumbnail": _text(last)}


def _measured(frame: DecodedFrame, small: F32, before: F32 | None) -> dict[str, Any]:
    return {
        "frame_index": frame.frame_index,
        "pts": frame.pts,
        "corrupt": frame.corrupt,
        "luma_mean": float(small.mean()),
        "cut_score": None if before is None else cut_score(before, small),
        "crc32": _crc32(frame),
    }


def _crc32(frame: DecodedFrame) -> int:
    crc = 0
    for plane in plane_bytes(frame.frame):
        crc = zlib.crc32(plane, crc)
    return crc


def _text(small: F32 | None) -> str:
    return "" if small is None else np.round(small * 255).astype(np.uint8).tobytes().hex()


def thumbnail_of(text: str) -> F32 | None:
    """Inverse of the text in `Decoded`: luma 0..1, or None."""
    if not text:
        return None
    small = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(THUMBNAIL_WH[::-1])
    return np.asarray(small / np.float32(255), np.float32)
