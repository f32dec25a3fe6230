"""path -> open container: the one door through which media files are read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import av
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError

_log = logging.getLogger(__name__)
Packet = TypeVar("Packet")

SAFE_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,mxf,gif,h264,hevc,av1,obu,"
    "m4v,mpegvideo,ivf,nut,dv,wav,mp3,aac,flac"
)
"""Demuxers that read one file and nothing else: no playlists, no concat scripts, no network."""
MAX_PIXELS = 8192 * 8192
"""Largest picture a decoder may allocate."""
_MP4_BRANDS = (b"ftyp", b"moov", b"mdat", b"wide", b"free")


def open_input(path: str | Path) -> InputContainer:
    """Open a media file for reading; the only way in which this project does so.

    The name is passed with the ``file:`` prefix and an absolute path, so that a name such as
    ``concat:a|b`` or ``http://x`` is a file name; protocols and formats are on white lists, so that a
    playlist or script cannot open other files.

    Raises:
        MediaError: the path is missing, empty, or not a media file.
    """
    file = Path(path).absolute()
    if not file.is_file():
        raise MediaError(f"{file}: no such file; give the path of a video file")
    options = {"protocol_whitelist": "file", "format_whitelist": SAFE_FORMATS}
    try:
        return av.open(f"file:{file}", "r", container_options=options, metadata_errors="replace")
    except MemoryError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{file}: not readable as video: {describe_content(file)} ({error})") from error


def describe_content(file: Path) -> str:
    """Say in words what an unreadable file holds, judged by its first bytes, and what to do."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        return f"cannot be opened ({error.strerror}); check its permissions"
    if not head:
        return "the file is empty; copy or export it again"
    if head[4:8] in _MP4_BRANDS:
        return "an MP4/MOV file without a usable index, cut off or damaged; copy or export it again"
    if _looks_like_text(head):
        return "found text; give a video file (mp4, mov, mkv, webm, ts, avi)"
    return "found data of an unknown or refused format; give a video file (mp4, mov, mkv, webm, ts, avi)"


def _looks_like_text(head: bytes) -> bool:
    printable = sum(byte in b"\t\n\r\f" or 32 <= byte < 127 or byte >= 128 for byte in head)
    return b"\0" not in head and printable > 0.95 * len(head)


def pick_video(container: InputContainer, path: str | Path) -> VideoStream:
    """The video stream to work on: the default one, else the first, never cover art.

    Its decoder is capped at `MAX_PIXELS` and runs on one thread until told otherwise.

    Raises:
        MediaError: there is no video stream, or no decoder for it.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "no stream at all"
        raise MediaError(f"{path}: no video stream (found: {kinds}); give a file with moving pictures")
    chosen = next((s for s in streams if s.disposition & Disposition.default), streams[0])
    if chosen.codec_context is None:
        raise MediaError(f"{path}: no decoder for its video stream; convert it to H.264, HEVC, VP9 or ProRes")
    chosen.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    chosen.codec_context.thread_count = 1
    return chosen


def read_only(container: InputContainer, wanted: Stream) -> None:
    """Tell the demuxer to skip every stream but one."""
    for stream in container.streams:
        if stream.index != wanted.index:
            stream.discard = Discard.all


def announced_seconds(path: str | Path) -> float | None:
    """Length that a container announces, in seconds; None where it announces none.

    Raises:
        MediaError: as `open_input`.
    """
    with open_input(path) as container:
        return container.duration / av.time_base if container.duration else None


def to_the_damage(packets: Iterator[Packet]) -> Iterator[Packet]:
    """Packets of a demuxer; where it cannot read on, they end as at the end of the file."""
    try:
        yield from packets
    except MemoryError:
        raise
    except av.FFmpegError as error:
        _log.warning("reading stopped: %s", error)
