"""seeds -> rendered clips of two actors and the job file that swaps one for the other."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from faceswap_core.config import RuntimeSettings
from faceswap_core.stages.actor import ActorClip, ActorSettings
from faceswap_core.stages.consent import write_signed
from faceswap_core.stages.rendered import actor_record
from faceswap_core.storage import Workspace, atomic_path
from faceswap_core.types import Json
from flows.gather import gather
from tasks import progress
from tasks.actor import RENDER, render_actor
from tasks.options import job_runner

_TRAINING_FRAMES = 240
_PLATE_FRAMES = 300
_TRAINING_CUTS = (60, 120, 180)
_PLATE_CUT = 170


@dataclass(frozen=True)
class Demo:
    """What the demonstration is made of."""

    actor_a: int = 3
    """Seed of the person in the plate."""
    actor_b: int = 8
    """Seed of the person who is drawn."""
    seed: int = 0
    """Seed of the performances and of the training."""
    iterations: int | None = None
    """Training steps; by default the preset's."""


@flow(name="render-actors", flow_run_name="render-actors", persist_result=False)
def render_actors(workspace: Path, demo: Demo) -> Json:
    """Render the clips of both actors, plate and truth; returns the clips by their part in the job."""
    with job_runner(str(workspace), RuntimeSettings()):
        parts = clips(demo)
        progress.expect(RENDER, sum(settings.frames for settings in parts.values()))
        rendering = [render_actor.submit(str(workspace), part, settings) for part, settings in parts.items()]
        sizes = [settings.frames for settings in parts.values()]
        names = list(parts)
        rendered = gather(rendering, lambda i, _: progress.finished(RENDER, names[i], sizes[i]))
    for clip in rendered:
        _name_truth(workspace, clip)
    return dict(zip(parts, rendered, strict=True))


def clips(demo: Demo) -> dict[str, ActorSettings]:
    """Settings of each clip: two of each actor to learn from, a held-out plate, and its truth.

    Both actors play the same two scripts in the same light, as training footage is best shot: what differs
    between the two sets is then the people alone. The plate is another performance, seen by neither decoder.
    """
    first = 10 * demo.seed + 1

    def learning(identity: int, number: int) -> ActorSettings:
        performance = first + number
        return ActorSettings(identity=identity, performance=performance, frames=_TRAINING_FRAMES, cuts=_TRAINING_CUTS)

    def acting(identity: int) -> ActorSettings:
        return ActorSettings(identity=identity, performance=first + 2, frames=_PLATE_FRAMES, cuts=(_PLATE_CUT,))

    return {
        "a1": learning(demo.actor_a, 0),
        "a2": learning(demo.actor_a, 1),
        "b1": learning(demo.actor_b, 0),
        "b2": learning(demo.actor_b, 1),
        "plate": acting(demo.actor_a),
        "truth": acting(demo.actor_b),
    }


def _name_truth(workspace: Path, clip: ActorClip) -> None:
    """Write down, beside a clip, where its exact landmarks are."""
    video = Workspace(workspace).root / clip["video"]["path"]
    with atomic_path(video.with_name(video.name + ".truth.json")) as temporary:
        temporary.write_text(json.dumps(clip["truth"]))


def write_job(workspace: Path, rendered: Json, demo: Demo) -> Path:
    """Write ``job.toml`` and the actors' records into the workspace: `faceswap run` on it is the same run."""
    root = Workspace(workspace).root
    _write_records(root, rendered, demo)
    video = {part: json.dumps(_from(root, clip["video"]["path"])) for part, clip in rendered.items()}
    training = f"iterations = {demo.iterations}\n" if demo.iterations else ""
    text = f"""\
# Written by `faceswap demo`: actor {demo.actor_a} (a) is seen in the plate, actor {demo.actor_b} (b) is drawn.
name = "demo"
workspace = "."
seed = {demo.seed}

[plate]
video = {video["plate"]}
subject = "a"
truth = {video["truth"]}  # the same performance by b: what a perfect swap would show
plate_for_training = false

[subjects.a]
videos = [{video["a1"]}, {video["a2"]}]
consent = "consent/a.json"

[subjects.b]
videos = [{video["b1"]}, {video["b2"]}]
consent = "consent/b.json"

[swap]
to = "b"

[output]
video = "out/demo.mp4"

[decode]
chunk_frames = 60

[encode]
preset = "draft"

[train]
preset = "draft"
{training}"""
    path = root / "job.toml"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _write_records(root: Path, rendered: Json, demo: Demo) -> None:
    """Write the records of both actors: there is nobody to ask, and their seeds prove it."""
    parts = clips(demo)
    shown = {"a": ("a1", "a2", "plate"), "b": ("b1", "b2", "truth")}
    for subject, names in shown.items():
        record = actor_record(subject, [(parts[name], rendered[name]) for name in names])
        write_signed(root / "consent" / f"{subject}.json", record)


def _from(root: Path, path: str) -> str:
    """A path as it stands in a job file of that folder."""
    return Path(os.path.relpath((root / path).resolve(), root.resolve())).as_posix()
