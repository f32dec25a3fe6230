"""Processes, Dask and Ray make the frames that threads make, and are heard and stopped like threads."""

import importlib.util
import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest
from conftest import faceswap, faceswap_until
from processes import children_of, left_of
from test_kill_and_resume import frames_of

pytestmark = pytest.mark.flow

RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or importlib.util.find_spec("prefect_ray") is None,
    reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]' (240 MB)",
)
OTHERS = ["processes", "dask", pytest.param("ray", marks=RAY)]


def own_job(job, folder):
    folder.mkdir(exist_ok=True)
    path = folder / "job.toml"
    path.write_text(job.read_text())
    return path


def told_of(lines):
    """The last that was told of every stage."""
    return {line["stage"]: (line["done"], line["total"]) for line in lines if line["event"] == "stage"}


def core_lines(done):
    """What the core logged during a run, without its figures of time."""
    log = Path(done.last["report"]).with_name("log.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    return sorted(
        (line["task_run"] or "", line["message"]) for line in lines if line["logger"] == "faceswap_core.stages.decode"
    )


def logged_at_the_server(url, text):
    """Task runs that the server has a line of, which begins so."""
    found, offset = set(), 0
    while True:
        body = json.dumps({"limit": 200, "offset": offset}).encode()
        request = urllib.request.Request(f"{url}/logs/filter", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            page = json.loads(reply.read())
        found |= {line["task_run_id"] for line in page if line["message"].startswith(text)}
        if len(page) < 200:
            return found
        offset += 200


def test_processes_recode_as_threads_do(server, clips, tmp_path):
    before = logged_at_the_server(server, "decoded 10 frames")
    made = {}
    for runner in ("threads", "processes"):
        job = ("recode", clips["plate"], tmp_path / f"{runner}.mp4", "--workspace", tmp_path / runner)
        made[runner] = faceswap(*job, "--set", f"runtime.runner={runner}", "--set", "decode.chunk_frames=10")
        assert made[runner].code == 0, made[runner].stderr
    threads, processes = made["threads"], made["processes"]
    assert frames_of(processes.last["output"]) == frames_of(threads.last["output"])
    assert processes.computed == threads.computed
    assert told_of(processes.lines) == told_of(threads.lines)
    assert core_lines(processes) == core_lines(threads)
    assert len(logged_at_the_server(server, "decoded 10 frames") - before) == 8


@pytest.fixture(scope="module")
def threads(server, tiny_job, tmp_path_factory):
    """The job by threads, and the frames that it made."""
    done = faceswap("run", own_job(tiny_job, tmp_path_factory.mktemp("threads") / "job"), seconds=900)
    assert done.code == 0, done.stderr
    done.frames = frames_of(done.last["output"])
    return done


@pytest.mark.release
@pytest.mark.parametrize("runner", OTHERS)
def test_a_whole_job_comes_out_the_same(threads, tiny_job, tmp_path, runner):
    job = own_job(tiny_job, tmp_path / runner)
    done = faceswap("run", job, "--set", f"runtime.runner={runner}", seconds=900)
    assert done.code == 0, done.stderr
    assert frames_of(done.last["output"]) == threads.frames
    assert (done.computed, done.report["frames"]) == (threads.computed, threads.report["frames"])
    assert (done.report["quality"], done.report["truth"]) == (threads.report["quality"], threads.report["truth"])
    assert told_of(done.lines) == told_of(threads.lines)
    assert core_lines(done) == core_lines(threads)
    assert all(stage["cpu_seconds"] > 0 for stage in done.report["stages"].values())
    again = faceswap("run", job, seconds=900)
    assert (again.code, again.computed) == (0, {})


@pytest.mark.release
@pytest.mark.parametrize("runner", OTHERS)
def test_no_worker_outlives_a_killed_run(server, tiny_job, tmp_path, runner):
    job = own_job(tiny_job, tmp_path / runner)
    with faceswap_until("detect-faces", 1, "run", job, "--set", f"runtime.runner={runner}") as (process, _):
        workers = children_of(process.pid)
        assert len(workers) >= 2
        os.kill(process.pid, signal.SIGKILL)
    assert left_of(workers) == []


@pytest.mark.release
@pytest.mark.parametrize("runner", OTHERS)
def test_an_interrupted_run_finishes_its_chunks_and_goes_on(threads, tiny_job, tmp_path, runner):
    job = own_job(tiny_job, tmp_path / runner)
    command = ("run", job, "--set", f"runtime.runner={runner}")
    with faceswap_until("detect-faces", 1, *command) as (process, _):
        workers = children_of(process.pid)
        for pid in (process.pid, *workers):  # as Ctrl-C at a terminal does, which all of them hear
            os.kill(pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 130
    assert left_of(workers) == []
    done = faceswap(*command, seconds=900)
    assert done.code == 0, done.stderr
    assert 0 < done.computed["detect-faces"] < threads.computed["detect-faces"]
    assert frames_of(done.last["output"]) == threads.frames
