import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import faceswap

from faceswap_core.errors import SettingsError
from flows import history

SLEEP = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('up', flush=True); time.sleep(60)",
]
"""Dies of SIGINT even where the tests run in the background, where the shell has it ignored."""


@pytest.fixture
def sleeper():
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.kill()


def write_run(workspace, name, **facts):
    folder = workspace / "runs" / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"run": name, "job": {}, "began": "then", **facts}))


def facts_of(process):
    began = history._began(process.pid)
    return {"state": "running", "host": history.started()["host"], "pid": process.pid, "process_began": began}


def test_a_run_whose_process_is_gone_has_crashed(tmp_path, sleeper):
    write_run(tmp_path, "20260101-a", **facts_of(sleeper))
    assert history.find(tmp_path, "last")["state"] == "running"
    sleeper.kill()
    sleeper.wait()
    assert history.find(tmp_path, "last")["state"] == "crashed"


def test_another_process_of_the_same_number_is_not_taken_for_the_run(tmp_path, sleeper):
    write_run(tmp_path, "20260101-a", **(facts_of(sleeper) | {"process_began": 1}))
    assert history.find(tmp_path, "last")["state"] == "crashed"


def test_a_run_of_another_machine_is_taken_at_its_word(tmp_path):
    write_run(tmp_path, "20260101-a", state="running", host="elsewhere", pid=1, process_began=1)
    facts = history.find(tmp_path, "last")
    assert facts["state"] == "running"
    with pytest.raises(SettingsError, match="elsewhere"):
        history.cancel(facts)


def test_cancelling_interrupts_the_process(tmp_path, sleeper):
    write_run(tmp_path, "20260101-a", **facts_of(sleeper))
    history.cancel(history.find(tmp_path, "a"))
    assert sleeper.wait(10) == -signal.SIGINT


def test_a_run_is_found_by_the_end_of_its_name_if_that_is_one(tmp_path):
    for name in ("20260101-aa", "20260102-ba"):
        write_run(tmp_path, name, state="completed")
    assert history.find(tmp_path, "ba")["run"] == "20260102-ba"
    for name in ("a", "x"):
        with pytest.raises(SettingsError, match="20260101-aa, 20260102-ba"):
            history.find(tmp_path, name)


def test_a_folder_without_runs_is_refused(tmp_path):
    done = faceswap("runs", "list", "--workspace", tmp_path)
    assert done.code == 2
    assert "--workspace" in done.last["message"]


def test_this_process_is_alive():
    assert history.is_alive(history.started())
    assert history.started()["pid"] == os.getpid()


@pytest.mark.flow
@pytest.mark.release
def test_runs_are_listed_shown_and_resumed(first, tiny_job):
    workspace = tiny_job.parent / "ws"
    listed = faceswap("runs", "list", "--workspace", workspace)
    assert first.last["run"] in [line["run"] for line in listed.lines]
    shown = faceswap("runs", "show", first.last["run"], "--workspace", workspace).last
    assert (shown["state"], shown["frames"]["swapped"]) == ("completed", 40)
    assert faceswap("run", tiny_job).code == 0  # the output may be another test's
    done = faceswap("runs", "resume", first.last["run"], "--workspace", workspace)
    assert (done.code, done.last["computed"]) == (0, 0)
    assert done.last["output"] == first.last["output"]
