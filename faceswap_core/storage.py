"""bytes -> files of a workspace: the one door to storage; every file appears whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from faceswap_core.errors import DiskFullError, ManifestError, SettingsError
from faceswap_core.types import FileRef

SCRATCH = ".tmp"
"""Folder of a workspace for files that are still being written."""
_SETTLED_NS = 50_000_000
"""Age from which a file's times tell it apart from a later rewrite: many kernels' clocks tick every 4 to 10 ms."""


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes; remembered while size, times and inode stay the same."""
    stat = path.stat()
    facts = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    if time.time_ns() - stat.st_ctime_ns < _SETTLED_NS:
        return _sha256_of.__wrapped__(*facts)
    return _sha256_of(*facts)


@lru_cache(maxsize=65536)
def _sha256_of(path: str, size: int, mtime_ns: int, ctime_ns: int, inode: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def disk_full_as_ours(path: Path) -> Iterator[None]:
    """Turn "no space left on device" into DiskFullError naming the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            f"no space left while writing {path}: free some space on that disk, or set another workspace, "
            "and run the same command again; finished work is kept"
        ) from error


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``final``; flush it to disk and rename it at the end.

    On any error nothing stays behind, under neither name.
    """
    with disk_full_as_ours(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=final.parent, prefix=".tmp-", suffix=final.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _flush_to_disk(temporary)
            temporary.chmod(0o644)
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


class Workspace:
    """A folder that holds everything one job made."""

    def __init__(self, root: str | Path) -> None:
        """Take a local folder; it is created when first written to."""
        if "://" in str(root):
            raise SettingsError(
                f"workspace {str(root)!r} is not a local folder: object stores cannot be used yet; name a folder"
            )
        self.root = Path(root).expanduser().absolute()

    def path(self, relative: str) -> Path:
        """Absolute path of a file of this workspace.

        Raises:
            ManifestError: the path leaves the workspace.
        """
        full = (self.root / relative).resolve()
        if not full.is_relative_to(self.root.resolve()):
            raise ManifestError(f"path {relative!r} leaves the workspace {self.root}: remove the record naming it")
        return full

    def relative(self, path: Path) -> str:
        """Path of a file of this workspace as it stands in references."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()

    def publish_bytes(self, folder: str, name: str, suffix: str, data: bytes) -> FileRef:
        """Write ``<folder>/<name>-<digest><suffix>``; the name tells the content."""
        digest = hashlib.sha256(data).hexdigest()
        final = self.root / folder / f"{name}-{digest[:12]}{suffix}"
        if not (final.is_file() and sha256_file(final) == digest):
            with atomic_path(final) as temporary:
                temporary.write_bytes(data)
        return FileRef(path=self.relative(final), sha256=digest, size=len(data))

    def publish_file(self, folder: str, name: str, temporary: Path) -> FileRef:
        """Move a finished temporary file to ``<folder>/<name>-<digest><suffix>``."""
        digest = sha256_file(temporary)
        final = self.root / folder / f"{name}-{digest[:12]}{temporary.suffix}"
        with disk_full_as_ours(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            _flush_to_disk(temporary)
            temporary.chmod(0o644)
            os.replace(temporary, final)
        return FileRef(path=self.relative(final), sha256=digest, size=final.stat().st_size)

    @contextmanager
    def scratch(self, suffix: str) -> Iterator[Path]:
        """Give the path of a temporary file on the workspace's disk; it is gone afterwards."""
        folder = self.root / SCRATCH / f"{socket.gethostname()}-{os.getpid()}"
        with disk_full_as_ours(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=folder, suffix=suffix)
            os.close(handle)
            try:
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)

    def clear_scratch(self) -> None:
        """Delete the temporary files that processes of this host left when they were killed."""
        for folder in (self.root / SCRATCH).glob(f"{socket.gethostname()}-*"):
            pid = folder.name.rpartition("-")[2]
            if pid.isdecimal() and not process_lives(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)

    def holds(self, path: str, sha256: str) -> bool:
        """True when the referenced file is there with that digest."""
        full = Path(path) if os.path.isabs(path) else self.root / path
        return full.is_file() and sha256_file(full) == sha256


def process_lives(pid: int) -> bool:
    """True where a process of this host has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def file_ref(path: Path) -> FileRef:
    """Reference to a file outside any workspace (absolute path)."""
    full = path.absolute()
    return FileRef(path=str(full), sha256=sha256_file(full), size=full.stat().st_size)


def free_bytes(path: Path) -> int:
    """Free space of the disk that holds ``path`` or its nearest existing parent."""
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
