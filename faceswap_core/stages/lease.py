"""checkpoint folder -> held by one process at a time."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faceswap_core.errors import FaceswapError, ResourceError
from faceswap_core.models.parallel import place
from faceswap_core.objectstore import ObjectStore
from faceswap_core.storage import Workspace, atomic_path, process_lives
from faceswap_core.types import Json

_log = logging.getLogger(__name__)
_NAME = "lease.json"
_LEASE_SECONDS = 600
_STORE_LEASE_SECONDS = 60.0
"""In a bucket: silence after which the holder counts as dead; it renews six times as often."""


def _nothing() -> None:
    pass


@contextmanager
def lease(workspace: Workspace, folder: str, waiting: Callable[[], None] = _nothing) -> Iterator[Callable[[], None]]:
    """Hold the folder for this process; one that died, or on another host went silent, is taken over from.

    In a bucket the holder is waited for: what it trains is then there for both.

    Args:
        workspace: where the folder is.
        folder: checkpoint folder, relative.
        waiting: called now and then while another process is waited for; it may raise to stop that.

    Yields:
        what is to be called now and then by the holder.

    Raises:
        ResourceError: another live process holds it.
    """
    if place()[0] != 0:
        yield _nothing  # the first process of a training holds it for all
    elif workspace.store is None:
        with _of_folder(workspace.path(folder)) as renew:
            yield renew
    else:
        with _of_store(workspace.store, f"{folder}/.{_NAME}", waiting) as renew:
            yield renew


@contextmanager
def _of_folder(folder: Path) -> Iterator[Callable[[], None]]:
    path = folder / _NAME
    mine = {"host": socket.gethostname(), "pid": os.getpid()}
    if path.is_file() and _held_by_another(path, mine):
        raise ResourceError(f"another process trains the same model ({path}): wait for it, or stop it")

    renewed = 0.0

    def renew() -> None:
        nonlocal renewed
        if time.monotonic() - renewed < _LEASE_SECONDS / 20 and renewed:
            return
        renewed = time.monotonic()
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({**mine, "expires": time.time() + _LEASE_SECONDS}))

    renew()
    try:
        yield renew
    finally:
        path.unlink(missing_ok=True)


def _held_by_another(path: Path, mine: Json) -> bool:
    """False also for what is no lease: ours appear whole or not at all."""
    try:
        found = json.loads(path.read_text())
        host, pid, expires = str(found["host"]), int(found["pid"]), float(found["expires"])
        if host == mine["host"]:
            return pid != mine["pid"] and process_lives(pid)
        return expires >= time.time()
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return False


@contextmanager
def _of_store(store: ObjectStore, name: str, waiting: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """The lease is an object that only one can create; its holder replaces it again and again, which shows it lives."""
    held = _Held(store, name)
    held.take(waiting)
    renewing = threading.Thread(target=held.keep, daemon=True, name="lease")
    renewing.start()
    try:
        yield held.check
    finally:
        held.ended.set()
        renewing.join()
        held.give_back()


class _Held:
    """The lease of this process."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        self.store, self.name = store, name
        self.mine = {"host": socket.gethostname(), "pid": os.getpid(), "holder": secrets.token_hex(8)}
        self.count = 0
        self.etag = ""
        self.lost = False
        self.ended = threading.Event()

    def take(self, waiting: Callable[[], None]) -> None:
        """Create the object, or replace one that did not change for as long as a lease holds."""
        seen, since, told = "", time.monotonic(), False
        while not self._put("nothing"):
            found = self.store.read(self.name)
            if found is None:
                continue
            data, etag = found
            if self._is_mine(data):
                self.etag = etag
                return
            if etag != seen:
                seen, since = etag, time.monotonic()
            elif time.monotonic() - since > _STORE_LEASE_SECONDS or self._is_dead(data):
                if self._put(etag):
                    return
                continue
            if not told:
                told = True
                _log.info("another process trains the same model (%s of %s): waiting", self.name, self.store.address)
            waiting()
            time.sleep(min(2.0, _STORE_LEASE_SECONDS / 6))

    def _put(self, replaces: str) -> bool:
        self.count += 1
        data = json.dumps({**self.mine, "renewed": self.count}).encode()
        etag = self.store.write(self.name, data, replaces)
        self.etag = etag or self.etag
        return etag is not None

    def _is_mine(self, data: bytes) -> bool:
        """True where a request of ours was carried out although its answer was lost."""
        return _parsed(data).get("holder") == self.mine["holder"]

    def _is_dead(self, data: bytes) -> bool:
        """True where the holder was a process of this host, and is gone."""
        told = _parsed(data)
        return told.get("host") == self.mine["host"] and not process_lives(int(told.get("pid", os.getpid())))

    def keep(self) -> None:
        """Renew until the work has ended; runs beside it."""
        while not self.ended.wait(_STORE_LEASE_SECONDS / 6):
            try:
                if not self._put(self.etag):
                    found = self.store.read(self.name)
                    self.lost = found is None or not self._is_mine(found[0])
                    self.etag = self.etag if found is None else found[1]
            except FaceswapError as error:
                _log.warning("the lease of %s was not renewed: %s", self.name, error)
            if self.lost:
                return

    def check(self) -> None:
        """Do nothing while the lease is ours.

        Raises:
            ResourceError: another process took it over, as this one was silent for too long.
        """
        if self.lost:
            raise ResourceError(f"another process took over the training ({self.name}), as this one was silent: wait")

    def give_back(self) -> None:
        """Remove the object, if it is still ours."""
        found = self.store.read(self.name)
        if found is not None and self._is_mine(found[0]):
            self.store.delete([self.name])


def _parsed(data: bytes) -> Json:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
