"""`faceswap up` and the inbox, with the real server, worker and flow processes."""

import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from conftest import FACESWAP, faceswap

from faceswap_core.errors import SettingsError
from flows import server as server_module
from flows import service
from flows.zombies import bury

UP = [*FACESWAP, "up", "--json"]
SECONDS = 600


@contextmanager
def up(home, port):
    """What `faceswap up` says first, and its process id; unless it was killed it ends well."""
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_WORKER_QUERY_SECONDS": "2"}
    environment.pop("PREFECT_API_URL", None)
    with subprocess.Popen([*UP, "--port", str(port)], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield {**json.loads(process.stdout.readline()), "pid": process.pid}
        finally:
            killed = process.poll() == -signal.SIGKILL  # by the test itself
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == (-signal.SIGKILL if killed else 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(url, path, body):
    """What the server answers; one that is too busy at the moment, or is being started again, is asked again."""
    headers = {"Content-Type": "application/json"}
    for left in range(90, -1, -1):
        request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.loads(reply.read() or b"null")
        except OSError as error:
            if getattr(error, "code", 503) != 503 or not left:
                raise
            time.sleep(2)


def get(url):
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.read()


def until(happens):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := happens():
            return found
        time.sleep(1)
    raise AssertionError(f"it did not happen in {SECONDS} s")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::"])
def test_an_open_address_without_an_auth_string_is_refused(monkeypatch, host):
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    with pytest.raises(SettingsError, match="AUTH_STRING"):
        service.refuse_open_door(host)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "user:secret")
    service.refuse_open_door(host)


@pytest.mark.flow
@pytest.mark.release
def test_with_an_auth_string_the_server_answers_nobody_without_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "user:secret")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    port = free_port()
    with server_module.serving(
        tmp_path, tmp_path / "prefect.db", "127.0.0.1", port, service._settings("127.0.0.1", port)
    ) as (url, _):

        def status(headers):
            request = urllib.request.Request(
                f"{url}/flows/filter", b"{}", {"Content-Type": "application/json", **headers}
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    return reply.status
            except urllib.error.HTTPError as error:
                return error.code

        basic = {name: base64.b64encode(name.encode()).decode() for name in ("user:secret", "user:guess")}
        assert status({}) == 401
        assert status({"Authorization": f"Basic {basic['user:guess']}"}) == 401
        assert status({"Authorization": f"Basic {basic['user:secret']}"}) == 200


def test_a_port_in_use_ends_with_3(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
        done = faceswap("up", "--port", port, **environment)
    assert done.code == 3
    assert str(port) in done.last["message"]


@pytest.mark.flow
def test_runs_that_nothing_works_on_are_marked_crashed(server):
    flow = post(server, "/flows/", {"name": "left-behind"})["id"]
    state = {"type": "RUNNING", "name": "Running"}
    run = post(server, "/flow_runs/", {"flow_id": flow, "state": state})["id"]
    assert bury(server) >= 1
    found = json.loads(get(f"{server}/flow_runs/{run}"))
    assert found["state_type"] == "CRASHED"
    assert "run the same command again" in found["state"]["message"]


@pytest.mark.flow
@pytest.mark.release
def test_an_inbox_of_jobs_is_worked_off(tmp_path, tiny_job, clips):
    box = tmp_path / "box"
    box.mkdir()
    text = tiny_job.read_text().replace("iterations = 20", "iterations = 3")
    (box / "good.toml").write_text(text)
    (box / "bad.toml").write_text("name = ")
    (box / "fails.toml").write_text(text.replace(str(clips["plate"]), str(tmp_path / "late.mp4")))
    with up(tmp_path / "home", free_port()) as said:
        url = said["api_url"]
        assert b"<html" in get(said["ui"]).lower()
        deployments = {d["name"]: d for d in post(url, "/deployments/filter", {})}
        parts = {"build-faceset", "train", "convert", "convert-segment", "evaluate"}
        assert set(deployments) == {"swap-video", "inbox"} | parts

        def look():
            path = f"/deployments/{deployments['inbox']['id']}/create_flow_run"
            run = post(url, path, {"parameters": {"folder": str(box)}, "state": {"type": "SCHEDULED"}})["id"]
            until(lambda: json.loads(get(f"{url}/flow_runs/{run}"))["state_type"] in ("COMPLETED", "FAILED"))

        def settled():
            look()
            return (box / "done" / "good.toml").exists() and (box / "failed" / "fails.toml").exists()

        until(settled)
        assert "TOML" in (box / "bad" / "bad.txt").read_text()
        assert (box / "out.mp4").is_file()
        assert json.loads((box / "done" / "good.json").read_text())["state"] == "Completed"
        failed = json.loads((box / "failed" / "fails.json").read_text())
        assert "late.mp4" in failed["message"]

        (tmp_path / "late.mp4").write_bytes(clips["plate"].read_bytes())  # mended, then `Retry` in the UI
        retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        post(url, f"/flow_runs/{failed['flow_run']}/set_state", retry)

        def mended():
            look()
            return (box / "done" / "fails.toml").exists()

        until(mended)
        assert not list((box / "failed").iterdir())
        assert len(post(url, "/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["inbox"]}}})) == 2
