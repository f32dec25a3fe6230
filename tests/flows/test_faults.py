"""Faults of a run from the command line: processes killed, files harmed, a disk that is full, a store that fails."""

import json
import pickle
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import faceswap
from faults import SECONDS, TIMES, TRAINING, finished_in, goes_on, job_in, kill, moments, pick, struck, undisturbed
from processes import command_of, left_of

from tests.objectstores import BUCKET

pytestmark = [pytest.mark.flow, pytest.mark.release]

LATER = {"assemble-video", "sign-video", "verify-video", "measure-quality"}
FAILING_SECONDS = 20


@pytest.fixture(scope="module")
def calm(server, tiny_job, tmp_path_factory):
    return undisturbed(tiny_job, tmp_path_factory.mktemp("calm"))


def test_kill_9_of_the_flow(calm, tiny_job, tmp_path):
    for number, moment in enumerate(moments("flow", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, moment, lambda process, _: kill(process.pid))
        assert code == -signal.SIGKILL
        assert left_of(started) == []
        goes_on(job, calm, told={"fault": "kill -9 of the flow process", "at": moment, "exit": code})


def test_kill_9_of_a_process_of_the_pool(calm, tiny_job, tmp_path):
    more = ("--set", "runtime.runner=processes")
    for number, moment in enumerate(moments("pool", calm)):

        def strike(_process, started, number=number):
            pool = [pid for pid in started if "multiprocessing.spawn" in command_of(pid)]
            kill(pick("member", number).choice(sorted(pool)))

        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, moment, strike, more)
        assert code in (0, 1)
        assert left_of(started) == []
        goes_on(job, calm, more, told={"fault": "kill -9 of a pool child", "at": moment, "exit": code})


def test_kill_9_of_the_server(calm, tiny_job, tmp_path):
    own = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "home")}

    def strike(_process, started):
        kill(next(pid for pid in started if "flows.server_child" in command_of(pid)))

    for number, moment in enumerate(moments("server", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, moment, strike, **own)
        assert left_of(started) == []
        goes_on(job, calm, told={"fault": "kill -9 of the run's own server", "at": moment, "exit": code}, **own)


def test_an_interrupt(calm, tiny_job, tmp_path):
    for number, moment in enumerate(moments("interrupt", calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        code, started = struck(job, moment, lambda process, _: process.send_signal(signal.SIGINT))
        assert code in (0, 130)
        assert left_of(started) == []
        goes_on(job, calm, told={"fault": "SIGINT", "at": moment, "exit": code})


@pytest.mark.parametrize("after", [0.0, 30.0], ids=["500", "silence"])
def test_a_store_that_fails_for_20_seconds_is_waited_out(bucket, calm, tiny_job, tmp_path, after):
    def strike(_process, _started):
        bucket.fault = after
        threading.Timer(FAILING_SECONDS, lambda: setattr(bucket, "fault", None)).start()

    for number, moment in enumerate(moments(f"store {after}", calm)):
        job, prefix = job_in(tmp_path / str(number), tiny_job), f"faults/{after:.0f}-{number}"
        job.write_text(job.read_text().replace('workspace = "ws"', f'workspace = "s3://{BUCKET}/{prefix}"'))
        cache = tmp_path / f"cache-{number}"
        code, started = struck(job, moment, strike, FACESWAP_CACHE=str(cache))
        assert code == 0
        assert left_of(started) == []
        assert "which fails" in next(cache.glob("*/runs/*/log.jsonl")).read_text()
        told = {"fault": f"S3 {'silent' if after else 'answers 500'} for 20 s", "at": moment, "exit": code}
        goes_on(job, calm, told=told, FACESWAP_CACHE=str(cache))
        assert bucket.names(f"{prefix}/.tmp/") == []


def test_a_corrupted_chunk_is_encoded_again(calm, tmp_path):
    for number in range(TIMES):
        job, chance = finished_in(tmp_path / str(number), calm), pick("chunk", number)
        chunk = chance.choice(sorted((job.parent / "ws" / "chunks").glob("*.mp4")))
        data = bytearray(chunk.read_bytes())
        place = chance.randrange(len(data))
        data[place] ^= 0xFF
        chunk.write_bytes(data)
        done = goes_on(job, calm, told={"fault": "corrupted chunk", "byte": place})
        assert done.computed["reencode-chunk"] == 1
        assert set(done.computed) <= {"reencode-chunk", *LATER}


class Poison:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_poisoned_record_is_made_anew_and_never_run(calm, tmp_path):
    mark = tmp_path / "ran"
    for number in range(TIMES):
        job = finished_in(tmp_path / str(number), calm)
        record = pick("record", number).choice(sorted((job.parent / "ws" / ".prefect-results").iterdir()))
        told = json.loads(record.read_text())
        told["metadata"]["serializer"] = {"type": "pickle", "picklelib": "cloudpickle"}
        told["result"] = pickle.dumps(Poison(mark), protocol=0).decode("latin-1")
        record.write_text(json.dumps(told))
        stage = record.name.rpartition("-")[0]
        done = goes_on(job, calm, told={"fault": "poisoned record", "stage": stage})
        assert done.computed[stage] == 1
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
            left = pick("disk", number).randrange(used // 10, used)
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - left))
            full = faceswap("run", job, *TRAINING, "--force", seconds=SECONDS)
            assert (full.code, full.last["error"]) == (3, "DiskFullError"), full.stderr
            ballast.unlink()
            goes_on(job, calm, told={"fault": "full disk", "bytes_left": left, "exit": full.code})
            shutil.rmtree(job.parent)
    finally:
        subprocess.run(["umount", disk], check=True)
