import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows import server


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def healthy():
    with HTTPServer(("127.0.0.1", 0), _Healthy) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}/api"
        found.shutdown()
        thread.join()


def test_a_recorded_server_is_used_if_it_answers(tmp_path, healthy):
    (tmp_path / server.RECORD).write_text(json.dumps({"api_url": healthy}))
    assert server.recorded_server(tmp_path) == healthy


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"api_url": "http://127.0.0.1:9/api"}', '{"api_url": "file:///etc"}']
)
def test_a_record_without_a_server_behind_it_is_passed_over(tmp_path, text):
    (tmp_path / server.RECORD).write_text(text)
    assert server.recorded_server(tmp_path) is None


def test_a_database_that_will_not_open_is_renamed_and_said_so(tmp_path, capsys):
    database = tmp_path / "prefect.db"
    assert not server._is_damaged(database)
    database.write_bytes(b"this is no database " * 200)
    assert server._is_damaged(database)
    server._set_aside(database)
    assert not database.exists()
    assert next(tmp_path.iterdir()).name.startswith("prefect.db.unreadable-")
    assert "will not open" in capsys.readouterr().err


def test_a_named_server_is_used_as_it_is(tmp_path, monkeypatch):
    for name in server._SETTINGS:
        monkeypatch.setenv(name, "kept")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "http://example.invalid/api")
    with server.prefect_server(quiet=False) as url:
        assert url == "http://example.invalid/api"
        assert os.environ["DO_NOT_TRACK"] == "kept"


def test_a_second_command_at_once_gets_a_database_of_its_own(tmp_path):
    import contextlib

    with contextlib.ExitStack() as one, contextlib.ExitStack() as two:
        assert server._database(tmp_path, one).name == "prefect.db"
        assert server._database(tmp_path, two).name == f"prefect-{os.getpid()}.db"
    with contextlib.ExitStack() as three:
        assert server._database(tmp_path, three).name == "prefect.db"


@pytest.mark.flow
def test_the_embedded_server_ends_with_a_killed_parent():
    code = (
        "import os, subprocess, sys, time\n"
        "child = 'from flows.server_child import end_with; import time, sys;' "
        "'end_with(int(sys.argv[1])); time.sleep(60)'\n"
        "p = subprocess.Popen([sys.executable, '-c', child, str(os.getpid())], start_new_session=True)\n"
        "print(p.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(0.5)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 15
    while _alive(child) and time.monotonic() < end:
        time.sleep(0.2)
    assert not _alive(child)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
