import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.storage import Workspace


class Finished:
    """A command that ended, with its lines of JSON."""

    def __init__(self, done: subprocess.CompletedProcess):
        self.code = done.returncode
        self.stderr = done.stderr
        self.lines = [json.loads(line) for line in done.stdout.splitlines()]

    @property
    def last(self):
        return self.lines[-1]

    @property
    def report(self):
        return json.loads(Path(self.last["report"]).read_text())

    @property
    def computed(self):
        return {name: stage["computed"] for name, stage in self.report["stages"].items() if stage["computed"]}


def faceswap(*arguments, **environment) -> Finished:
    command = [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments), "--json"]
    env = {**os.environ, **environment}
    return Finished(subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One Prefect server for all flow tests, as `faceswap` itself starts it."""
    from flows.server import prefect_server

    before = dict(os.environ)
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect-home"))
    os.environ.pop("PREFECT_API_URL", None)
    try:
        with prefect_server(quiet=False) as url:
            yield url
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Short rendered clips by name: two of each actor, a plate with its truth, a second plate."""
    workspace = Workspace(tmp_path_factory.mktemp("clips"))

    def clip(identity, performance, frames=30):
        settings = ActorSettings(
            identity=identity, performance=performance, frames=frames, width=256, height=144, face=96, keyint=10
        )
        return Path(workspace.root / render_actor(workspace, settings)["video"]["path"])

    return {
        "a": clip(3, 1),
        "b": clip(8, 2),
        "plate": clip(3, 5, 40),
        "truth": clip(8, 5, 40),
        "second": clip(3, 6, 20),
    }


@pytest.fixture(scope="session")
def tiny_job(clips, tmp_path_factory):
    """Path of a job that takes seconds."""
    folder = tmp_path_factory.mktemp("job")
    path = folder / "job.toml"
    path.write_text(
        f"""
name = "tiny"
workspace = "ws"
[plate]
video = "{clips["plate"]}"
subject = "a"
truth = "{clips["truth"]}"
plate_for_training = false
[subjects.a]
videos = ["{clips["a"]}"]
[subjects.b]
videos = ["{clips["b"]}"]
[swap]
to = "b"
[output]
video = "out.mp4"
[decode]
chunk_frames = 10
[encode]
preset = "draft"
[align]
size = 64
[train]
width = 4
latent = 16
iterations = 20
"""
    )
    return path


@pytest.fixture(scope="session")
def first(server, tiny_job):
    """The first run of the job, which finds nothing computed."""
    return faceswap("run", tiny_job)
