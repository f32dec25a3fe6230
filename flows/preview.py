"""job + frame -> a picture of that frame before and after, by the weights of the training that ended last."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from faceswap_core.config import JobSettings
from faceswap_core.faces.detectors import installed
from faceswap_core.stages.checkpoints import newest_weights
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.stages.preview import Overlay, Preview
from faceswap_core.stages.weights import finished_weights, read_facts
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json
from flows.faceset import build_facesets
from flows.pipeline import granted
from flows.record import Run, recorded
from tasks import progress
from tasks.evaluate import draw_preview
from tasks.options import job_runner
from tasks.tally import Tally, counting


@flow(name="preview-frame", flow_run_name="preview · {job.name}", persist_result=False)
def preview_frame(
    job: JobSettings, frame: int, overlays: tuple[Overlay, ...] = (), allow_test_consent: bool = False
) -> Json:
    """Show one frame as the finished video would.

    Args:
        job: Everything the job file says.
        frame: Ordinal of the frame in the plate.
        overlays: What is drawn over both pictures: boxes, landmarks, mask.
        allow_test_consent: Whether records of kind ``test`` count.

    Returns:
        run, preview (path of the PNG), frame, state, reason, steps of the weights, computed, cached and seconds.
    """
    job = job.with_absolute_paths(Path.cwd())
    workspace = Workspace(job.workspace)
    gate = ConsentGate(job, allow_test=allow_test_consent)
    weights = finished_weights(job.train.model) if job.train.model else newest_weights(workspace)
    check_model(workspace, weights, gate.check("the swap"))
    job = job.model_copy(update={"detect": installed(job.detect)})
    tally = Tally()
    with recorded(job) as run, counting(tally), job_runner(str(job.workspace), job.runtime):
        drawn = _drawn(job, frame, overlays, gate, run, weights)
        stages = tally.report().values()
        result: Json = {
            "run": run.run_id,
            "preview": str(workspace.localize(drawn["picture"]["path"], drawn["picture"]["sha256"])),
            "frame": frame,
            "state": drawn["state"],
            "reason": drawn["reason"],
            "steps": read_facts(Path(weights["path"])).step,
            "computed": sum(stage["computed"] for stage in stages),
            "cached": sum(stage["cached"] for stage in stages),
            "seconds": round(run.seconds, 3),
        }
        progress.publish_result(result)
        return result


def _drawn(
    job: JobSettings, frame: int, overlays: tuple[Overlay, ...], gate: ConsentGate, run: Run, weights: FileRef
) -> Preview:
    grants = granted(job, gate)
    plate = build_facesets(job, {job.plate.video: job.plate.subject}, run, grants)[job.plate.video]
    return draw_preview(
        str(job.workspace),
        plate.video,
        frame,
        overlays,
        plate.frames,
        plate.tracks,
        plate.aligned,
        weights,
        (job.plate.subject, job.swap.to),
        job.align,
        job.swap,
        job.smooth,
        job.blend,
        job.runtime,
    )
