"""Tasks of a job on a real server: what is tried again, and what is not; and what the server is told of a run."""

import json
import time
import urllib.request

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from faceswap_core.config import RuntimeSettings
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.errors import DiskFullError, MediaError, ResourceError, SettingsError
from flows.gather import gather
from flows.record import recorded
from tasks import options, progress
from tasks.options import job_runner, stage_task

pytestmark = pytest.mark.flow


@pytest.fixture(autouse=True)
def _on(server):
    """Prefect was imported before the server was known."""
    with temporary_settings({PREFECT_API_URL: server}):
        yield


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(options, "_RETRY_DELAYS_SECONDS", [0.1, 0.1])


def tried(tmp_path, error, times):
    """How often a task was tried that fails so many times, and what came of it."""
    tries = []

    @stage_task("fragile")
    def fragile(workspace: str, name: str) -> int:
        tries.append(name)
        if len(tries) <= times:
            raise error
        return len(tries)

    @flow(name="fragile", persist_result=False)
    def run() -> int:
        with job_runner(str(tmp_path), RuntimeSettings()):
            return gather([fragile.submit(str(tmp_path), type(error).__name__)])[0]

    try:
        came = run()
    except type(error) as raised:
        came = raised
    return len(tries), came


@pytest.mark.parametrize("error", [OSError("the disk hung"), ResourceError("a passing fault")])
def test_a_passing_fault_twice_succeeds_at_the_third_try(quick, tmp_path, error):
    assert tried(tmp_path, error, times=2) == (3, 3)


@pytest.mark.parametrize("error", [MediaError("cut off"), SettingsError("no such codec"), DiskFullError("full")])
def test_a_fault_that_lasts_is_tried_once(quick, tmp_path, error):
    tries, came = tried(tmp_path, error, times=9)
    assert (tries, type(came), str(came)) == (1, type(error), str(error))


def test_a_passing_fault_that_does_not_pass_ends_after_three_tries(quick, tmp_path):
    tries, came = tried(tmp_path, OSError("the disk is gone"), times=9)
    assert (tries, type(came)) == (3, OSError)


def ask(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def test_a_run_has_tags_bars_and_an_event_of_its_end(server, tmp_path):
    settings = RecodeSettings(workspace=tmp_path, video=tmp_path / "a.mp4", output=tmp_path / "b.mp4")
    told = {}

    @flow(name="told", persist_result=False)
    def run():
        with recorded(settings) as began:
            told["run"] = began.run_id
            progress.expect("decode-frames", 10)
            progress.finished("decode-frames", "0", 7)
            raise MediaError("cut off")

    with pytest.raises(MediaError):
        run()
    facts = json.loads((tmp_path / "runs" / told["run"] / "run.json").read_text())
    flow_run = ask(server, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [facts["flow_run"]]}}})[0]
    assert flow_run["tags"] == ["job:recode a.mp4"]
    bars = ask(server, "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [facts["flow_run"]]}}})
    ours = [(bar["type"], bar["key"], bar["data"]) for bar in bars if bar["key"]]  # results have none
    assert ours == [("progress", "decode-frames", 70.0)]
    resource = f"faceswap.run.{told['run']}"  # the server knows the events of other runs, too
    wanted = {"filter": {"event": {"name": ["faceswap.run.failed"]}, "resource": {"id": [resource]}}}
    end = time.monotonic() + 60
    while not (events := ask(server, "/events/filter", wanted)["events"]) and time.monotonic() < end:
        time.sleep(0.5)
    (found,) = events
    assert (found["payload"]["error"], found["payload"]["exit_code"]) == ("MediaError", 4)
    assert f"prefect.flow-run.{facts['flow_run']}" in {r["prefect.resource.id"] for r in found["related"]}
