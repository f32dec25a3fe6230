"""workers in other processes <-> the process of the run: what they tell, and whether a stop was asked for.

A worker sends one JSON object a line and waits for the answer, ``{"stop": false}`` in the main. So what it told has
been counted before its task run ends, and it hears of a stop as soon as it asks or tells anything. The address and
the secret of the run travel with each task (`tasks.options.StageKey`), to workers of any kind and on any machine.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from faceswap_core.types import Json

_log = logging.getLogger(__name__)
_SECONDS = 30.0
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Line:
    """Where the process of a run listens."""

    host: str
    """Address that its workers reach."""
    port: int
    """Port of it."""
    secret: str
    """What a worker says first."""
    owner: tuple[str, int]
    """Host and process id of the run: told there, nothing needs to be sent."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, secret: str, told: Callable[[Json], bool]) -> None:
        self.secret = secret
        self.told = told
        super().__init__((host, 0), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    """One worker, from its first word to its end."""

    server: _Server

    def handle(self) -> None:
        """Answer line by line; who does not know the secret is not answered."""
        if not hmac.compare_digest(self.rfile.readline(_LONGEST_LINE).strip(), self.server.secret.encode()):
            return
        while line := self.rfile.readline(_LONGEST_LINE):
            stop = self.server.told(json.loads(line))
            self.wfile.write(json.dumps({"stop": stop}).encode() + b"\n")


_open: list[Line] = []
"""Lines of the runs of this process, the latest last."""
_to_run: _Caller | None = None
"""In a worker: the way to the run that it works for."""
_lock = threading.Lock()


@contextmanager
def listening_to_workers(told: Callable[[Json], bool], reached_by: str = "") -> Iterator[Line]:
    """Hear workers as long as the block runs.

    Args:
        told: called with each message, in several threads; True tells the worker to stop.
        reached_by: HOST:PORT of the cluster whose workers call; by default all are on this machine.
    """
    secret = secrets.token_hex(16)
    with _Server(_own_address(reached_by), secret, told) as server:
        host, port = server.server_address[:2]
        line = Line(str(host), int(port), secret, _this_process())
        threading.Thread(target=server.serve_forever, name="relay", daemon=True).start()
        _open.append(line)
        try:
            yield line
        finally:
            _open.remove(line)
            server.shutdown()


def _own_address(reached_by: str) -> str:
    """Address of this machine on the way to another; no packet is sent to find it."""
    host, _, port = reached_by.rpartition("://")[2].rpartition(":")
    if not host:
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, int(port)))
        return str(probe.getsockname()[0])


def _this_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def current() -> Line | None:
    """The line of the run that began last in this process: what a task takes along to its worker."""
    return _open[-1] if _open else None


class _Caller:
    """The worker's side of a line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._lock = threading.Lock()
        self._socket = socket.create_connection((line.host, line.port), timeout=_SECONDS)
        self._lines = self._socket.makefile("rwb")
        self._lines.write(line.secret.encode() + b"\n")

    def call(self, message: Json) -> bool:
        """Send one message; True where a stop was asked for."""
        with self._lock:
            self._lines.write(json.dumps(message).encode() + b"\n")
            self._lines.flush()
            answer = self._lines.readline(_LONGEST_LINE)
        return bool(json.loads(answer)["stop"])

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def follow(line: Line | None, begin: Callable[[], None]) -> None:
    """Tell everything to the run at the other end of ``line`` from now on; in its own process nothing changes.

    Args:
        line: as it came with a task.
        begin: called once the line is open, where it was not before.
    """
    global _to_run
    with _lock:
        known = _to_run.line if _to_run else None
        if line is None or line.owner == _this_process() or line == known:
            return
        if _to_run:
            _to_run.close()
        try:
            _to_run = _Caller(line)
        except OSError as error:
            _to_run = None
            _log.warning("the run at %s:%d cannot be told of progress: %s", line.host, line.port, error)
            return
    begin()


def is_worker() -> bool:
    """Whether this process works for a run of another one."""
    return _to_run is not None


def tell(message: Json) -> bool:
    """Send a message to the run; True where it asks for a stop. What cannot be told costs no work."""
    global _to_run
    caller = _to_run
    if caller is None:
        return False
    try:
        return caller.call(message)
    except (OSError, ValueError):
        with _lock:
            if _to_run is caller:
                _to_run = None
        _log.warning("the run at %s:%d is not heard any more", caller.line.host, caller.line.port)
        return False
