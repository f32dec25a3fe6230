"""Strikes at random moments of a run, and the same command again: it ends, with the frames of an undisturbed run.

FACESWAP_FAULTS=10 strikes ten times with each kind (default 1), FACESWAP_FAULT_SEED chooses the moments (default 0). A
moment is a stage and how much of it is done, so that a busy machine is struck at the same place. Each strike prints a
row: when, how the struck run ended, what the next one computed again, and seconds (`pytest -s` shows them).
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from conftest import FACESWAP, faceswap
from processes import children_of
from test_kill_and_resume import frames_of

TIMES = int(os.environ.get("FACESWAP_FAULTS", "1"))
SEED = int(os.environ.get("FACESWAP_FAULT_SEED", "0"))
SECONDS = 900
TRAINING = ("--set", "train.iterations=60", "--set", "train.checkpoint_every=20")


def undisturbed(tiny_job, folder):
    """The job, run in a folder of its own; its frames beside it."""
    done = faceswap("run", job_in(folder / "job", tiny_job), *TRAINING, seconds=SECONDS)
    assert done.code == 0, done.stderr
    done.frames = frames_of(done.last["output"])
    return done


def job_in(folder, tiny_job):
    folder.mkdir(parents=True)
    path = folder / "job.toml"
    path.write_text(tiny_job.read_text())
    return path


def finished_in(folder, calm):
    """A job of its own that has run: the undisturbed one, copied."""
    shutil.copytree(Path(calm.last["output"]).parent, folder)
    return folder / "job.toml"


def moments(kind, calm):
    """When to strike: stage, and how much of it is done; from when workers are there."""
    told = [(line["stage"], line["done"]) for line in calm.lines if line["event"] == "stage"]
    first = next(i for i, (stage, done) in enumerate(told) if stage == "decode-frames" and done)
    return [pick(kind, number).choice(told[first:-1]) for number in range(TIMES)]


def pick(kind, number):
    """Chance, the same each time."""
    return random.Random(f"{SEED} {kind} {number}")


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def struck(job, moment, strike, more=(), **environment):
    """Run a job and strike at a moment; gives its exit code, and what it had started."""
    command = [*FACESWAP, "run", str(job), *TRAINING, *more, "--json"]
    env = {name: value for name, value in {**os.environ, **environment}.items() if value}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in map(json.loads, process.stdout):
            if line.get("stage") == moment[0] and line["done"] >= moment[1]:
                break
        started = children_of(process.pid)
        assert process.poll() is None, f"it ended before {moment}"
        strike(process, started)
        process.stdout.read()
        return process.wait(SECONDS), started


def goes_on(job, calm, more=(), *, told, **environment):
    """The same command again ends well, and the frames are those of the undisturbed run; prints the table's row."""
    output, began = job.parent / "out.mp4", time.monotonic()
    if output.exists():
        assert frames_of(output) == calm.frames, "what has its final name is whole"
    done = faceswap("run", job, *TRAINING, *more, seconds=SECONDS, **environment)
    assert done.code == 0, done.stderr
    assert frames_of(output) == calm.frames
    assert done.report["frames"] == calm.report["frames"]
    assert not list((job.parent / "ws" / ".tmp").glob("*/*"))
    row = {**told, "computed_again": sum(done.computed.values()), "of": sum(calm.computed.values())}
    print(json.dumps({**row, "frames_equal": True, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    return done
