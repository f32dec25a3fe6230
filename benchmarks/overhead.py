"""What a run costs beside its work: `faceswap recode` in chunks of two seconds against the same calls in a plain loop.

`python -m benchmarks.overhead VIDEO [TURNS]` takes turns, one thread each, on one server. One JSON object a line:
seconds and CPU seconds of both, and `within`, the wall time of the run over the time inside its tasks, which other
work on the machine does not bend. A recode has the least work a task of all runs: a swap adds networks.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from faceswap_core.config import BlendSettings, DecodeSettings, EncodeSettings, RuntimeSettings
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.stages import assemble, decode, encode, verify
from faceswap_core.storage import Workspace
from faceswap_core.types import Json
from faceswap_core.video.index import build_index
from flows.server import prefect_server

CHUNK_SECONDS = 2
ALLOWED = 1.02


def main(video: Path, turns: int) -> None:
    index = build_index(str(video))
    seconds = float((index.pts[-1] - index.pts[0]) * index.facts.time_base)
    length = max(8, round(CHUNK_SECONDS * len(index) / seconds))
    found = []
    with tempfile.TemporaryDirectory() as name:
        os.environ["PREFECT_HOME"] = f"{name}/home"
        os.environ.pop("PREFECT_API_URL", None)
        with prefect_server(quiet=True):
            for turn in range(turns):
                found.append(_turn(video, Path(name) / str(turn), length))
                print(json.dumps({"stage": "overhead", **found[-1], "load": os.getloadavg()[0]}), flush=True)
    ratios = {name: round(median(f[name] for f in found), 4) for name in ("ratio", "cpu_ratio", "within")}
    print(json.dumps({"stage": "overhead", "frames": len(index), **ratios, "allowed": ALLOWED}))


def _turn(video: Path, folder: Path, length: int) -> Json:
    from flows.recode import recode_video

    def settings(name: str) -> RecodeSettings:
        return RecodeSettings(
            video=video.absolute(),
            output=folder / f"{name}.mp4",
            workspace=folder / name,
            decode=DecodeSettings(chunk_frames=length),
            encode=EncodeSettings(preset="draft"),
            runtime=RuntimeSettings(workers=1),
        )

    folder.mkdir()
    loop, loop_cpu = _timed(lambda: _plain_loop(settings("loop")))
    run, run_cpu = _timed(lambda: recode_video(settings("run")))
    (report,) = (folder / "run" / "runs").glob("*/report.json")
    stages = json.loads(report.read_text())["stages"]
    inside = sum(stage["seconds"] for stage in stages.values())
    return {
        "task_runs": sum(stage["computed"] for stage in stages.values()),
        "loop_seconds": round(loop, 2),
        "run_seconds": round(run, 2),
        "ratio": round(run / loop, 4),
        "cpu_ratio": round(run_cpu / loop_cpu, 4),
        "within": round(run / inside, 4),
        "cpu_seconds": {name: stage["cpu_seconds"] for name, stage in stages.items()},
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - began, sum(os.times()[:4]) - cpu


def _plain_loop(settings: RecodeSettings) -> None:
    workspace, source = Workspace(settings.workspace), decode.video_ref(settings.video)
    plan = decode.plan_video(workspace, source, settings.decode)
    frames, chunks = [], []
    for i in range(plan["chunks"]):
        frames.append(decode.decode_frames(workspace, source, plan, i, settings.decode))
        chunks.append(encode.reencode_chunk(workspace, source, frames[i], None, BlendSettings(), settings.encode))
    made = assemble.assemble_video(workspace, source, frames, chunks, settings.output)
    verify.verify_video(workspace, source, frames, made["video"], made["not_carried"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
