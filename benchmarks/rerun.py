"""How long `faceswap run` takes that finds everything done: a job whose plate has 100 chunks.

`python -m benchmarks.rerun` renders two actors, runs the job once on a server that is up, and twice again. One JSON
object a line: seconds of the whole command, of the flow alone, and what was computed and found.
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

from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.stages.consent import write_signed
from faceswap_core.stages.rendered import actor_record
from faceswap_core.storage import Workspace
from flows.server import prefect_server

CHUNKS, CHUNK_FRAMES = 100, 8
FLOOR_SECONDS = 10.0
JOB = """
name = "rerun"
workspace = "ws"
plate = {{ video = "{plate}", subject = "a", plate_for_training = false }}
subjects.a = {{ videos = ["{a}"], consent = "a.json" }}
subjects.b = {{ videos = ["{b}"], consent = "b.json" }}
swap.to = "b"
output.video = "out.mp4"
decode.chunk_frames = {length}
encode.preset = "draft"
align.size = 64
train = {{ width = 4, latent = 16, iterations = 10 }}
quality.frames = 0
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PREFECT_HOME"] = str(folder / "home")
        os.environ.pop("PREFECT_API_URL", None)
        job = _job(folder)
        with prefect_server(quiet=True):
            for turn in ("first", "again", "again"):
                print(json.dumps({"stage": "rerun", "turn": turn, **_run(job)}), flush=True)


def _job(folder: Path) -> Path:
    """Render the clips and write the job and its records."""
    workspace = Workspace(folder / "clips")

    def clip(identity: int, performance: int, frames: int) -> ActorSettings:
        size = {"width": 256, "height": 144, "face": 96}
        return ActorSettings(identity=identity, performance=performance, frames=frames, keyint=CHUNK_FRAMES, **size)

    clips = {"plate": clip(3, 5, CHUNKS * CHUNK_FRAMES), "a": clip(3, 1, 24), "b": clip(8, 2, 24)}
    made = {name: (settings, render_actor(workspace, settings)) for name, settings in clips.items()}
    for subject, names in {"a": ("plate", "a"), "b": ("b",)}.items():
        write_signed(folder / f"{subject}.json", actor_record(subject, [made[name] for name in names]))
    paths = {name: str(clip["video"]["path"]) for name, (_, clip) in made.items()}
    path = folder / "job.toml"
    path.write_text(JOB.format(**paths, length=CHUNK_FRAMES))
    return path


def _run(job: Path) -> dict[str, object]:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "run", str(job), "--json"]
    began, cpu = time.perf_counter(), _cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    last = json.loads(done.stdout.splitlines()[-1])
    run = json.loads(Path(last["report"]).with_name("run.json").read_text())
    return {
        "command_seconds": round(time.perf_counter() - began, 2),
        "command_cpu_seconds": round(_cpu() - cpu, 2),
        "flow_seconds": run["seconds"],
        "floor": FLOOR_SECONDS,
        "computed": last["computed"],
        "cached": last["cached"],
        "load": os.getloadavg()[0],
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
