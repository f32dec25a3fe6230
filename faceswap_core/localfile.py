"""local files: their digests, and writing them so that each appears whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from faceswap_core.errors import DiskFullError
from faceswap_core.types import FileRef

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
            flush_to_disk(temporary)
            temporary.chmod(0o644)
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


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
