"""A real PostgreSQL server in a folder of its own, from the programs of the system's package."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")


def programs():
    """Folder of initdb and postgres, the newest; skips the test where there is none."""
    found = [path.parent for folder in FOLDERS for path in sorted(Path("/").glob(f"{folder[1:]}/initdb"))]
    if not found:
        pytest.skip("no PostgreSQL server: install it from the system's packages (Debian: apt install postgresql)")
    return found[-1]


@contextmanager
def postgres_server():
    """URL for Prefect of an empty database, gone afterwards; PostgreSQL refuses root, which becomes ``postgres``."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    user = []
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(program, *arguments):
        command = [*user, programs() / program, "--pgdata", folder / "data", *arguments]
        done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        call("initdb", "--username=prefect", "--auth=trust", "--no-sync", "--encoding=UTF8")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"
        call("pg_ctl", "start", "--wait", "--timeout=240", "--log", folder / "log", "--options", options)
        try:
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder)
