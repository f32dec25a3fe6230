"""job -> swapped video and report: the whole pipeline, as a table of contents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefect import flow

from faceswap_core.config import JobSettings
from faceswap_core.errors import NoFaceError
from faceswap_core.faces.detectors import fallback_note, installed
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.consent import ConsentGate, sources
from faceswap_core.stages.lineage import note_sources
from faceswap_core.stages.ui_picture import ui_before_and_after
from faceswap_core.stages.weights import finished_weights
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import Grant
from faceswap_core.types import Json
from flows.convert import convert
from flows.evaluate import evaluate, judge_of, measure
from flows.faceset import Faceset, build_facesets, import_folders, record_sources
from flows.outcome import judge, last_words
from flows.preflight import check_job
from flows.record import Run, recorded
from flows.report import Made, build_report, not_measured, summary_markdown, write_report
from flows.segments import check_segments
from flows.training import train
from tasks import progress
from tasks.artifacts import picture_artifact, summary_artifact
from tasks.options import job_runner
from tasks.tally import Tally, counting


@flow(name="swap-video", flow_run_name="{job.name}", persist_result=False)
def swap_video(
    job: JobSettings, force: bool = False, allow_test_consent: bool = False, judge_identity: bool = False
) -> Json:
    """Swap the face of the plate for that of another person, by training on both.

    Args:
        job: Everything the job file says.
        force: Whether to run a job that was refused for its cost.
        allow_test_consent: Whether records of kind ``test`` count; written into the output.
        judge_identity: Whether a network that tells rendered actors apart judges the swap of one.

    Returns:
        run, output, report, computed, cached and seconds of the run; not_measured, where something could not be.
    """
    job = job.with_absolute_paths(Path.cwd())
    check_job(job, force=force, allow_test_consent=allow_test_consent)
    check_segments(job)
    gate = ConsentGate(job, allow_test=allow_test_consent)
    asked = job.detect
    job = job.model_copy(update={"detect": installed(asked)})
    tally = Tally()
    with recorded(job) as run, counting(tally), job_runner(str(job.workspace), job.runtime):
        made = _make(job, gate, run, tally, judge_identity)
        report = build_report(job, made)
        report["faces"] |= fallback_note(asked, job.detect)
        path = write_report(job, run, made, report)
        output = made.converted.output
        result = last_words(run, output, report, path)
        if missed := not_measured(report):
            result["not_measured"] = missed
        progress.publish_result(result)
        _show(job, made, summary_markdown(job, report, output))
        judge(output, report)
        return result


def _make(job: JobSettings, gate: ConsentGate, run: Run, tally: Tally, judge_identity: bool) -> Made:
    grants = granted(job, gate)
    facesets = build_facesets(job, footage(job), run, grants)
    plate = facesets[job.plate.video]
    _refuse_without_face(job, plate)
    aligned = aligned_sources(job, facesets)
    if job.train.model:
        trained, weights = None, finished_weights(job.train.model)
        for grant in grants.values():
            note_sources(Workspace(job.workspace), {Path(weights["path"]): (weights["sha256"], grant["record"])})
    else:
        trained = train(job, aligned, gate.check("training"))
        weights = trained["weights"]
    converted = convert(job, gate, plate, weights)
    truth = evaluate(job, aligned, weights)
    aim = facesets[job.plate.truth] if job.plate.truth else None
    judge = judge_of(job, grants) if judge_identity else None
    quality, fault = measure(job, plate, aim, converted, weights, judge)
    return Made(plate, weights, trained, converted, truth, quality, fault, judge, tally.report())


def _show(job: JobSettings, made: Made, summary: str) -> None:
    """Show what was made in the flow UI."""
    summary_artifact(summary)
    plate, chunks = made.plate, made.converted.chunks
    if found := ui_before_and_after(Workspace(job.workspace), plate.video, plate.frames, chunks):
        picture_artifact(found[1], f"{job.name}: frame {found[0]}, before and after")


def granted(job: JobSettings, gate: ConsentGate) -> dict[str, Grant]:
    """The grants of both people; whose footage is read is noted, so that what comes from it can be found."""
    grants = gate.check("the analysis")
    note_sources(Workspace(job.workspace), sources(job, grants))
    return grants


def footage(job: JobSettings) -> dict[Path, str]:
    """Every video to analyse with the name of its subject; with a finished model, only what is not for training."""
    videos = {job.plate.video: job.plate.subject}
    if job.plate.truth:
        videos[job.plate.truth] = job.swap.to
    sides = [job.plate.subject, job.swap.to]
    if job.train.model:
        sides = [job.swap.to] if job.plate.truth else []  # the mean face of the drawn person is a baseline
    return {video: name for name in sides for video in job.training_videos(name)} | videos


def aligned_sources(job: JobSettings, facesets: Mapping[Path, Faceset]) -> dict[Path, list[AlignedChunk]]:
    """The aligned chunks of every video and folder; those to train on are written down for `faceswap faces`."""
    aligned = {path: faceset.aligned for path, faceset in facesets.items()} | import_folders(job, folders(job))
    if not job.train.model:
        record_sources(job, aligned)
    return aligned


def folders(job: JobSettings) -> dict[Path, str]:
    """Every folder of pictures to learn from with the name of its subject; none with a finished model."""
    if job.train.model:
        return {}
    found = {name: job.subjects[name].images for name in (job.plate.subject, job.swap.to)}
    return {images: name for name, images in found.items() if images}


def _refuse_without_face(job: JobSettings, plate: Faceset) -> None:
    if not plate.faces:
        raise NoFaceError(
            f"no face was found in the plate {job.plate.video}: check that it shows {job.plate.subject!r}, or lower "
            f"detect.min_score ({job.detect.min_score}) or detect.min_face ({job.detect.min_face})"
        )
