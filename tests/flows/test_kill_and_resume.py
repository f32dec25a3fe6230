"""kill -9 at several moments, then the same command: it finishes, and the video is the one of a calm run."""

import os
import signal
import zlib

import pytest
from conftest import faceswap, faceswap_until

from faceswap_core.video.planes import plane_bytes
from faceswap_core.video.reader import decode_linear

pytestmark = [pytest.mark.flow, pytest.mark.release]

TRAINING = ("--set", "train.iterations=400", "--set", "train.checkpoint_every=100")


def frames_of(video) -> list[int]:
    return [zlib.crc32(b"".join(plane_bytes(frame))) for frame in decode_linear(video)]


def job_in(folder, tiny_job):
    folder.mkdir()
    path = folder / "job.toml"
    path.write_text(tiny_job.read_text())
    return path


def kill_when(job, stage, done) -> int:
    """Start the run and kill it once ``stage`` has told of ``done`` units; returns how many lines it printed."""
    with faceswap_until(stage, done, "run", job, *TRAINING) as (process, count):
        os.kill(process.pid, signal.SIGKILL)
        return count


@pytest.fixture(scope="module")
def calm(server, tiny_job, tmp_path_factory):
    job = job_in(tmp_path_factory.mktemp("calm") / "job", tiny_job)
    return faceswap("run", job, *TRAINING)


def test_a_killed_run_finishes_with_the_same_frames(calm, tiny_job, tmp_path):
    assert calm.code == 0, calm.stderr
    job = job_in(tmp_path / "killed", tiny_job)
    for stage, done in (("decode-frames", 10), ("align-landmarks", 20), ("train-model", 150), ("reencode-chunk", 10)):
        kill_when(job, stage, done)
    finished = faceswap("run", job, *TRAINING)
    assert finished.code == 0, finished.stderr
    assert frames_of(finished.last["output"]) == frames_of(calm.last["output"])
    assert finished.report["training"]["steps"] == 400
    assert not {"plan-video", "decode-frames", "detect-faces", "align-landmarks", "train-model"} & set(
        finished.computed
    )
    assert finished.computed.get("reencode-chunk", 0) <= calm.computed["reencode-chunk"] - 1


def test_a_killed_training_loses_no_more_than_one_checkpoint(calm, tiny_job, tmp_path):
    job = job_in(tmp_path / "training", tiny_job)
    kill_when(job, "train-model", 250)
    finished = faceswap("run", job, *TRAINING)
    assert finished.code == 0, finished.stderr
    log = (job.parent / "ws" / "runs" / finished.last["run"] / "log.jsonl").read_text()
    steps = next(int(line.split("trained ")[1].split()[0]) for line in log.splitlines() if "steps, 400 in all" in line)
    assert steps <= 200
    assert frames_of(finished.last["output"]) == frames_of(calm.last["output"])


def test_nothing_half_written_stands_under_a_final_name(calm, tiny_job, tmp_path):
    job = job_in(tmp_path / "late", tiny_job)
    kill_when(job, "reencode-chunk", 10)
    assert not (job.parent / "out.mp4").exists()
    assert faceswap("run", job, *TRAINING).code == 0
    assert not list((job.parent / "ws" / ".tmp").glob("*/*"))
