"""What the flow of an inbox does with job files, in a folder and in a bucket; no worker takes the runs it starts."""

import json
import os
import subprocess
import sys

import pytest
from test_service import post

from faceswap_core.inboxes import inbox_at
from faceswap_core.storage import place_of
from tests.objectstores import BUCKET, CREDENTIALS, s3_server

pytestmark = pytest.mark.flow

LOOK = "import json, sys; from flows.inbox import inbox; print(json.dumps(inbox(sys.argv[1], sys.argv[2])))"


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path, monkeypatch):
    """Where an inbox is."""
    if request.param == "folder":
        yield str(tmp_path / "box")
        return
    with s3_server() as store:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": store.url}.items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}/box"


class Watched:
    """An inbox and the deployment that its jobs are runs of."""

    def __init__(self, url, place, name):
        self.url, self.place, self.deployment = url, place, f"{name}/waits"
        flow = post(url, "/flows/", {"name": name})["id"]
        self.id = post(url, "/deployments/", {"name": "waits", "flow_id": flow})["id"]
        self.box = inbox_at(place_of(place))

    def look(self):
        command = [sys.executable, "-c", LOOK, self.place, self.deployment]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def runs(self):
        wanted = {"flow_runs": {"deployment_id": {"any_": [self.id]}}}
        return {run["parameters"]["job"]["name"]: run["id"] for run in post(self.url, "/flow_runs/filter", wanted)}

    def end(self, run, state):
        post(self.url, f"/flow_runs/{run}/set_state", {"state": {"type": state, "message": "as told"}, "force": True})

    def stems(self):
        """Names of the job files in each folder, without what a bucket adds."""
        folders = ("", "claimed", "bad", "done", "failed")
        return {f: [n.rpartition("/")[2].split(".")[0] for n in names] for f in folders if (names := self.box.names(f))}

    def beside(self, folder, suffix):
        (name,) = self.box.names(folder)
        return (self.box.read(name.removesuffix(".toml") + suffix) or b"").decode()


def test_job_files_are_started_once_and_sorted_by_how_they_end(server, place, tiny_job, request):
    watched = Watched(server, place, f"inbox-{request.node.callspec.id}")
    text = tiny_job.read_text()
    watched.box.write("one.toml", text.replace('"tiny"', '"one"').encode())
    watched.box.write("bad.toml", b"name = ")
    watched.box.write("claimed/two.toml", text.replace('"tiny"', '"two"').encode())  # its watcher was killed then
    assert watched.look() == {"started": 2, "bad": 1, "done": 0, "failed": 0}
    assert watched.stems() == {"claimed": ["one", "two"], "bad": ["bad"]}
    assert "TOML" in watched.beside("bad", ".txt")
    runs = watched.runs()

    for name in watched.box.names("claimed"):
        watched.box.remove(name.removesuffix(".toml") + ".run")  # another one was killed before it noted the runs
    assert watched.look()["started"] == 2
    assert watched.runs() == runs, "the same runs"

    watched.end(runs["one"], "COMPLETED")
    watched.end(runs["two"], "FAILED")
    assert watched.look() == {"started": 0, "bad": 0, "done": 1, "failed": 1}
    assert watched.stems() == {"done": ["one"], "failed": ["two"], "bad": ["bad"]}
    assert json.loads(watched.beside("done", ".json"))["state"] == "Completed"
    failed = json.loads(watched.beside("failed", ".json"))
    assert (failed["flow_run"], failed["message"]) == (runs["two"], "as told")

    watched.end(runs["two"], "COMPLETED")  # it was mended, and retried
    assert watched.look()["done"] == 1
    assert watched.stems() == {"done": ["one", "two"], "bad": ["bad"]}
    assert watched.look() == {"started": 0, "bad": 0, "done": 0, "failed": 0}


def test_a_file_given_again_is_another_job(server, place, tiny_job, request):
    watched = Watched(server, place, f"again-{request.node.callspec.id}")
    for text in (tiny_job.read_text(), tiny_job.read_text() + "\n"):
        watched.box.write("film.toml", text.encode())
        assert watched.look()["started"] == 1
    assert len(watched.box.names("claimed")) == 2
    count = {"deployments": {"id": {"any_": [watched.id]}}}
    assert post(server, "/flow_runs/count", count) == 2
