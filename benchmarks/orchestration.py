"""What orchestration costs: the flows, tasks, records and counts of a job whose stages do nothing.

`python -m benchmarks.orchestration` prints one JSON object a line, each job in a process of its own on one server:

    scale   100,000 and 1,000,000 frames with chunks by the rule of `decode.chunk_frames`, and 100,000 with chunks as
            long as the rule's for 1,000,000: task runs, seconds, peak memory of the process, and how these grow
    asleep  16 chunks whose stages sleep 2 s in all, on one thread, against the same sleeps in a plain loop

CPU seconds stand beside those of the wall: on a machine that does other work only they compare.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faceswap_core.stages.decode import default_chunk_frames
from faceswap_core.types import Json

SMALL, LARGE = 100_000, 1_000_000
CHUNKS, CHUNK_SECONDS = 16, 2.0


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(_measured(**json.loads(sys.argv[1]))))
        return
    from flows.server import prefect_server

    with tempfile.TemporaryDirectory() as home:
        os.environ["PREFECT_HOME"] = home
        os.environ.pop("PREFECT_API_URL", None)
        with prefect_server(quiet=True):
            _scale()
            _asleep()
            _tell({"stage": "load", "minute": os.getloadavg()[0]})
        size = sum(path.stat().st_size for path in Path(home).glob("prefect.db*"))
        _tell({"stage": "database", "bytes": size})


def _scale() -> None:
    few, small, large = (
        _job(frames=SMALL, chunk_frames=default_chunk_frames(LARGE)),
        _job(frames=SMALL),
        _job(frames=LARGE),
    )
    for found in (few, small, large):
        _tell({"stage": "scale", **found})

    def growth(first: Json, figure: str, per: str) -> float:
        return round(float(large[figure] / large[per] / (first[figure] / first[per])), 3)

    _tell(
        {
            "stage": "scale",
            "memory_ratio": round(large["peak_mb"] / small["peak_mb"], 3),
            "seconds_a_frame_ratio": growth(small, "seconds", "frames"),
            "seconds_a_frame_ratio_equal_chunks": growth(few, "seconds", "frames"),
            "cpu_seconds_a_frame_ratio_equal_chunks": growth(few, "cpu_seconds", "frames"),
        }
    )


def _asleep() -> None:
    found = _job(frames=CHUNKS * 240, chunk_frames=240, workers=1, seconds_per_chunk=CHUNK_SECONDS)
    began = time.perf_counter()
    for _ in range(CHUNKS):
        time.sleep(CHUNK_SECONDS)
    loop = time.perf_counter() - began
    _tell({"stage": "asleep", **found, "loop_seconds": round(loop, 3)})


def _job(**given: object) -> Json:
    """Measure one job in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.orchestration", json.dumps(given)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Json = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(frames: int, chunk_frames: int | None = None, workers: int = 2, seconds_per_chunk: float = 0.0) -> Json:
    from benchmarks.empty_stages import emptied, empty_swap, job_of

    with tempfile.TemporaryDirectory() as folder, emptied(frames, chunk_frames, seconds_per_chunk) as chunks:
        job = job_of(Path(folder), workers)
        began, cpu = time.perf_counter(), time.process_time()
        counted = empty_swap(job)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "frames": frames,
        "chunks": chunks,
        "task_runs": counted["computed"],
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "ms_a_task_run": round(1000 * seconds / counted["computed"], 2),
        "body_seconds": round(counted["seconds"], 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _tell(found: Json) -> None:
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
