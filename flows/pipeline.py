"""job -> swapped video and report: the whole pipeline, as a table of contents."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from faceswap_core.config import JobSettings
from faceswap_core.errors import NoFaceError
from faceswap_core.faces.detectors import fallback_note, installed
from faceswap_core.stages.weights import finished_weights
from faceswap_core.types import Json
from flows.convert import convert
from flows.evaluate import evaluate
from flows.faceset import Faceset, build_facesets
from flows.outcome import judge, last_words
from flows.preflight import check_job
from flows.record import Run, recorded
from flows.report import Made, build_report, summary_markdown, write_report
from flows.training import train
from tasks import progress
from tasks.artifacts import summary_artifact
from tasks.options import job_runner
from tasks.tally import Tally, counting


@flow(name="swap-video", flow_run_name="{job.name}", persist_result=False)
def swap_video(job: JobSettings, force: bool = False) -> Json:
    """Swap the face of the plate for that of another person, by training on both.

    Args:
        job: Everything the job file says.
        force: Whether to run a job that was refused for its cost.

    Returns:
        run, output, report, computed, cached and seconds of the run.
    """
    job = job.with_absolute_paths(Path.cwd())
    check_job(job, force=force)
    asked = job.detect
    job = job.model_copy(update={"detect": installed(asked)})
    tally = Tally()
    with recorded(job) as run, counting(tally), job_runner(str(job.workspace), job.runtime.workers):
        made = _make(job, run, tally)
        report = build_report(job, made)
        report["faces"] |= fallback_note(asked, job.detect)
        path = write_report(job, run, made, report)
        output = made.converted.output
        result = last_words(run, output, report, path)
        progress.publish_result(result)
        summary_artifact(summary_markdown(job, report, output))
        judge(output, report)
        return result


def _make(job: JobSettings, run: Run, tally: Tally) -> Made:
    facesets = build_facesets(job, footage(job), run)
    plate = facesets[job.plate.video]
    _refuse_without_face(job, plate)
    if job.train.model:
        trained, weights = None, finished_weights(job.train.model)
    else:
        trained = train(job, facesets)
        weights = trained["weights"]
    converted = convert(job, plate, weights)
    truth = evaluate(job, facesets, weights)
    return Made(plate, weights, trained, converted, truth, tally.report())


def footage(job: JobSettings) -> dict[Path, str]:
    """Every video to analyse with the name of its subject; with a finished model, only what is not for training."""
    videos = {job.plate.video: job.plate.subject}
    if job.plate.truth:
        videos[job.plate.truth] = job.swap.to
    sides = [job.plate.subject, job.swap.to]
    if job.train.model:
        sides = [job.swap.to] if job.plate.truth else []  # the mean face of the drawn person is a baseline
    return {video: name for name in sides for video in job.training_videos(name)} | videos


def _refuse_without_face(job: JobSettings, plate: Faceset) -> None:
    if not plate.faces:
        raise NoFaceError(
            f"no face was found in the plate {job.plate.video}: check that it shows {job.plate.subject!r}, or lower "
            f"detect.min_score ({job.detect.min_score}) or detect.min_face ({job.detect.min_face})"
        )
