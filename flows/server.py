"""environment -> a Prefect server to run on: the one named, the one that is up, or one of our own for this command.

Nothing here imports Prefect: its settings are read when it is imported, so all of them are set before.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import platformdirs

from faceswap_core.errors import EnvironmentFault
from flows.children import Child
from flows.zombies import bury

STARTUP_SECONDS = 180.0
"""A fresh database takes 11-14 s on two idle cores, ten times as long on busy ones."""
RECORD = "server.json"
"""File in PREFECT_HOME in which `faceswap up` leaves ``{"api_url": ...}``."""
DATABASE = "prefect.db"
"""Prefect's store in PREFECT_HOME."""
_LOG = "embedded-server.log"
_LOCK = "embedded-server.lock"
_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "faceswap_core,tasks,flows",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_CLIENT_EVENTS_QUEUE_MAX_SIZE": "10000",
}


@contextmanager
def prefect_server(*, quiet: bool, meanwhile: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Set Prefect's environment and give the URL of a server for everything that runs inside.

    Args:
        quiet: whether Prefect's own lines below warnings stay off the terminal.
        meanwhile: called while a server of our own starts, which takes as long as importing the flows does.

    Raises:
        EnvironmentFault: no server could be started.
    """
    if quiet:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    home = prefect_home()
    named = os.environ.get("PREFECT_API_URL") or recorded_server(home)
    if named:
        with _exported(named):
            yield named
        return
    with _embedded(home, meanwhile) as url:
        yield url


def prefect_home() -> Path:
    """PREFECT_HOME, made and set like all else that Prefect reads when it is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    home = Path(os.environ.setdefault("PREFECT_HOME", str(platformdirs.user_data_path("faceswap") / "prefect")))
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextmanager
def _exported(url: str) -> Iterator[None]:
    """PREFECT_API_URL for this process and all its children."""
    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = url
    try:
        yield
    finally:
        if before is None:
            del os.environ["PREFECT_API_URL"]


def recorded_server(home: Path) -> str | None:
    """URL of the server that `faceswap up` left word of, if it answers."""
    try:
        url = str(json.loads((home / RECORD).read_text())["api_url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if answers(url) else None


def answers(url: str) -> bool:
    """True when a Prefect server answers under this API URL."""
    if not url.startswith(("http://", "https://")):
        return False
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as reply:  # the user's own machine, or their server
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


@contextmanager
def _embedded(home: Path, meanwhile: Callable[[], object]) -> Iterator[str]:
    """A server for this command and its children alone, on a port that nobody knows, without its pages."""
    with contextlib.ExitStack() as stack:
        database = _database(home, stack)
        settings = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
        with serving(home, database, "127.0.0.1", _free_port(), settings, meanwhile) as (url, _):
            yield url


@contextmanager
def serving(
    home: Path,
    database: Path,
    host: str,
    port: int,
    settings: Mapping[str, str],
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[tuple[str, Child]]:
    """A server that ends with this process, however that ends; gives the URL of its API, which is exported, and itself.

    Args:
        home: PREFECT_HOME, where its log is written.
        database: its SQLite file, which no other server may have open.
        host: address that it listens on.
        port: free port that it listens on.
        settings: further environment of the server.
        meanwhile: called while it starts.

    Raises:
        EnvironmentFault: it does not start.
    """
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}/api"
    if _is_damaged(database):
        _set_aside(database)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_exported(url))
        server = _start(home, database, host, port, settings)
        stack.callback(server.stop)
        meanwhile()
        if not _wait_until_up(server, url) and database.exists():
            server.stop()
            _set_aside(database)
            server.start()
            _wait_until_up(server, url)
        if server.has_ended() or not answers(url):
            raise EnvironmentFault(
                f"the Prefect server did not start within {STARTUP_SECONDS:.0f} s: see {home / _LOG}, or set "
                "PREFECT_API_URL to a server that runs"
            )
        with contextlib.suppress(OSError):  # a run that stays listed as running costs nothing but clarity
            bury(url)
        yield url, server


def _database(home: Path, stack: contextlib.ExitStack) -> Path:
    """Database of the embedded server: the lasting one, or one of its own while another command uses that."""
    if lasting := open_database(home, stack):
        return lasting
    aside = home / f"prefect-{os.getpid()}.db"
    print(f"another run is using {home / 'prefect.db'}: this one is recorded in its workspace only", file=sys.stderr)
    for suffix in ("", "-wal", "-shm"):
        stack.callback(Path(f"{aside}{suffix}").unlink, missing_ok=True)
    return aside


def open_database(home: Path, stack: contextlib.ExitStack) -> Path | None:
    """The lasting database, for this process alone until ``stack`` closes; None while another one has it."""
    lock = stack.enter_context((home / _LOCK).open("w"))
    return home / DATABASE if _locked(lock) else None


def _locked(lock: IO[str]) -> bool:
    """Take a lock that the system lets go when this process ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system; two runs at once then share the database
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_damaged(database: Path) -> bool:
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=5)) as connection:
            connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return False  # busy, or its folder cannot be written: not the file's fault
    except sqlite3.DatabaseError:
        return True
    return False


def _set_aside(database: Path) -> None:
    """Rename a database that will not open, and say so."""
    aside = database.with_name(f"{database.name}.unreadable-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    print(f"database {database} will not open: kept as {aside.name}, a new one is made", file=sys.stderr)
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{database}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")


def _start(home: Path, database: Path, host: str, port: int, settings: Mapping[str, str]) -> Child:
    environment = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        "PREFECT__SERVER_FINAL": "1",
        **settings,
    }
    return Child(["flows.server_child", host, str(port), str(os.getpid())], environment, home / _LOG)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(server: Child, url: str) -> bool:
    """False where the server ended by itself."""
    end = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < end and not server.has_ended():
        if answers(url):
            return True
        time.sleep(0.1)
    return not server.has_ended()
