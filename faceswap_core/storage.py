"""bytes -> files of a workspace, a local folder or a prefix of a bucket: the one door to storage.

On an object store ``root`` is a folder of this machine's cache. Publishing writes there, then puts the object; reading
copies an object that is not there yet; what is finished, the bucket alone says.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from faceswap_core import layout
from faceswap_core.errors import ManifestError, SettingsError
from faceswap_core.localfile import atomic_path as atomic_path
from faceswap_core.localfile import disk_full_as_ours as disk_full_as_ours
from faceswap_core.localfile import file_ref as file_ref
from faceswap_core.localfile import flush_to_disk
from faceswap_core.localfile import free_bytes as free_bytes
from faceswap_core.localfile import process_lives as process_lives
from faceswap_core.localfile import sha256_file as sha256_file
from faceswap_core.mirror import Mirror
from faceswap_core.objectstore import SCHEME, ObjectStore, parse_address
from faceswap_core.patience import endpoint
from faceswap_core.types import FileRef

CACHE_VARIABLE = "FACESWAP_CACHE"
"""Environment variable that names the folder for local copies of workspaces on object stores."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_mirrors: dict[Path, Mirror] = {}
_mirrors_lock = threading.Lock()


def place_of(given: str | Path) -> Path | str:
    """A workspace as settings name it: the path of a folder, or ``s3://bucket/prefix``.

    Raises:
        SettingsError: it is another URL.
    """
    text = str(given)
    if not _URL.match(text):
        return Path(text)
    bucket, prefix = parse_address(text)
    return f"{SCHEME}{bucket}/{prefix}".rstrip("/")


