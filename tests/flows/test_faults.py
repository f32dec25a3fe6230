"""Faults at random moments of a run, then the same command again: it ends, with the frames of an undisturbed run.

FACESWAP_FAULTS=10 strikes ten times with each kind (default 1), FACESWAP_FAULT_SEED chooses the moments (default 0). A
moment is a line of progress that the command prints, so that a busy machine is struck at the same place.
"""

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import zlib
from pathlib import Path

import pytest
from conftest import FACESWAP, faceswap
from processes import children_of, command_of, left_of, works_on
from test_service import free_port, post, until, up

from faceswap_core.jobfile import load_job
from faceswap_core.video.planes import plane_bytes
from faceswap_core.video.reader import decode_linear

pytestmark = [pytest.mark.flow, pytest.mark.release]

TIMES = int(os.environ.get("FACESWAP_FAULTS", "1"))
SEED = int(os.environ.get("FACESWAP_FAULT_SEED", "0"))
SECONDS = 900
TRAINING = ("--set", "train.iterations=60", "--set", "train.checkpoint_every=20")
LATER = {"assemble-video", "sign-video", "verify-video", "measure-quality"}


def frames_of(video):
    return [zlib.crc32(b"".join(plane_bytes(frame))) for frame in decode_linear(video)]


def job_in(folder, tiny_job):
    folder.mkdir(parents=True)
    path = folder / "job.toml"
    path.write_text(tiny_job.read_text())
    return path


@pytest.fixture(scope="module")
def calm(server, tiny_job, tmp_path_factory):
    """The undisturbed run, its frames beside it."""
    done = faceswap("run", job_in(tmp_path_factory.mktemp("calm") / "job", tiny_job), *TRAINING, seconds=SECONDS)
    assert done.code == 0, done.stderr
    done.frames = frames_of(done.last["output"])
    return done


def moments(kind, calm):
    """After how many lines of progress to strike."""
    lines = len([line for line in calm.lines if line["event"] == "stage"])
    return [random.Random(f"{SEED} {kind} {number}").randrange(1, lines) for number in range(TIMES)]


def struck(job, lines, strike, more=(), **environment):
    """Run a job and strike after some lines; gives its exit code, and what it had started."""
    command = [*FACESWAP, "run", str(job), *TRAINING, *more, "--json"]
    env = {name: value for name, value in {**os.environ, **environment}.items() if value}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for _ in range(lines):
            if not process.stdout.readline():
                break
        started = children_of(process.pid)
        if process.poll() is None:
            strike(process, started)
        process.stdout.read()
        return process.wait(SECONDS), started


