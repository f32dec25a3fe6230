"""Two workers on one workspace in a bucket, PostgreSQL behind the server: both convert, and one survives the other."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from conftest import faceswap
from processes import children_of, left_of
from test_kill_and_resume import frames_of
from test_service import free_port, post, until

from faceswap_core.jobfile import load_job
from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.stages.consent import write_signed
from faceswap_core.stages.rendered import actor_record
from faceswap_core.storage import Workspace
from flows import server as server_module
from flows import service
from tests.databases import postgres_server
from tests.jobs import write_job
from tests.objectstores import BUCKET, CREDENTIALS, s3_server

pytestmark = [pytest.mark.flow, pytest.mark.release]

CHUNKS, SEGMENT = 12, 4
"""Chunks of ten frames in the plate, and in a segment."""


@pytest.fixture(scope="module")
def store():
    with s3_server() as running:
        yield running


@pytest.fixture(scope="module")
def site(store, tmp_path_factory):
    """URL of a server on PostgreSQL that has the deployments; all that belongs to it is in the environment."""
    before = dict(os.environ)
    home = tmp_path_factory.mktemp("prefect-home")
    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=store.url, PREFECT_HOME=str(home))
    os.environ.update({"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"})
    os.environ.pop("PREFECT_API_URL", None)
    try:
        with postgres_server() as database:
            settings = {"PREFECT_API_DATABASE_CONNECTION_URL": database}
            with server_module.serving(home, home / "none.db", "127.0.0.1", free_port(), settings) as (url, _):
                service._set_up(2)
                yield url
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job whose encoding takes long for its size."""
    folder = tmp_path_factory.mktemp("film")

    def clip(identity, performance, frames, height):
        size = {"width": height * 16 // 9, "height": height, "face": height * 2 // 3}
        settings = ActorSettings(identity=identity, performance=performance, frames=frames, keyint=10, **size)
        return settings, render_actor(Workspace(folder / "clips"), settings)

    made = {"a": clip(3, 1, 30, 144), "b": clip(8, 2, 30, 144), "plate": clip(3, 5, 10 * CHUNKS, 288)}
    for subject, names in {"a": ("a", "plate"), "b": ("b",)}.items():
        write_signed(folder / f"{subject}.json", actor_record(subject, [made[name] for name in names]))
    videos = {name: rendered["video"]["path"] for name, (_, rendered) in made.items()}
    changes = {
        "plate.video": videos["plate"],
        "plate.plate_for_training": False,
        "subjects.a.videos": [videos["a"]],
        "subjects.a.consent": folder / "a.json",
        "subjects.b.videos": [videos["b"]],
        "subjects.b.consent": folder / "b.json",
        "decode.chunk_frames": 10,
        "train.iterations": 20,
        "quality.frames": 0,
        "encode.codec": "libx265",
        "encode.options.preset": "placebo",
    }
    return write_job(folder / "job.toml", changes)


@pytest.fixture(scope="module")
def alone(site, job):
    """The same in a local folder, by one command."""
    done = faceswap("run", job, seconds=900)
    assert done.code == 0, done.stderr
    return frames_of(done.last["output"])


@contextmanager
def worker(name, queue, folder):
    """A worker that takes one run at a time, on a machine of its own as far as files go."""
    options = ["--pool", service.POOL, "--work-queue", queue, "--limit", "1", "--name", name]
    environment = {**os.environ, "FACESWAP_CACHE": str(folder / name), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "prefect", "worker", "start", *options]
    with (
        open(folder / f"{name}.log", "wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            power_off(process)


def power_off(process):
    """End a worker and all that it started at once, as when its machine is gone."""
    doomed = {process.pid, *children_of(process.pid)}
    for pid in doomed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    assert left_of(doomed) == []


class Server:
    """What the tests ask of it."""

    def __init__(self, url):
        self.url = url
        self.deployments = {d["name"]: d["id"] for d in post(url, "/deployments/filter", {})}
        post(url, f"/deployments/{self.deployments['inbox']}/pause_deployment", {})  # it would take the worker's time

    def start(self, job):
        path = f"/deployments/{self.deployments['swap-video']}/create_flow_run"
        state = {"state": {"type": "SCHEDULED"}}
        return post(self.url, path, {"parameters": {"job": job.model_dump(mode="json")}, **state})["id"]

    def state(self, run):
        found = post(self.url, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})[0]
        assert found["state_type"] not in ("FAILED", "CRASHED"), found["state"]["message"]
        return found["state_type"]

    def segments(self):
        wanted = {"deployment_id": {"any_": [self.deployments["convert-segment"]]}}
        return post(self.url, "/flow_runs/filter", {"flow_runs": wanted})

    def encoded_by(self, runs):
        """Names of the task runs that encoded a chunk in these flow runs, and did not find it finished."""
        wanted = {"flow_run_id": {"any_": runs}, "state": {"name": {"any_": ["Completed"]}}}
        found = post(self.url, "/task_runs/filter", {"task_runs": wanted})
        return sorted(run["name"] for run in found if run["name"].startswith("reencode-chunk"))


def test_both_convert_and_one_goes_on_alone_when_the_other_is_gone(site, store, job, alone, tmp_path):
    server, prefix = Server(site), "jobs/shared"
    place = f"s3://{BUCKET}/{prefix}"
    shared = load_job(
        job,
        overrides=[
            f"workspace={place}",
            f"output.video={tmp_path}/out.mp4",
            f"runtime.segment_seconds={SEGMENT * 10 / 25}",
        ],
    )
    shared = shared.with_absolute_paths(tmp_path)

    def chunks():
        names = store.names(f"{prefix}/chunks/")
        return [int(found[1]) for name in names if (found := re.search(r"-(\d{4})-\w+\.parquet$", name))]

    with worker("one", "gpu", tmp_path):
        run = server.start(shared)
        with worker("two", "cpu", tmp_path) as two:
            until(lambda: server.state(run) and [number for number in chunks() if number < SEGMENT])
            power_off(two)
        lost = [segment for segment in server.segments() if segment["state_type"] == "RUNNING"]
        assert len(lost) == 1, "the other worker was in the middle of a segment"
        until(lambda: server.state(run) == "COMPLETED")
        assert sorted(chunks()) == list(range(CHUNKS)), "no chunk is there twice"
        assert frames_of(shared.output.path) == alone
        here, there = server.encoded_by([run]), server.encoded_by([lost[0]["id"]])
        assert here
        assert there
        assert {*here, *there} == {f"reencode-chunk-{number:04d}" for number in range(CHUNKS)}
        ended = {segment["id"]: segment["state_type"] for segment in server.segments()}
        assert ended[lost[0]["id"]] == "CRASHED"
        assert set(ended.values()) == {"CRASHED", "CANCELLED"}

        again = server.start(shared)
        until(lambda: server.state(again) == "COMPLETED")
        assert server.encoded_by([again]) == []
        assert len(server.segments()) == len(ended), "what is finished is asked of nobody"
