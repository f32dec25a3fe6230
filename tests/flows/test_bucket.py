"""A workspace in a bucket: run, run again, on a second machine, after kill -9."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from conftest import faceswap, faceswap_until
from test_kill_and_resume import frames_of

from tests.objectstores import BUCKET, CREDENTIALS

pytestmark = [pytest.mark.flow, pytest.mark.release]


class Site:
    """A job on a bucket, and machines that run it."""

    def __init__(self, folder, tiny_job, prefix):
        self.folder = folder
        self.place = f"s3://{BUCKET}/{prefix}"
        self.prefix = prefix
        self.job = folder / "job.toml"
        self.job.write_text(tiny_job.read_text().replace('workspace = "ws"', f'workspace = "{self.place}"'))

    def cache(self, machine):
        return self.folder / "machines" / machine

    def run(self, machine, *arguments, command="run"):
        return faceswap(command, self.job, *arguments, FACESWAP_CACHE=str(self.cache(machine)))

    def kill_when(self, machine, stage, done, *arguments):
        os.environ["FACESWAP_CACHE"] = str(self.cache(machine))
        try:
            with faceswap_until(stage, done, "run", self.job, *arguments) as (process, _):
                os.kill(process.pid, signal.SIGKILL)
        finally:
            del os.environ["FACESWAP_CACHE"]


@pytest.fixture(scope="module")
def site(bucket, tiny_job, tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"), tiny_job, "jobs/tiny")


@pytest.fixture(scope="module")
def done(site):
    return site.run("one")


@pytest.fixture(scope="module")
def calm(server, tiny_job, tmp_path_factory):
    """The same job in a local folder."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "job.toml").write_text(tiny_job.read_text())
    return faceswap("run", folder / "job.toml")


class TestRun:
    def test_frames_are_those_of_a_local_workspace(self, done, calm):
        assert done.code == 0, done.stderr
        assert frames_of(done.last["output"]) == frames_of(calm.last["output"])
        assert done.report["frames"] == calm.report["frames"]

    def test_everything_but_temporary_files_is_in_the_bucket(self, site, bucket, done):
        names = bucket.names(f"{site.prefix}/")
        assert not [name for name in names if ".tmp" in name or "/proofs/" in name]
        run = f"{site.prefix}/runs/{done.last['run']}/"
        assert {run + file for file in ("run.json", "report.json", "report.html", "log.jsonl")} <= set(names)
        assert json.loads(bucket.get(run + "run.json"))["state"] == "completed"
        assert len([name for name in names if "/.prefect-results/" in name]) >= done.last["computed"]

    def test_no_secret_is_written_anywhere(self, site, bucket, done):
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in done.stderr + json.dumps(done.lines)
        for name in bucket.names(f"{site.prefix}/"):
            assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in bucket.get(name), name
        home = Path(os.environ["PREFECT_HOME"])
        for path in [*site.cache("one").rglob("*"), *home.rglob("*")]:
            assert not path.is_file() or CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in path.read_bytes(), path

    def test_the_same_command_again_computes_and_moves_nothing(self, site, bucket, done):
        sent, given = bucket.sent, bucket.given
        with bucket.counted() as asked:
            again = site.run("one")
        assert again.code == 0, again.stderr
        assert (again.last["computed"], again.last["cached"]) == (0, done.last["computed"] + done.last["cached"])
        report = sum(path.stat().st_size for path in Path(again.last["report"]).parent.iterdir())
        assert bucket.sent - sent < report + 50_000
        assert bucket.given - given < 150_000
        assert asked["HEAD"] + asked["GET"] < 60

    def test_a_second_machine_computes_nothing_and_gets_the_output(self, site, bucket, done, tmp_path):
        output = Path(done.last["output"])
        before = output.read_bytes()
        sidecar = output.with_name(output.name + ".provenance.json")
        output.unlink()
        sidecar.unlink()
        second = faceswap("run", site.job, FACESWAP_CACHE=str(tmp_path / "c"), PREFECT_HOME=str(tmp_path / "p"))
        assert second.code == 0, second.stderr
        assert second.last["computed"] == 0, second.computed
        assert output.read_bytes() == before
        assert sidecar.is_file()
        assert second.report["training"]["checkpoint"] == done.report["training"]["checkpoint"]

    @pytest.mark.parametrize("harm", ["deleted", "altered"])
    def test_a_chunk_that_was_harmed_is_made_again_alone(self, site, bucket, done, harm):
        chunk = next(name for name in bucket.names(f"{site.prefix}/chunks/") if name.endswith(".mp4"))
        whole = bucket.get(chunk)
        if harm == "deleted":
            bucket.delete(chunk)
        else:
            bucket.put(chunk, whole[:-1] + bytes([whole[-1] ^ 1]))
        again = site.run("one")
        assert again.code == 0, again.stderr
        assert again.computed == {"reencode-chunk": 1}
        assert bucket.get(chunk) == whole


