"""Children of a service, as real processes."""

import os
import signal
import time

from flows import children
from flows.children import Child


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
    script = tmp_path / "deaf.py"
    script.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(1, flush=True)\ntime.sleep(99)\n"
    )
    child = Child(["runpy", str(script)], {}, tmp_path / "log")
    while "1" not in (tmp_path / "log").read_text():
        time.sleep(0.05)
    began = time.monotonic()
    child.stop(0.2)
    assert child.has_ended()
    assert time.monotonic() - began < 20
