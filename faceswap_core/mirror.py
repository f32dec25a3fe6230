"""objects of a bucket <-> a local folder that holds those needed so far: what is there, the bucket alone says.

Files that nobody changes carry their digest in what refers to them, and are copied once. The few that are written anew
(pointers, checkpoints' lists, records of runs) are asked for each time.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from faceswap_core.layout import ANCHORS, HERE_ONLY
from faceswap_core.localfile import atomic_path, sha256_file
from faceswap_core.objectstore import Entry, ObjectStore

_log = logging.getLogger(__name__)
_LISTED_SECONDS = 60.0
"""How long a list of all objects is believed, or fifty times as long as making it took; what it does not name is asked
for, and what is read is checked."""
_YOUNG_SECONDS = 600.0
"""Age below which a local file may belong to work of another process that is not sent yet."""
_IN_MEMORY = 64 * 1024 * 1024


class Mirror:
    """A local folder in front of an object store."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        """Name both; nothing is asked for yet."""
        self.root = root
        self.store = store
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._stale_at = 0.0
        self._proven: dict[tuple[str, str], str] = {}

    def look(self) -> dict[str, Entry]:
        """List all objects anew."""
        with self._lock:
            return dict(self._look())

    def _look(self) -> dict[str, Entry]:
        began = time.monotonic()
        self._entries = self.store.entries()
        now = time.monotonic()
        self._stale_at = now + max(_LISTED_SECONDS, 50 * (now - began))
        return self._entries

    def holds(self, name: str, sha256: str) -> bool:
        """True when the bucket has the object with that digest."""
        entry = self._entry(name)
        return entry is not None and self._digest(name, entry) == sha256

    def _entry(self, name: str) -> Entry | None:
        with self._lock:
            if time.monotonic() > self._stale_at:
                self._look()
        return self._entries.get(name) or self.store.entry(name)

    def _digest(self, name: str, entry: Entry) -> str:
        """Digest of an object: of the local file where both are the same, else as the store says, else by reading."""
        key = (name, entry.etag)
        if key not in self._proven:
            told = self._told(name, entry)
            if told is None and self._copy(name, lambda _: True):
                told = sha256_file(self.root / name)
            self._proven[key] = told or ""
        return self._proven[key]

    def _told(self, name: str, entry: Entry) -> str | None:
        local = self.root / name
        if _is_same(local, entry):
            return sha256_file(local)
        if entry.sha256 is None:
            asked = self.store.entry(name)
            return asked.sha256 if asked and asked.etag == entry.etag else None
        return entry.sha256

    def fetch(self, name: str, sha256: str) -> Path:
        """The local file; copied from the bucket where it is not there with that digest, absent where none has it."""
        local = self.root / name
        if local.is_file() and sha256_file(local) == sha256:
            return local
        if not self._copy(name, lambda file: sha256_file(file) == sha256):
            local.unlink(missing_ok=True)
            self._stale_at = 0.0
        return local

    def _copy(self, name: str, fits: Callable[[Path], bool], to: Path | None = None) -> bool:
        """Copy one object into its place; False where it is not there or does not fit."""
        try:
            with atomic_path(to or self.root / name) as temporary:
                if not (self.store.fetch(name, temporary) and fits(temporary)):
                    raise _Unfit
        except _Unfit:
            return False
        return True

    def send(self, name: str, sha256: str, path: Path | None = None) -> None:
        """Put a finished file whose content never changes."""
        entry = self.store.send(path or self.root / name, name, sha256)
        if entry is not None:
            self._entries[name] = entry
            self._proven[name, entry.etag] = sha256

    def restore(self, name: str, sha256: str, to: Path) -> bool:
        """Copy an object to another place than its own."""
        return self._copy(name, lambda file: sha256_file(file) == sha256, to)

    def refresh(self, name: str) -> None:
        """Make the local copy of a small file that of the bucket, as far as the last list of all objects tells."""
        entry = self._entry(name)
        if entry is None or not _is_same(self.root / name, entry):
            self.read(name)

    def read(self, name: str) -> bytes | None:
        """A small file as the bucket has it now; the local copy becomes the same."""
        found = self.store.read(name)
        if found is None:
            (self.root / name).unlink(missing_ok=True)
            return None
        self._write_local(name, found[0])
        return found[0]

    def write(self, name: str, data: bytes) -> None:
        """Write a small file here, then there."""
        self._write_local(name, data)
        self.store.write(name, data)
        self._entries.pop(name, None)

    def _write_local(self, name: str, data: bytes) -> None:
        with atomic_path(self.root / name) as temporary:
            temporary.write_bytes(data)

    def remove(self, names: Iterable[str]) -> None:
        """Delete files there, then here."""
        doomed = list(names)
        self.store.delete(doomed)
        for name in doomed:
            self._entries.pop(name, None)
            (self.root / name).unlink(missing_ok=True)

    def pull(self, folder: str, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Copy what a folder of the bucket has and the local one has not, or has otherwise; names of all there is."""
        entries = {name: e for name, e in self.store.entries(folder).items() if wanted(name)}
        needed = [name for name, entry in entries.items() if not self._is_here(name, entry)]
        self.store.each(lambda name: self._copy(name, lambda _: True), needed)
        return sorted(entries, key=lambda name: (entries[name].modified, name))

    def push(self, folder: str) -> None:
        """Send what the local folder has and the bucket has not, or has otherwise; the JSON that names others last."""
        entries = self.store.entries(folder + "/")
        paths = [path for path in (self.root / folder).rglob("*") if path.is_file() and not path.name.startswith(".")]
        for path in sorted(paths, key=lambda path: (path.suffix == ".json", path)):
            name = path.relative_to(self.root).as_posix()
            if name in entries and self._is_here(name, entries[name]):
                continue
            if path.stat().st_size <= _IN_MEMORY:
                self.store.write(name, path.read_bytes())  # may be written to meanwhile, such as a log
            else:
                self.send(name, sha256_file(path))

    def _is_here(self, name: str, entry: Entry) -> bool:
        local = self.root / name
        if not local.is_file() or local.stat().st_size != entry.size:
            return False
        return _is_same(local, entry) or ("-" in entry.etag and self._digest(name, entry) == sha256_file(local))

    def forget_gone(self) -> None:
        """Delete local copies of what the bucket holds no longer: faces purged elsewhere leave this machine, too."""
        there = self.look()
        for path in [path for path in self.root.rglob("*") if path.is_file()]:
            name = path.relative_to(self.root).as_posix()
            if name.split("/")[0] in HERE_ONLY or time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            if _anchor(name) not in there:
                _log.info("forgetting %s, which %s holds no longer", name, self.store.address)
                path.unlink(missing_ok=True)


class _Unfit(Exception):
    """An object is not there, or not what was asked for."""


def _anchor(name: str) -> str:
    """The object whose presence says that a local file is still wanted: itself, or the first one of its folder."""
    top, *rest = name.split("/")
    return f"{top}/{rest[0]}/{ANCHORS[top]}" if top in ANCHORS and len(rest) > 1 else name


def _is_same(path: Path, entry: Entry) -> bool:
    """True when a local file has the bytes of an object, as far as its etag tells."""
    return path.is_file() and path.stat().st_size == entry.size and _md5(path) == entry.etag


def _md5(path: Path) -> str:
    stat = path.stat()
    facts = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return _md5_of(*facts) if time.time() - stat.st_ctime > 1 else _md5_of.__wrapped__(*facts)


@lru_cache(maxsize=65536)
def _md5_of(path: str, size: int, mtime_ns: int, ctime_ns: int, inode: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