def goes_on(job, calm, more=(), **environment):
    """The same command again ends well, and the frames are those of the undisturbed run."""
    output = job.parent / "out.mp4"
    if output.exists():
        assert frames_of(output) == calm.frames, "what has its final name is whole"
    done = faceswap("run", job, *TRAINING, *more, seconds=SECONDS, **environment)
    assert done.code == 0, done.stderr
    assert frames_of(output) == calm.frames
    assert done.report["frames"] == calm.report["frames"]
    assert not list((job.parent / "ws" / ".tmp").glob("*/*"))
    return done


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def test_kill_9_of_the_flow(calm, tiny_job, tmp_path):
    for number, lines in enumerate(moments("flow", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, lines, lambda process, _: kill(process.pid))
        assert code == -signal.SIGKILL
        assert left_of(started) == []
        goes_on(job, calm)


def test_kill_9_of_a_process_of_the_pool(calm, tiny_job, tmp_path):
    more = ("--set", "runtime.runner=processes")

    def strike(_process, started):
        pool = [pid for pid in started if "multiprocessing.spawn" in command_of(pid)]
        kill(random.Random(SEED).choice(sorted(pool)))

    for number, lines in enumerate(moments("pool", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, max(lines, 8), strike, more)
        assert code in (0, 1)
        assert left_of(started) == []
        goes_on(job, calm, more)


def test_kill_9_of_the_server(calm, tiny_job, tmp_path):
    own = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "home")}

    def strike(_process, started):
        kill(next(pid for pid in started if "flows.server_child" in command_of(pid)))

    for number, lines in enumerate(moments("server", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        _code, started = struck(job, lines, strike, **own)
        assert left_of(started) == []
        goes_on(job, calm, **own)


def test_an_interrupt(calm, tiny_job, tmp_path):
    for number, lines in enumerate(moments("interrupt", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, lines, lambda process, _: process.send_signal(signal.SIGINT))
        assert code in (0, 130)
        assert left_of(started) == []
        goes_on(job, calm)


def test_a_corrupted_chunk_is_encoded_again(calm, tiny_job, tmp_path):
    for number in range(TIMES):
        job = _finished(calm, tiny_job, tmp_path / str(number))
        pick = random.Random(f"{SEED} chunk {number}")
        chunk = pick.choice(sorted((job.parent / "ws" / "chunks").glob("*.mp4")))
        data = bytearray(chunk.read_bytes())
        data[pick.randrange(len(data))] ^= 0xFF
        chunk.write_bytes(data)
        done = goes_on(job, calm)
        assert done.computed["reencode-chunk"] == 1
        assert set(done.computed) <= {"reencode-chunk", *LATER}


class Poison:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_poisoned_record_is_made_anew_and_never_run(calm, tiny_job, tmp_path):
    mark = tmp_path / "ran"
    for number in range(TIMES):
        job = _finished(calm, tiny_job, tmp_path / str(number))
        records = sorted((job.parent / "ws" / ".prefect-results").iterdir())
        record = random.Random(f"{SEED} record {number}").choice(records)
        told = json.loads(record.read_text())
        told["metadata"]["serializer"] = {"type": "pickle", "picklelib": "cloudpickle"}
        told["result"] = pickle.dumps(Poison(mark), protocol=0).decode("latin-1")
        record.write_text(json.dumps(told))
        done = goes_on(job, calm)
        assert done.computed[record.name.rpartition("-")[0]] == 1
        assert not mark.exists()


def test_a_full_disk(calm, tiny_job, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=False).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        for number in range(TIMES):
            job = job_in(disk / str(number), tiny_job)
            used = sum(f.stat().st_size for f in Path(calm.last["report"]).parents[2].rglob("*") if f.is_file())
            left = random.Random(f"{SEED} disk {number}").randrange(used // 10, used)
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - left))
            full = faceswap("run", job, *TRAINING, "--force", seconds=SECONDS)
            assert (full.code, full.last["error"]) == (3, "DiskFullError"), full.stderr
            ballast.unlink()
            goes_on(job, calm)
            shutil.rmtree(job.parent)
    finally:
        subprocess.run(["umount", disk], check=True)


class Deployed:
    """A job as a run of the deployment of `faceswap up`."""

    def __init__(self, said, job):
        self.url, self.pid, self.job = said["api_url"], said["pid"], job
        deployments = {d["name"]: d["id"] for d in post(self.url, "/deployments/filter", {})}
        post(self.url, f"/deployments/{deployments['inbox']}/pause_deployment", {})
        settings = load_job(job, TRAINING[1::2]).model_dump(mode="json")
        asked = {"parameters": {"job": settings}, "state": {"type": "SCHEDULED"}}
        path = f"/deployments/{deployments['swap-video']}/create_flow_run"
        self.run = post(self.url, path, asked)["id"]

    def state(self):
        return post(self.url, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [self.run]}}})[0]["state_type"]

    def strike(self, records, is_victim):
        """Kill a process of `faceswap up`, or itself, once so much is done; gives all that was running."""
        folder = self.job.parent / "ws" / ".prefect-results"
        until(lambda: folder.is_dir() and len(list(folder.iterdir())) >= records)
        started = children_of(self.pid)
        kill(next(pid for pid in (self.pid, *started) if is_victim(self.run, pid)))
        return started

    def ended(self):
        """How it ended; by itself, as nothing was asked for."""
        return until(lambda: (state := self.state()) in ("COMPLETED", "FAILED", "CRASHED") and state)

    def completed(self):
        """Whether it ended well, by itself or retried as from the flow UI."""
        if self.ended() != "COMPLETED":
            retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
            post(self.url, f"/flow_runs/{self.run}/set_state", retry)
        return until(lambda: (state := self.state()) in ("COMPLETED", "FAILED", "CRASHED") and state) == "COMPLETED"


def records_of(kind, calm):
    """After how many records of a run's results to strike."""
    last = len(list((Path(calm.last["output"]).parent / "ws" / ".prefect-results").iterdir()))
    return [random.Random(f"{SEED} {kind} {number}").randrange(1, last) for number in range(TIMES)]


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """One `faceswap up` for all faults that it outlives."""
    with up(tmp_path_factory.mktemp("standing"), free_port()) as said:
        yield said


PARTS = {
    "worker": lambda _, pid: "-m flows.child " in command_of(pid),
    "server": lambda _, pid: "-m flows.server_child " in command_of(pid),
    "flow": works_on,
}


@pytest.mark.parametrize("part", PARTS)
def test_kill_9_of_a_part_of_the_service(calm, standing, tiny_job, tmp_path, part):
    for number, records in enumerate(records_of(part, calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        deployed = Deployed(standing, job)
        started = deployed.strike(records, PARTS[part])
        if part == "flow":
            assert deployed.ended() == "CRASHED"
        assert deployed.completed()
        assert left_of([pid for pid in started if works_on(deployed.run, pid)]) == []
        goes_on(job, calm)


def test_kill_9_of_the_service_itself(calm, tiny_job, tmp_path):
    for number, records in enumerate(records_of("service", calm)):
        job, home = job_in(tmp_path / str(number), tiny_job), tmp_path / f"home-{number}"
        with up(home, free_port()) as said:
            deployed = Deployed(said, job)
            started = deployed.strike(records, lambda _, pid: pid == said["pid"])
            assert left_of(started) == []
        with up(home, free_port()) as said:
            deployed.url = said["api_url"]
            assert deployed.completed()
        goes_on(job, calm)


def _finished(calm, tiny_job, folder):
    """A job of its own that has run: the undisturbed one, copied."""
    shutil.copytree(Path(calm.last["output"]).parent, folder)
    return folder / "job.toml"
