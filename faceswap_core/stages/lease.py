"""checkpoint folder -> held by one process at a time."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from faceswap_core.errors import ResourceError
from faceswap_core.models.parallel import place
from faceswap_core.storage import atomic_path, process_lives
from faceswap_core.types import Json

_LEASE_SECONDS = 600


@contextmanager
def lease(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold the folder for this process; one that died, or on another host went silent, is taken over from.

    Raises:
        ResourceError: another live process holds it.
    """
    if place()[0] != 0:
        yield lambda: None  # the first process of a training holds it for all
        return
    path = folder / "lease.json"
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
