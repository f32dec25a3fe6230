"""what tasks were given and what they made -> which files come from whose footage, one line a file in the workspace.

A file comes from the records of everything that it was made of. Purging and proving a purge read this list. An object
cannot be appended to: in a bucket the list is in parts, one for each task that added to it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from faceswap_core import layout
from faceswap_core.storage import Workspace, atomic_path, disk_full_as_ours
from faceswap_core.trust.consent import Grant

CONSENTS = "consents.json"
"""File in a checkpoint folder that names the consent records it was trained under."""
_lock = threading.Lock()


@dataclass(frozen=True)
class Origin:
    """A file and the consent records that it comes from."""

    path: str
    """As references hold it: relative to the workspace, or absolute."""
    sha256: str
    """Digest of its bytes."""
    records: frozenset[str]
    """record_id of each."""
    source: bool = False
    """True for footage, which nobody purges."""


@dataclass
class _Read:
    """As much of a list as was read so far: tasks ask thousands of times, and it only grows."""

    inode: int = 0
    length: int = 0
    origins: dict[Origin, None] = field(default_factory=dict)
    by_digest: dict[str, frozenset[str]] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)

    def add(self, text: str) -> None:
        for line in text.splitlines():
            if origin := _parsed(line):
                self.origins[origin] = None
                self.by_digest[origin.sha256] = self.by_digest.get(origin.sha256, frozenset()) | origin.records


_read_so_far: dict[Path, _Read] = {}


class Lineage:
    """The list of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        """Name the workspace; nothing is read yet."""
        self._workspace = workspace
        self._path = workspace.root / layout.LINEAGE

    def read(self) -> list[Origin]:
        """All lines; one cut off by a crash is left out."""
        with _lock:
            return list(self._updated().origins)

    def records_of(self, digests: Iterable[str]) -> frozenset[str]:
        """Records that files with these digests come from."""
        wanted = list(digests)
        with _lock:
            known = self._updated(lambda state: not all(digest in state.by_digest for digest in wanted)).by_digest
            return frozenset().union(*(known.get(digest, frozenset()) for digest in wanted))

    def note(self, origins: Iterable[Origin]) -> None:
        """Add lines; those without a record and those that are there already are left out."""
        with _lock, disk_full_as_ours(self._path):
            state = self._updated(lambda state: not state.parts)
            lines = [_line(origin) for origin in origins if origin.records and origin not in state.origins]
            if lines and self._workspace.store:
                self._put("".join(lines), state)
            elif lines:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab", buffering=0) as stream:
                    stream.write("".join(lines).encode())  # at once: workers of other processes add lines, too

    def keep(self, origins: Iterable[Origin]) -> None:
        """Write the list anew with these lines alone."""
        text = "".join(map(_line, origins))
        if self._workspace.store is None:
            with _lock, atomic_path(self._path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            return
        with _lock:
            parts = self._workspace.pull(layout.LINEAGE_PARTS)
            state = _read_so_far[self._path] = _Read()
            kept = self._put(text, state)
            for name in parts:
                if name != kept:
                    self._workspace.remove(name)

    def _put(self, text: str, state: _Read) -> str:
        """Add a part of the list in a bucket; its name."""
        name = layout.lineage_part(hashlib.sha256(text.encode()).hexdigest())
        self._workspace.write(name, text.encode())
        state.add(text)
        state.parts.add(name)
        return name

    def _updated(self, needed: Callable[[_Read], bool] = lambda _: True) -> _Read:
        """What is known, with the whole lines that were added since; a bucket is asked only where ``needed``."""
        if self._workspace.store:
            state = _read_so_far.setdefault(self._path, _Read())
            for name in self._workspace.pull(layout.LINEAGE_PARTS) if needed(state) else ():
                if name not in state.parts:
                    state.add(self._workspace.path(name).read_text(errors="replace"))
                    state.parts.add(name)
            return state
        if not self._path.is_file():
            return _Read()
        inode = self._path.stat().st_ino
        state = _read_so_far.get(self._path, _Read())
        if state.inode != inode or state.length > self._path.stat().st_size:
            state = _Read(inode)
        with self._path.open("rb") as stream:
            stream.seek(state.length)
            added = stream.read()
        whole = added[: added.rfind(b"\n") + 1]
        state.add(whole.decode(errors="replace"))
        state.length += len(whole)
        _read_so_far[self._path] = state
        return state


def _line(origin: Origin) -> str:
    return json.dumps({**vars(origin), "records": sorted(origin.records)}) + "\n"


def _parsed(line: str) -> Origin | None:
    try:
        found = json.loads(line)
        return Origin(found["path"], found["sha256"], frozenset(found["records"]), bool(found["source"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def note_sources(workspace: Workspace, sources: Mapping[Path, tuple[str, str]]) -> None:
    """Note whose footage a job reads: sha256 and record_id by path."""
    Lineage(workspace).note(
        Origin(str(path), sha256, frozenset([record]), source=True) for path, (sha256, record) in sources.items()
    )


def note_made(workspace: Workspace, given: Mapping[str, Any], made: Iterable[tuple[str, str]]) -> None:
    """Note what a task made (path and sha256) of what it was given."""
    lineage, origins = Lineage(workspace), list[Origin]()
    records = frozenset(_records(given)) | lineage.records_of(_digests(given))
    for path, sha256 in made:
        origins.append(Origin(_relative(workspace, path), sha256, records))
        if workspace.store and origins[-1].path.startswith("/"):
            origins.append(Origin(layout.kept_output(sha256, Path(path).suffix), sha256, records))
    lineage.note(origins)


def _relative(workspace: Workspace, path: str) -> str:
    """A path as the list holds it: absolute only outside the workspace, so that a moved workspace keeps its list."""
    full, root = (workspace.root / path).resolve(), workspace.root.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)


def _digests(value: Any) -> Iterator[str]:
    """Every sha256 in a task's arguments."""
    for name, text in _texts(value):
        if name == "sha256":
            yield text


def _records(value: Any) -> Iterator[str]:
    """Every record_id of a grant in a task's arguments."""
    for name, text in _texts(value):
        if name == "record":
            yield text


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in nested arguments with the key that it stands under; settings hold none of ours."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, str(key))
    elif isinstance(value, list | tuple) and not isinstance(value, BaseModel):
        for inner in value:
            yield from _texts(inner, name)


def bind_checkpoint(workspace: Workspace, folder: str, consents: Mapping[str, Grant]) -> None:
    """Write down, before the first step, under which records a network is trained: a killed training is found too."""
    workspace.write(f"{folder}/{CONSENTS}", json.dumps(dict(consents), indent=1).encode())
