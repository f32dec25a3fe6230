"""path -> open output container that appears under its name only when complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import OutputContainer

from faceswap_core.errors import DiskFullError, SettingsError

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".mts": "mpegts",
}
"""Suffix of an output file -> muxer; all of them hold the time of every single frame, which AVI and MXF do not."""
MP4_FAMILY = frozenset({"mp4", "mov"})
"""Muxers that write the ISO base media format."""


def muxer_of(path: Path) -> str:
    """Muxer for an output path, by its suffix.

    Raises:
        SettingsError: the suffix stands for no container that can be written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise SettingsError(f"{path}: cannot write a {path.suffix or 'nameless'} file; use {known}") from None


@contextmanager
def open_output(path: Path, muxer: str, options: Mapping[str, str]) -> Iterator[OutputContainer]:
    """Write a container to a temporary name beside ``path``; fsync and rename it at the end.

    Nothing is left behind where the body or the closing fails.

    Raises:
        DiskFullError: no space left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial").absolute()
    try:
        with disk_full_named(path):
            name = f"file:{temporary}"
            with av.open(name, "w", format=muxer, container_options=dict(options)) as container:
                yield container
            _sync(temporary)
            os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def disk_full_named(path: Path) -> Iterator[None]:
    """Turn "no space left" from FFmpeg or the system into `DiskFullError`."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{path}: no space left on the disk; free some and run again") from error
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
