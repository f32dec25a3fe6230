import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.stages.consent import write_signed
from faceswap_core.stages.rendered import actor_record
from faceswap_core.storage import Workspace
from tests.jobs import new_consent, write_job
from tests.objectstores import CREDENTIALS, s3_server


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


FACESWAP = [sys.executable, "-c", "from flows.cli import main; main()"]


def faceswap(*arguments, seconds=240, **environment) -> Finished:
    command, env = [*FACESWAP, *map(str, arguments), "--json"], {**os.environ, **environment}
    return Finished(subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds, check=False))


@contextmanager
def faceswap_until(stage, done, *arguments):
    """A command that is running, and has told of ``done`` units of a stage; in the end it is waited for.

    Gives the process, and how many lines it has printed.
    """
    command = [*FACESWAP, *map(str, arguments), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for count, line in enumerate(process.stdout, start=1):
            event = json.loads(line)
            if event.get("stage") == stage and event["done"] >= done:
                yield process, count
                return
    raise AssertionError(f"the command ended before {stage} reached {done}")


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
    """Short rendered clips by name: two of each actor, a plate with its truth and one too small, a second plate."""
    workspace = Workspace(tmp_path_factory.mktemp("clips"))

    def clip(identity, performance, frames=30, height=144):
        size = {"width": height * 16 // 9, "height": height, "face": height * 2 // 3}
        settings = ActorSettings(identity=identity, performance=performance, frames=frames, keyint=10, **size)
        return settings, render_actor(workspace, settings)

    made = {
        "a": clip(3, 1),
        "b": clip(8, 2),
        "plate": clip(3, 5, 40),
        "truth": clip(8, 5, 40),
        "small_truth": clip(8, 5, 10, height=108),
        "second": clip(3, 6, 20),
    }
    shown = {"a": ("a", "plate", "second"), "b": ("b", "truth", "small_truth")}
    for subject, names in shown.items():
        write_signed(workspace.root / f"{subject}.json", actor_record(subject, [made[name] for name in names]))
    return {name: Path(rendered["video"]["path"]) for name, (_, rendered) in made.items()}


@pytest.fixture(scope="session")
def records(clips):
    """Consent records of both actors, by the name of the subject."""
    folder = clips["plate"].parents[1]
    return {name: folder / f"{name}.json" for name in "ab"}


@pytest.fixture(scope="session")
def test_records(tmp_path_factory):
    """Records of kind test, for footage that shows no actor."""
    folder = tmp_path_factory.mktemp("test-records")
    for name in "ab":
        write_signed(folder / f"{name}.json", new_consent(name, kind="test", project="tiny"))
    chosen = [f"subjects.{name}.consent={folder / name}.json" for name in "ab"]
    return [word for setting in (*chosen, "provenance.purpose=dubbing") for word in ("--set", setting)] + [
        "--allow-test-consent"
    ]


@pytest.fixture(scope="session")
def tiny_job(clips, records, tmp_path_factory):
    """Path of a job that takes seconds."""
    changes = {
        "plate.video": clips["plate"],
        "plate.truth": clips["truth"],
        "plate.plate_for_training": False,
        "subjects.a.videos": [clips["a"]],
        "subjects.a.consent": records["a"],
        "subjects.b.videos": [clips["b"]],
        "subjects.b.consent": records["b"],
        "decode.chunk_frames": 10,
        "train.iterations": 20,
        "quality.identity_heads": 0,
    }
    return write_job(tmp_path_factory.mktemp("job") / "job.toml", changes)


@pytest.fixture(scope="session")
def first(server, tiny_job):
    """The first run of the job, which finds nothing computed."""
    return faceswap("run", tiny_job)


@pytest.fixture(scope="module")
def bucket(server):
    """A bucket on a real S3 server, which this process's children find in their environment."""
    before = dict(os.environ)
    with s3_server() as running:
        os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=running.url)
        yield running
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def browser():
    """Chromium, which comes from the system (``apt install chromium``), as no Python package brings it."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("no Chromium: install it from the system's packages (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
