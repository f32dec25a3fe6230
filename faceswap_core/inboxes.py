"""files of an inbox, in a folder or under a prefix of a bucket: listed, claimed once, moved, written whole.

A name is a path below the inbox, such as ``claimed/film.toml``.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Protocol

from faceswap_core.localfile import atomic_path
from faceswap_core.objectstore import ObjectStore

_log = logging.getLogger(__name__)
_MAX_CLAIMED_BYTES = 8 * 1024 * 1024
FOLDERS = ("claimed", "bad", "done", "failed")


class Inbox(Protocol):
    """Where job files are laid and sorted."""

    base: Path
    """What paths in a job file count from."""

    def names(self, folder: str = "") -> list[str]:
        """The job files that lie in one of its folders, or wait."""

    def claim(self, name: str) -> None:
        """Move a waiting file to ``claimed``, where one watcher alone brings it."""

    def identity(self, name: str) -> str:
        """What tells a claimed file from one of that name and content that is given again later."""

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where it is not there."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole."""

    def free(self, name: str) -> str:
        """The name, or one with a number where another file has it."""

    def move(self, name: str, to: str) -> None:
        """Give a file another name; nothing happens where it is not there."""

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""


def inbox_at(place: Path | str) -> Inbox:
    """The inbox in a folder, which is made, or under ``s3://bucket/prefix``."""
    return BucketInbox(place) if isinstance(place, str) else FolderInbox(place)


class FolderInbox:
    """A folder; what is renamed is there once."""

    def __init__(self, folder: Path) -> None:
        """Make it, if need be."""
        self.base = folder.absolute()
        for name in FOLDERS:
            (self.base / name).mkdir(parents=True, exist_ok=True)

    def names(self, folder: str = "") -> list[str]:
        """As `Inbox` has it, like all below."""
        return sorted(path.relative_to(self.base).as_posix() for path in (self.base / folder).glob("*.toml"))

    def claim(self, name: str) -> None:
        """By renaming."""
        try:
            (self.base / name).rename(self.base / self.free(f"claimed/{name}"))
        except FileNotFoundError:
            _log.info("%s was claimed by another watcher", name)

    def identity(self, name: str) -> str:
        """Its name and time, which renaming leaves."""
        path = self.base / name
        return f"{path.name} {path.stat().st_mtime_ns}"

    def read(self, name: str) -> bytes | None:
        """From the disk."""
        try:
            return (self.base / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """To the disk."""
        with atomic_path(self.base / name) as temporary:
            temporary.write_bytes(data)

    def free(self, name: str) -> str:
        """With a number from 2 on."""
        path, number = self.base / name, 1
        free = path
        while free.exists():
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
        return free.relative_to(self.base).as_posix()

    def move(self, name: str, to: str) -> None:
        """By renaming."""
        if (self.base / name).exists():
            os.replace(self.base / name, self.base / to)

    def remove(self, name: str) -> None:
        """From the disk."""
        (self.base / name).unlink(missing_ok=True)


class BucketInbox:
    """A prefix of a bucket, where nothing can be renamed: a claim creates an object that only one can create.

    The claimed object's name carries the version of the file that was claimed, ``claimed/film.1a2b3c4d.toml``. So a
    watcher that died between that and deleting the file, or that was late, claims no other thing than the first did,
    and a file of the same name that comes later is another one.
    """

    def __init__(self, address: str) -> None:
        """Name the place; nothing is asked of it yet."""
        self.store = ObjectStore(address)
        self.base = Path.cwd()

    def names(self, folder: str = "") -> list[str]:
        """As `Inbox` has it, like all below."""
        under = f"{folder}/" if folder else ""
        found = (name for name in self.store.entries(under) if "/" not in name.removeprefix(under))
        return sorted(name for name in found if name.endswith(".toml"))

    def claim(self, name: str) -> None:
        """By a conditional put, then deleting what was copied."""
        entry = self.store.entry(name)
        if entry is None:
            return
        if entry.size > _MAX_CLAIMED_BYTES:
            _log.warning("%s has %d bytes and is left where it is: job files are small", name, entry.size)
            return
        found = self.store.read(name)
        if found is None or found[1] != entry.etag:
            return  # written anew this moment: the next look finds it
        version = hashlib.sha256(f"{entry.etag} {entry.modified}".encode()).hexdigest()[:8]
        claimed = f"claimed/{name.removesuffix('.toml')}.{version}.toml"
        if self.store.write(claimed, found[0], replaces="nothing") is None:
            _log.info("%s was claimed by another watcher", name)
        now = self.store.entry(name)
        if now is not None and (now.etag, now.modified) == (entry.etag, entry.modified):
            self.store.delete([name])

    def identity(self, name: str) -> str:
        """Its name, which carries its version."""
        return name.rpartition("/")[2]

    def read(self, name: str) -> bytes | None:
        """From the bucket."""
        found = self.store.read(name)
        return None if found is None else found[0]

    def write(self, name: str, data: bytes) -> None:
        """To the bucket."""
        self.store.write(name, data)

    def free(self, name: str) -> str:
        """The name itself, as no other file has its version."""
        return name

    def move(self, name: str, to: str) -> None:
        """By writing it anew and deleting the first."""
        data = self.read(name)
        if data is not None:
            self.write(to, data)
            self.remove(name)

    def remove(self, name: str) -> None:
        """From the bucket."""
        self.store.delete([name])
