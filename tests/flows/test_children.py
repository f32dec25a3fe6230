"""Children of a service, as real processes."""

import json
import os
import signal
import subprocess
import sys
import time

from flows import children
from flows.child import SERVICE
from flows.children import Child
from flows.history import _began


def pid_of(child):
    return child._process.pid


def wait_for_end(child):
    end = time.monotonic() + 30
    while not child.has_ended():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_child_that_dies_is_started_again_and_its_log_goes_on(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(children, "_SECONDS_BETWEEN_STARTS", 0.0)
    child = Child(["http.server", "0", "--bind", "127.0.0.1"], {"MARK": "x"}, tmp_path / "log")
    first = pid_of(child)
    child.revive()
    assert pid_of(child) == first, "it lives"
    os.kill(first, signal.SIGKILL)
    wait_for_end(child)
    (tmp_path / "log").write_text("last words\n")
    child.revive()
    assert pid_of(child) != first
    assert not child.has_ended()
    assert "http.server ended with -9" in capfd.readouterr().err
    child.stop()
    assert child.has_ended()
    assert (tmp_path / "log").read_text().startswith("last words\n")


def test_one_that_cannot_live_is_not_started_in_haste(tmp_path, capfd):
    child = Child(["no_such_module"], {}, tmp_path / "log")
    wait_for_end(child)
    child.revive()
    assert child.has_ended()
    assert "No module named" in (tmp_path / "log").read_text()
    assert capfd.readouterr().err == ""


def test_one_that_does_not_listen_is_ended(tmp_path):
    (tmp_path / "deaf.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(99)\n"
    )
    child = Child(["deaf"], {"PYTHONPATH": str(tmp_path)}, tmp_path / "log")
    while (tmp_path / "log").read_text() != "deaf\n":
        assert not child.has_ended(), (tmp_path / "log").read_text()
        time.sleep(0.05)
    child.stop(0.2)
    assert child._process.returncode == -signal.SIGKILL


def test_a_run_ends_once_its_service_is_gone():
    sleep = [sys.executable, "-c", "import time; time.sleep(99)"]
    run = [sys.executable, "-c", "from flows.child import end_with_service as end; end(); import time; time.sleep(99)"]
    with subprocess.Popen(sleep) as service:
        facts = {"pid": service.pid, "process_began": _began(service.pid)}
        with subprocess.Popen(run, env={**os.environ, SERVICE: json.dumps(facts)}) as tied:
            time.sleep(6)
            assert tied.poll() is None
            service.kill()
            service.wait()
            assert tied.wait(60) in (0, -signal.SIGTERM)
    assert subprocess.run([*run[:2], run[2].replace("99", "0")], check=False).returncode == 0, "without one it lives"
