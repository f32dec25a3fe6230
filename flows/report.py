"""what a run made -> report.json (figures) and report.html (for people)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from faceswap_core.config import JobSettings, RuntimeSettings
from faceswap_core.stages import report as figures
from faceswap_core.stages.evaluate import truth_report
from faceswap_core.stages.judge_identity import IdentityJudge
from faceswap_core.stages.measure import unmeasured
from faceswap_core.stages.quality_report import load_quality, quality_report
from faceswap_core.stages.timeline import HEIGHT, WIDTH
from faceswap_core.stages.train import Trained
from faceswap_core.stages.verify import video_report
from faceswap_core.storage import Workspace, atomic_path
from faceswap_core.types import FileRef, Json, ManifestRef
from flows.convert import Converted
from flows.faceset import Faceset
from flows.record import Run, versions


@dataclass(frozen=True)
class Made:
    """All that one run of a job made."""

    plate: Faceset
    """Faceset of the plate."""
    weights: FileRef
    """Weights that were used."""
    trained: Trained | None
    """The training, None where a finished model was named."""
    converted: Converted
    """The output."""
    truth: ManifestRef | None
    """EVALUATION, None without ground truth."""
    quality: list[ManifestRef]
    """QUALITY of every chunk with a face; none where nothing was to be measured, or could be."""
    fault: str
    """Why nothing of that could be measured; '' where it could."""
    judge: IdentityJudge | None
    """The network that tells rendered actors apart, where it was asked for."""
    stages: Json
    """Counts and times by stage."""


def build_report(job: JobSettings, made: Made) -> Json:
    """report.json: every figure a number, or null with a reason beside it or in ``reasons``."""
    workspace = Workspace(job.workspace)
    report: Json = {
        "frames": figures.frame_counts(workspace, made.plate.tracks, made.converted.chunks),
        "stages": made.stages,
        "truth": truth_report(workspace, made.truth) if made.truth else None,
        "quality": quality_report(
            load_quality(workspace, made.quality),
            {made.fault: None} if made.fault else unmeasured(workspace, made.quality),
            off=not job.quality.frames,
            identity=dict(made.judge["validation"]) if made.judge else None,
        ),
        "faces": figures.faces_report(workspace, made.plate.tracks, job.detect),
        "training": _training(workspace, made),
        "video": video_report(workspace, made.converted.checks),
        "provenance": made.converted.statement,
        "environment": environment(job.runtime),
        "reasons": {} if made.truth else {"truth": "no ground truth"},
    }
    if job.output.kind != "video":
        report["reasons"]["video.streams_equal"] = "a folder of images has no other streams"
    report["frames"]["source_damage"] = figures.source_damage(workspace, made.plate.video, made.plate.frames)
    report["video"]["encoding"] = made.converted.encoding
    return report


def _training(workspace: Workspace, made: Made) -> Json:
    facts = figures.model_facts(workspace, made.weights)
    trained = made.trained
    measured: Json = {
        "samples_per_second": trained["samples_per_second"] if trained else None,
        "data_wait_share": trained["data_wait_share"] if trained else None,
        "peak_memory_bytes": trained["peak_memory_bytes"] if trained else None,
    }
    why = "no step was left to train" if trained else "a finished model was named, nothing was trained"
    judged, unjudged = figures.judged_checkpoints(workspace, trained["log"]) if trained else ([], {"checkpoints": why})
    return {
        **facts,
        **measured,
        "events": figures.training_events(workspace, trained["log"]) if trained else [],
        "checkpoints": judged,
        "checkpoint": trained["weights"]["path"] if trained else None,
        "reasons": {name: why for name, value in measured.items() if value is None} | unjudged,
    }


def environment(runtime: RuntimeSettings) -> Json:
    """The ``environment`` part of report.json: machine, load and versions."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": os.getloadavg()[0],
        "workers": runtime.workers,
        **figures.device_facts(runtime),
        "versions": versions(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def write_report(job: JobSettings, run: Run, made: Made, report: Json) -> Path:
    """Write report.json and report.html into the run's folder; returns the path of the latter's JSON."""
    path = write_figures(run, report)
    with atomic_path(run.folder / "report.html") as temporary:
        temporary.write_text(_page(job, run, made, report), encoding="utf-8")
    return path


def write_figures(run: Run, report: Json) -> Path:
    """Write report.json into the run's folder; returns its path."""
    path = run.folder / "report.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False))
    return path


def _page(job: JobSettings, run: Run, made: Made, report: Json) -> str:
    workspace, chunks = Workspace(job.workspace), made.converted.chunks
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("flows"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    style, script = (Markup(_template(templates, name)) for name in ("report.css", "report.js"))
    return templates.get_template("report.html").render(
        job=job,
        run=run,
        report=report,
        output=made.converted.output,
        missed=not_measured(report),
        style=style,
        script=script,
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        loss_curve=figures.loss_curve(workspace, made.trained["log"]) if made.trained else None,
        preview=figures.picture_uri(workspace, made.trained["preview"]) if made.trained else None,
        timelapse=figures.timelapse(workspace, made.trained["folder"]) if made.trained else [],
        pictures=figures.before_and_after(workspace, made.plate.video, made.plate.frames, chunks),
        strip=figures.strip_of(workspace, chunks),
        curves=figures.metric_curves(workspace, chunks, load_quality(workspace, made.quality)),
        box=(WIDTH, HEIGHT),
    )


def _template(templates: jinja2.Environment, name: str) -> str:
    """Source of a file beside the template that is laid into it as it is."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0]


def not_measured(report: Mapping[str, Json]) -> str:
    """Which swapped frames should have been measured and could not be, and why; '' where all were."""
    missed = report["quality"]["not_measured"].items()
    return "; ".join(f"{'all' if count is None else count} frames: {why}" for why, count in missed)


def summary_markdown(job: JobSettings, report: Mapping[str, Json], output: Path) -> str:
    """A few lines for the flow UI."""
    frames, truth = report["frames"], report["truth"]
    lines = [
        f"# {job.name}",
        f"`{output}`",
        "| frames | swapped | passed through | no face | failed |",
        "|--|--|--|--|--|",
        f"| {frames['total']} | {frames['swapped']} | {frames['passed_through']} | {frames['no_face']} "
        f"| {frames['failed']} |",
        f"Training: {report['training']['model']}, {report['training']['steps']} steps.",
    ]
    if missed := not_measured(report):
        lines.append(f"Not measured: {missed}.")
    if truth:
        lines.append(f"Against the truth: transfer {truth['transfer']:.2f}, residual {truth['residual']:.2f}.")
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:5]) + "\n\n" + "\n\n".join(lines[5:])
