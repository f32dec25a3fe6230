"""Each limit is hit by a function of this file, which the child imports by its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceswap_core import errors
from faceswap_core.errors import EnvironmentFault, MediaError
from faceswap_core.storage import process_lives
from faceswap_core.video import checked, sandbox
from faceswap_core.video.sandbox import Limits, run_limited

SHORT = Limits(memory_mb=768, seconds=1)


def echo(arguments, tell):
    for number in range(arguments["count"]):
        tell(number)
    return {"given": arguments, "modules": sorted(sys.modules), "environment": dict(os.environ)}


def hoard(arguments, tell):
    return len(bytearray(2 << 30))


def spin(arguments, tell):
    while True:
        pass


def sleep(arguments, tell):
    tell(os.getpid())
    time.sleep(600)


def tell_slowly(arguments, tell):
    for number in range(4):
        time.sleep(0.5)
        tell(number)


def crash(arguments, tell):
    os.abort()


def fail(arguments, tell):
    raise getattr(errors, arguments["name"])("what is wrong")


def divide(arguments, tell):
    return 1 / 0


def write(arguments, tell):
    with open(arguments["path"], "w") as stream:
        stream.write("x" * 10)


def chatter(arguments, tell):
    os.write(1, b"this is no message\n")
    return "done"


def test_result_and_messages_come_back_in_order(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    heard = []
    found = run_limited(echo, {"count": 3, "text": "ünï\n"}, source="v.mp4", told=heard.append)
    assert found["given"] == {"count": 3, "text": "ünï\n"}
    assert heard == [0, 1, 2]
    assert "SECRET_TOKEN" not in found["environment"]
    assert not {"torch", "prefect", "pydantic"} & set(found["modules"])


def test_time_of_a_child_counts_for_the_thread_that_waited_for_it():
    def child_seconds_of(work):
        before = sandbox.child_seconds()
        work()
        return sandbox.child_seconds() - before

    assert child_seconds_of(lambda: None) == 0
    assert child_seconds_of(lambda: run_limited(chatter, {}, source="v.mp4")) > 0
    with ThreadPoolExecutor() as pool:
        elsewhere = lambda: pool.submit(run_limited, chatter, {}, source="v.mp4").result()  # noqa: E731
        assert child_seconds_of(elsewhere) == 0


def test_what_a_library_prints_is_no_message():
    assert run_limited(chatter, {}, source="v.mp4") == "done"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (hoard, r"v\.mp4: .*decode\.max_memory_mb \(768 MiB\).*raise decode\.max_memory_mb"),
        (spin, r"v\.mp4: .*decode\.max_seconds \(1 s of processor time\).*raise decode\.max_seconds"),
        (crash, r"v\.mp4: its reader crashed \(SIGABRT\)"),
        (divide, r"v\.mp4: cannot be read \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_limit_or_fault_is_named_with_its_value(function, said):
    began = time.monotonic()
    with pytest.raises(MediaError, match=said) as caught:
        run_limited(function, {}, source="v.mp4", limits=SHORT)
    assert caught.value.exit_code == 4
    assert time.monotonic() - began < 30


def test_silent_child_is_killed():
    heard = []
    with pytest.raises(MediaError, match=r"within 3 s of time.*decode\.max_seconds\s+\(0\.3\)"):
        run_limited(sleep, {}, source="v.mp4", limits=Limits(seconds=0.3), told=heard.append)
    assert not process_lives(heard[0])


def test_every_message_starts_the_clock_anew():
    run_limited(tell_slowly, {}, source="v.mp4", limits=Limits(seconds=0.19))


@pytest.mark.parametrize("name", ["MediaError", "NoFaceError", "SettingsError"])
def test_error_comes_back_as_it_was(name):
    with pytest.raises(errors.FaceswapError, match=r"^what is wrong$") as caught:
        run_limited(fail, {"name": name}, source="v.mp4")
    assert type(caught.value).__name__ == name


def test_own_package_is_found_before_another_of_its_name(monkeypatch, tmp_path):
    (tmp_path / "faceswap_core").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert run_limited(chatter, {}, source="v.mp4") == "done"


def test_child_that_cannot_start_says_why_and_blames_no_media(monkeypatch, tmp_path):
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec is not there')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentFault, match=r"v\.mp4: the process that reads it failed: ImportError: libavcodec"):
        run_limited(checked.child_index, {"path": "v.mp4"}, source="v.mp4")


def test_nothing_can_be_written(tmp_path):
    with pytest.raises(MediaError, match="File too large"):
        run_limited(write, {"path": str(tmp_path / "x")}, source="v.mp4")
    assert (tmp_path / "x").stat().st_size == 0


def test_child_does_not_outlive_an_interrupted_caller():
    heard = []

    def interrupted(pid):
        heard.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_limited(sleep, {}, source="v.mp4", told=interrupted)
    assert not process_lives(heard[0])


def test_child_dies_with_its_killed_parent():
    code = (
        "import test_sandbox; from faceswap_core.video.sandbox import run_limited\n"
        "run_limited(test_sandbox.sleep, {}, source='v.mp4', told=lambda pid: print(pid, flush=True))"
    )
    environment = sandbox._environment()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as parent:
        child = int(parent.stdout.readline())
        assert process_lives(child)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process_lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process_lives(child)
