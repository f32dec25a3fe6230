"""one machine -> Prefect's server with its UI, a work pool, the deployments of prefect.yaml and a worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from faceswap_core.errors import EnvironmentFault, SettingsError
from faceswap_core.storage import atomic_path
from flows.child import SERVICE
from flows.children import Child
from flows.history import started
from flows.server import RECORD, open_database, prefect_home, recorded_server, serving

POOL = "local-process"
QUEUES = {"gpu": 1, "cpu": 2}
"""Work queues and their priority: trainings and swaps go before analyses."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ROOT = Path(__file__).resolve().parents[1]
_PLACE = {"FACESWAP_HOME": str(ROOT), "FACESWAP_POOL": POOL}
"""What prefect.yaml leaves open."""
_COMMAND_SECONDS = 600.0
_WORKER_LOG = "worker.log"
_WORKER_SECONDS_TO_END = 20.0


@contextmanager
def service(host: str, port: int, limit: int) -> Iterator[tuple[str, list[Child]]]:
    """Everything that scheduled jobs need, up as long as the block runs.

    Gives the address of the UI and the processes that are to be started again when they die (`wait`).

    Args:
        host: address to listen on; other than loopback only with an auth string.
        port: port of API and UI.
        limit: runs worked on at once; trainings one at a time whatever it is.

    Raises:
        SettingsError: an address that others reach, and no auth string.
        EnvironmentFault: the port or the database is in use, there is no prefect.yaml, or a part does not start.
    """
    refuse_open_door(host)
    home = prefect_home()
    if up := recorded_server(home):
        raise EnvironmentFault(f"a server is up already: {up.removesuffix('/api')}; use it, or stop it first")
    _refuse_taken_port(host, port)
    if not (ROOT / "prefect.yaml").is_file():
        raise EnvironmentFault(f"{ROOT} holds no prefect.yaml: run this from a checkout of the project")
    with contextlib.ExitStack() as stack:
        database = open_database(home, stack)
        if database is None:
            raise EnvironmentFault(f"a run is using {home / 'prefect.db'}: wait until it has ended, then try again")
        url, server = stack.enter_context(serving(home, database, host, port, _settings(host, port)))
        _set_up(limit)
        place = {**_PLACE, SERVICE: json.dumps(started())}
        worker = Child(["flows.child", str(os.getpid()), *_worker(limit)], place, home / _WORKER_LOG)
        stack.callback(worker.stop, _WORKER_SECONDS_TO_END)
        stack.enter_context(_recorded(home, url))
        yield url.removesuffix("/api"), [server, worker]


def refuse_open_door(host: str) -> None:
    """Refuse an address that other machines reach, unless its users must say who they are.

    Raises:
        SettingsError: no auth string is set.
    """
    if host not in LOOPBACK and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise SettingsError(
            f"--host {host} would let everyone who reaches this machine run jobs on it: set "
            "PREFECT_SERVER_API_AUTH_STRING=user:password first (and PREFECT_API_AUTH_STRING for those who use it), or "
            "leave the server on 127.0.0.1"
        )


def _settings(host: str, port: int) -> dict[str, str]:
    """Environment of the server: without these the UI looks for its API on the default port."""
    secret = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
    if secret:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", secret)
    return {
        "PREFECT_UI_ENABLED": "1",
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": "/api",
    }


def _refuse_taken_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentFault(f"port {port} of {host} cannot be used ({error}): give another --port") from error


def _set_up(limit: int) -> None:
    """Make the pool and its queues and bring the deployments up to date."""
    _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
    _prefect("work-pool", "set-concurrency-limit", POOL, str(limit))
    for queue, priority in QUEUES.items():
        _prefect("work-queue", "create", queue, "--pool", POOL, "--priority", str(priority), accept="already exists")
    _prefect("work-queue", "set-concurrency-limit", "gpu", "1", "--pool", POOL)
    _prefect("--no-prompt", "deploy", "--all")


def _worker(limit: int) -> list[str]:
    return ["worker", "start", "--pool", POOL, "--limit", str(limit), "--name", socket.gethostname()]


def _prefect(*arguments: str, accept: str = "") -> None:
    command = [sys.executable, "-P", "-m", "prefect", *arguments]
    environment = {**os.environ, **_PLACE}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(f"`prefect {' '.join(arguments)}` did not end in {_COMMAND_SECONDS:.0f} s") from error
    said = done.stdout + done.stderr
    if done.returncode and not (accept and accept in said):
        raise EnvironmentFault(f"`prefect {' '.join(arguments)}` failed: {said.strip()[-800:]}")


@contextmanager
def _recorded(home: Path, url: str) -> Iterator[None]:
    """Leave word of the server for the commands that look for one."""
    path = home / RECORD
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"api_url": url}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def wait(stopped: threading.Event, signals: Sequence[int], children: Sequence[Child]) -> None:
    """Return when one of the signals arrives; children that die meanwhile are started again."""
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in signals}
    try:
        while not stopped.wait(1.0):
            for child in children:
                child.revive()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