class TestCommands:
    def test_runs_are_listed_and_shown_on_any_machine(self, site, done, tmp_path):
        elsewhere = {"FACESWAP_CACHE": str(tmp_path)}
        listed = faceswap("runs", "list", "--workspace", site.place, **elsewhere)
        assert done.last["run"] in [line["run"] for line in listed.lines]
        shown = faceswap("runs", "show", done.last["run"], "--workspace", site.place, **elsewhere)
        assert shown.last["frames"] == done.report["frames"]
        assert (Path(shown.last["folder"]) / "report.html").is_file()

    def test_faces_are_chosen_on_one_machine_and_trained_on_another(self, site, done, tmp_path):
        dropped = faceswap("faces", "drop", site.place, "frame_index < 3", FACESWAP_CACHE=str(tmp_path))
        assert dropped.code == 0, dropped.stderr
        again = site.run("one")
        assert again.code == 0, again.stderr
        assert again.computed["train-model"] == 1
        assert "decode-frames" not in again.computed
        assert faceswap("faces", "keep", site.place, FACESWAP_CACHE=str(tmp_path)).code == 0

    def test_preview_and_evaluation_come_from_what_is_there(self, site, done, tmp_path):
        judged = site.run("three", command="evaluate")
        assert judged.code == 0, judged.stderr
        assert judged.last["truth"]["transfer"] is not None
        shown = faceswap("preview", site.job, "--frame", "7", FACESWAP_CACHE=str(tmp_path))
        assert shown.code == 0, shown.stderr
        assert Path(shown.last["preview"]).is_file()

    def test_demo_is_refused(self, site):
        refused = faceswap("demo", "--workspace", site.place)
        assert refused.code == 2
        assert "local folder" in refused.last["message"]


class TestFaults:
    TRAINING = ("--set", "train.iterations=300", "--set", "train.checkpoint_every=50")

    def test_a_second_machine_goes_on_where_a_killed_one_stopped(self, bucket, tiny_job, calm, tmp_path):
        site = Site(tmp_path, tiny_job, "jobs/killed")
        site.kill_when("one", "align-landmarks", 20, *self.TRAINING)
        site.kill_when("two", "train-model", 150, *self.TRAINING)
        site.kill_when("three", "reencode-chunk", 10, *self.TRAINING)
        ended = site.run("four", *self.TRAINING)
        assert ended.code == 0, ended.stderr
        assert not {"plan-video", "decode-frames", "detect-faces", "align-landmarks", "train-model"} & set(
            ended.computed
        )
        local = tmp_path / "local"
        local.mkdir()
        (local / "job.toml").write_text(tiny_job.read_text())
        straight = faceswap("run", local / "job.toml", *self.TRAINING)
        assert frames_of(ended.last["output"]) == frames_of(straight.last["output"])
        steps = [
            line
            for path in bucket.names(f"{site.prefix}/checkpoints/")
            for line in [path.rpartition("/")[2]]
            if line.startswith("step-")
        ]
        assert "step-00000300.safetensors" in steps


def test_purge_leaves_nothing_in_the_bucket_nor_on_other_machines(bucket, tiny_job, records, tmp_path):
    site = Site(tmp_path, tiny_job, "jobs/purged")
    assert site.run("one").code == 0
    assert site.run("two").code == 0
    old = time.time() - 3600
    for path in site.cache("two").rglob("*"):
        os.utime(path, (old, old))
    purged = faceswap("purge", records["b"], "--workspace", site.place, FACESWAP_CACHE=str(site.cache("one")))
    assert purged.code == 0, purged.stderr
    assert purged.last["remaining"] == []
    for stage in ("checkpoints", "train-model", "swap-frames", "smooth-frames", "chunks", "outputs", "runs"):
        assert bucket.names(f"{site.prefix}/{stage}/") == [], stage
    assert bucket.names(f"{site.prefix}/detect-faces/") != [], "what comes of the other person alone stays"
