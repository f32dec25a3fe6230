"""A pair of actors, analysed once -> trainings of variants of a network on the same faces, each judged by the truth.

What `faceswap run` does up to the training, and its judgement, without drawing and encoding the video in between.
Tasks are cached as there: a stopped benchmark goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prefect import flow

from benchmarks.claims import Row
from faceswap_core import manifest
from faceswap_core.config import JobSettings
from faceswap_core.faces.detectors import installed
from faceswap_core.jobfile import load_job
from faceswap_core.models.augment import plain_views
from faceswap_core.quality.metrics import sharpness
from faceswap_core.schemas import ALIGNED, MASKS, TRAIN_LOG
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.consent import ConsentGate
from faceswap_core.stages.evaluate import truth_report
from faceswap_core.stages.images import unpack
from faceswap_core.stages.weights import Swapper, pick_device
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import Grant
from faceswap_core.types import F32, U8, FileRef, ManifestRef
from flows.demo import Demo, render_actors, write_job
from flows.evaluate import evaluate
from flows.faceset import build_facesets
from flows.pipeline import aligned_sources, footage, granted
from flows.record import recorded
from flows.training import train
from tasks.options import job_runner

_SHARPNESS_FRAMES = 32


@dataclass(frozen=True)
class Pair:
    """Two actors whose faces were found and cut out."""

    name: str
    """Both identity seeds."""
    job_file: Path
    """The demonstration's job."""
    aligned: Mapping[Path, list[AlignedChunk]]
    """Faces of every video."""
    grants: dict[str, Grant]
    """Leave to train."""

    def judged(
        self, names: tuple[str, str, int], settings: tuple[str, ...], steps: int, at: str, stops: tuple[int, ...] = ()
    ) -> Row:
        """Train up to so many steps in all, and compare the swap with the truth.

        Args:
            names: conditions, variant and seed.
            settings: ``--set`` of both.
            steps: steps in all.
            at: what the row is: ``curve``, ``steps``, ``cpu`` or ``longer``.
            stops: steps at which this training was judged before.
        """
        job = load_job(self.job_file, (*settings, f"train.iterations={steps}", f"seed={names[2]}"))
        job = job.model_copy(update={"detect": installed(job.detect)})
        workspace = Workspace(job.workspace)
        trained = train(job, self.aligned, self.grants)
        judged = evaluate(job, self.aligned, trained["weights"])
        assert judged is not None
        truth = truth_report(workspace, judged)
        cpu_seconds = cpu_seconds_of(workspace, trained["log"], {*stops, steps})
        row: Row = {"pair": self.name, "conditions": names[0], "variant": names[1], "seed": names[2], "at": at}
        row |= {"steps": steps, "cpu_seconds": round(cpu_seconds, 1)}
        row |= {name: round(truth[name], 4) for name in ("swap_error", "swap_over_mean_face", "transfer", "residual")}
        row["mean_face_residual"] = round(truth["mean_face"]["residual"], 4)
        row["reconstruction_error"] = round(truth["swap_error"] / truth["swap_over_reconstruction"], 4)
        row["sharpness_to_truth"] = round(self._sharpness(job, trained["weights"]), 4)
        return row | without_truth(workspace, trained["log"], steps)

    def _sharpness(self, job: JobSettings, weights: FileRef) -> float:
        """Median, over the first frames, of the sharpness of the swap under the mask over that of the truth."""
        swapper = Swapper(Workspace(job.workspace), weights, pick_device(job.runtime))
        source, target = (swapper.facts.side_of(name) for name in (job.plate.subject, job.swap.to))
        assert job.plate.truth is not None
        plate, truth = (dict(_views(job, self.aligned[v], swapper)) for v in (job.plate.video, job.plate.truth))
        frames = sorted(plate.keys() & truth.keys())
        seen = np.stack([plate[frame] for frame in frames])
        drawn = swapper.draw(seen[..., :3].astype(np.float32), source=source, target=target)[..., :3]
        made = np.clip(np.rint(drawn), 0, 255).astype(np.uint8)
        masks = (seen[..., 3] / 255).astype(np.float32)
        ratios = [
            sharpness(one, mask) / max(sharpness(truth[frame][..., :3], mask), 1e-9)
            for frame, one, mask in zip(frames, made, masks, strict=True)
        ]
        return float(np.median(ratios))


def _views(job: JobSettings, chunks: list[AlignedChunk], swapper: Swapper) -> Iterator[tuple[int, U8]]:
    """(frame_index, view (R, R, 4) with the mask last) of the first frames."""
    workspace, faces = Workspace(job.workspace), 0
    for chunk in chunks:
        rows = manifest.stream(workspace, chunk["aligned"], ALIGNED, ["frame_index", "chip"])
        masks = manifest.stream(workspace, chunk["masks"], MASKS, ["mask"])
        for row, mask in zip(rows, masks, strict=True):
            if faces == _SHARPNESS_FRAMES:
                return
            chip: U8 = np.dstack([unpack(row["chip"]), unpack(mask["mask"])])
            view: F32 = plain_views(chip[None], resolution=swapper.resolution, coverage=job.align.coverage)[0]
            yield row["frame_index"], view.astype(np.uint8)
            faces += 1


def without_truth(workspace: Workspace, log: ManifestRef, steps: int) -> Row:
    """What the training itself measured at a checkpoint, by the names of TRAIN_LOG."""
    names = ("validation_a", "validation_b", "cycle", "likeness", "landmarks", "identity")
    (row,) = (r for r in manifest.stream(workspace, log, TRAIN_LOG, ["step", "event", *names])
              if r["step"] == steps and r["event"] is None)  # fmt: skip
    return {name: row[name] for name in names}


def cpu_seconds_of(workspace: Workspace, log: ManifestRef, stops: Set[int]) -> float:
    """CPU seconds of a training that stopped, and went on, at these steps: its log counts anew after each."""
    rows = manifest.stream(workspace, log, TRAIN_LOG, ["step", "cpu_seconds"])
    return float(sum(row["cpu_seconds"] for row in rows if row["step"] in stops))


def with_pair(workspace: Path, pair: tuple[int, int], work: Callable[[Pair], None]) -> None:
    """Render and analyse both actors, as the demonstration does, and do some work with their faces."""
    folder = workspace / f"{pair[0]}-{pair[1]}"
    cast = Demo(*pair)
    job_file = write_job(folder, render_actors(folder, cast), cast)

    @flow(name="seed-claims", flow_run_name=f"seed-claims · {folder.name}", persist_result=False)
    def analysed() -> None:
        job, gate = _job(job_file)
        with recorded(job) as run, job_runner(str(job.workspace), job.runtime):
            aligned = aligned_sources(job, build_facesets(job, footage(job), run, granted(job, gate)))
            work(Pair(folder.name, job_file, aligned, gate.check("training")))

    analysed()


def _job(job_file: Path) -> tuple[JobSettings, ConsentGate]:
    job = load_job(job_file)
    return job.model_copy(update={"detect": installed(job.detect)}), ConsentGate(job, allow_test=False)