class Workspace:
    """A folder, here or in a bucket, that holds everything one job made."""

    def __init__(self, root: str | Path) -> None:
        """Take a folder, which is created when first written to, or ``s3://bucket/prefix``.

        Raises:
            SettingsError: it is another URL.
            EnvironmentFault: s3fs is needed and not installed.
        """
        place = place_of(root)
        self._mirror = _mirror_of(place) if isinstance(place, str) else None
        self.root = self._mirror.root if self._mirror else Path(place).expanduser().absolute()
        self.address = place if isinstance(place, str) else str(self.root)

    @property
    def store(self) -> ObjectStore | None:
        """The object store, None for a folder."""
        return self._mirror.store if self._mirror else None

    def reach(self) -> None:
        """Look whether an object store answers and lets us in; a folder always does.

        Raises:
            FaceswapError: as `ObjectStore.reach` has it.
        """
        if self._mirror:
            self._mirror.store.reach()

    def begin(self) -> None:
        """Clean up before a run: files of killed processes, and copies of what the bucket holds no longer."""
        self.clear_scratch()
        if self._mirror:
            self._mirror.forget_gone()

    def path(self, relative: str) -> Path:
        """Absolute local path of a file of this workspace; `localize` makes sure that it is there.

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

    def localize(self, path: str, sha256: str) -> Path:
        """Local path of a referenced file, copied from the bucket first where need be; absent where that has it not."""
        if os.path.isabs(path):
            return Path(path)
        full = self.path(path)
        return self._mirror.fetch(self.relative(full), sha256) if self._mirror else full

    def holds(self, path: str, sha256: str) -> bool:
        """True when the referenced file is there with that digest; of a bucket, when that has it."""
        if self._mirror and not os.path.isabs(path):
            return self._mirror.holds(self.relative(self.path(path)), sha256)
        full = Path(path) if os.path.isabs(path) else self.root / path
        if full.is_file() and sha256_file(full) == sha256:
            return True
        return self._mirror is not None and self._mirror.holds(layout.kept_output(sha256, full.suffix), sha256)

    def publish_bytes(self, folder: str, name: str, suffix: str, data: bytes) -> FileRef:
        """Write ``<folder>/<name>-<digest><suffix>``; the name tells the content."""
        digest = hashlib.sha256(data).hexdigest()
        final = self.root / folder / f"{name}-{digest[:12]}{suffix}"
        if not (final.is_file() and sha256_file(final) == digest):
            with atomic_path(final) as temporary:
                temporary.write_bytes(data)
        return self._sent(FileRef(path=self.relative(final), sha256=digest, size=len(data)))

    def publish_file(self, folder: str, name: str, temporary: Path) -> FileRef:
        """Move a finished temporary file to ``<folder>/<name>-<digest><suffix>``."""
        digest = sha256_file(temporary)
        final = self.root / folder / f"{name}-{digest[:12]}{temporary.suffix}"
        with disk_full_as_ours(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            flush_to_disk(temporary)
            temporary.chmod(0o644)
            os.replace(temporary, final)
        return self._sent(FileRef(path=self.relative(final), sha256=digest, size=final.stat().st_size))

    def adopt(self, path: Path) -> FileRef:
        """Reference to a finished file: relative where it was written into this workspace, else absolute and kept."""
        ref = file_ref(path)
        if path.resolve().is_relative_to(self.root.resolve()):
            return self._sent(ref | {"path": self.relative(path)})
        if self._mirror:
            self._mirror.send(layout.kept_output(ref["sha256"], path.suffix), ref["sha256"], path)
        return ref

    def bring(self, ref: FileRef, to: Path) -> None:
        """Put a finished file that the bucket keeps back to where the job wants it, if it is not there.

        Raises:
            ManifestError: it was made for another place, or is gone.
        """
        if ref["path"] != str(to):
            raise ManifestError(f"{ref['path']} is not {to}, which this job writes: run the same command again")
        if self._mirror is None or (to.is_file() and sha256_file(to) == ref["sha256"]):
            return
        if not self._mirror.restore(layout.kept_output(ref["sha256"], to.suffix), ref["sha256"], to):
            raise ManifestError(f"{to} is gone from here and from {self.address}: run the same command again")

    def _sent(self, ref: FileRef) -> FileRef:
        if self._mirror:
            self._mirror.send(ref["path"], ref["sha256"])
        return ref

    def refresh(self, name: str) -> None:
        """Make the local copy of a small file that of the bucket, or none."""
        if self._mirror:
            self._mirror.refresh(name)

    def read(self, name: str) -> bytes | None:
        """Content of a small file that is written anew at times; None where it is not there."""
        full = self.path(name)
        if self._mirror:
            return self._mirror.read(self.relative(full))
        return full.read_bytes() if full.is_file() else None

    def write(self, name: str, data: bytes) -> None:
        """Write such a file whole."""
        if self._mirror:
            self._mirror.write(name, data)
            return
        with atomic_path(self.path(name)) as temporary:
            temporary.write_bytes(data)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        if self._mirror:
            self._mirror.remove([name])
        else:
            self.path(name).unlink(missing_ok=True)

    def pull(self, folder: str, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Names of the wanted files under a folder, the oldest first; all of them are here then."""
        if self._mirror:
            return self._mirror.pull(f"{folder}/" if folder else "", wanted)
        paths = [path for path in (self.root / folder).rglob("*") if path.is_file()]
        paths.sort(key=lambda path: (path.stat().st_mtime_ns, path))
        return [name for path in paths if wanted(name := path.relative_to(self.root).as_posix())]

    def push(self, folder: str) -> None:
        """Let the bucket have what was written into a folder here."""
        if self._mirror:
            self._mirror.push(folder)

    @contextmanager
    def whole(self) -> Iterator[Callable[[], None]]:
        """Have every file here; gives what deletes from the bucket the files that were deleted here meanwhile."""
        mirror = self._mirror
        if mirror is None:
            yield lambda: None
            return
        mirror.forget_gone()
        names = self.pull("")
        yield lambda: mirror.remove(name for name in names if not (self.root / name).is_file())

    @contextmanager
    def scratch(self, suffix: str) -> Iterator[Path]:
        """Give the path of a temporary file on the workspace's disk; it is gone afterwards."""
        folder = self.root / layout.SCRATCH / f"{socket.gethostname()}-{os.getpid()}"
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
        for folder in (self.root / layout.SCRATCH).glob(f"{socket.gethostname()}-*"):
            pid = folder.name.rpartition("-")[2]
            if pid.isdecimal() and not process_lives(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def local_workspace(place: Path | str, command: str) -> Path:
    """The folder of a command that works on local folders only.

    Raises:
        SettingsError: an object store is named.
    """
    if isinstance(place, str):
        raise SettingsError(f"{command} works in a local folder, not in {place}: name one with --workspace")
    return place


def _mirror_of(address: str) -> Mirror:
    """One for each address in a process, as it remembers what it has seen; each store has a folder of its own."""
    cache = os.environ.get(CACHE_VARIABLE)
    base = Path(cache).expanduser() if cache else platformdirs.user_cache_path("faceswap") / "workspaces"
    digest = hashlib.sha256(f"{endpoint()} {address}".encode()).hexdigest()[:12]
    root = base.absolute() / f"{address.removeprefix(SCHEME).replace('/', '-')[:80]}-{digest}"
    with _mirrors_lock:
        if root not in _mirrors:
            store = ObjectStore(address)
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _mirrors[root] = Mirror(root, store)
        return _mirrors[root]
