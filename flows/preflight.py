"""job -> nothing, or the reason why it cannot be run, before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from faceswap_core.config import (
    DetectSettings,
    EncodeSettings,
    JobSettings,
    OutputSettings,
    RuntimeSettings,
    TrainSettings,
)
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.config_scan import ScanSettings
from faceswap_core.errors import DiskFullError, MediaError, SettingsError
from faceswap_core.faces.detectors import DETECTORS, installed
from faceswap_core.outfolder import check_replaceable
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.stages.identity import check_signer
from faceswap_core.stages.import_images import image_refs
from faceswap_core.stages.recipe import check_weight_files
from faceswap_core.stages.weights import check_network, check_view, finished_weights, pick_device, read_facts
from faceswap_core.storage import Workspace, free_bytes, sha256_file
from faceswap_core.trust.watermark import watermarker
from faceswap_core.video.encoder import require_encoder
from faceswap_core.video.exr import check_exr
from faceswap_core.video.holding import check_codec
from faceswap_core.video.outfile import muxer_of
from faceswap_core.video.presets import PRESET_CODECS
from tasks.runners import check_runner

_GFLOP_PER_FACE = 0.195
"""Forward and backward pass of one face at width 16 and 64 px (counted from its layers)."""
_GFLOPS_PER_CORE = 100.0
_SPARE_BYTES = 16 * 1024 * 1024


def check_job(job: JobSettings, *, force: bool, allow_test_consent: bool = False) -> None:
    """Refuse a job that cannot end well.

    Raises:
        SettingsError: a subject without footage, a training that would take days on a CPU, or a bucket that is none.
        MediaError: a video is missing.
        EnvironmentFault: the wanted device, runner, encoder or detector is missing, or the disk is clearly too small.
        ConsentError: the people's records do not cover the job, or the weights to begin with were learnt under others.
    """
    Workspace(job.workspace).reach()
    check_runner(job.runtime)
    device = pick_device(job.runtime).type
    _check_output(job)
    _check_encoder(job.encode)
    _check_model(job)
    _check_references(job)
    _check_detector(job.detect, job.runtime)
    if device == "cpu" and not force:
        _check_training_cost(job)
    _check_footage(job)
    _check_disk(job)
    grants = ConsentGate(job, allow_test=allow_test_consent).check("the run")
    if job.train.start_from and not job.train.model:
        check_model(Workspace(job.workspace), finished_weights(job.train.start_from), grants)
    check_signer(job.provenance, [grant["kind"] for grant in grants.values()])
    _check_watermark(job)


def _check_watermark(job: JobSettings) -> None:
    """Refuse an invisible mark that is not installed, or that nothing would carry."""
    if not job.provenance.label.watermark:
        return
    if job.output.kind != "video":
        raise SettingsError(f"provenance.label.watermark marks videos, output.kind is {job.output.kind!r}: remove it")
    watermarker(job.provenance.label.watermark)


def check_recode(settings: RecodeSettings) -> None:
    """Refuse a recoding that cannot end well.

    Raises:
        SettingsError: the output would replace the source, or cannot be written.
        EnvironmentFault: the named encoder cannot run on this machine.
        MediaError: the video is missing.
    """
    workspace = Workspace(settings.workspace)
    workspace.reach()
    check_runner(settings.runtime)
    _check_file(settings.output, workspace.root, {settings.video})
    _check_encoder(settings.encode)
    check_container(settings.output, settings.encode.codec)
    if not settings.video.is_file():
        raise MediaError(f"video {settings.video} does not exist or is no file: correct its path")


def check_scan(settings: ScanSettings) -> None:
    """Refuse a scan that cannot end well.

    Raises:
        SettingsError: the workspace is a file, or the backend needs the truth of a rendered actor.
        ModelMissingError: a file of the detector is absent or altered.
        MediaError: the video is missing.
    """
    Workspace(settings.workspace).reach()
    check_runner(settings.runtime)
    if settings.detect.backend == "truth":
        raise SettingsError("detect.backend 'truth' is no detector: a scan needs one that looks at the frames")
    _check_detector(settings.detect, settings.runtime)
    if not settings.video.is_file():
        raise MediaError(f"video {settings.video} does not exist or is no file: correct its path")


def _check_detector(settings: DetectSettings, runtime: RuntimeSettings) -> None:
    """Refuse a detector whose files are absent, altered or damaged, before any footage is read."""
    if settings.backend != "truth":
        DETECTORS[installed(settings).backend](settings, runtime.device)


def _check_references(job: JobSettings) -> None:
    """Refuse a picture of a person that is missing, or that the detector cannot compare faces with."""
    for name, subject in job.subjects.items():
        if subject.reference and job.detect.backend != "insightface":
            raise SettingsError(
                f"subjects.{name}.reference needs a detector that knows people apart, and detect.backend is "
                f"{job.detect.backend!r}: set it to 'insightface', or name tracks instead of the picture"
            )
        if subject.reference and not subject.reference.is_file():
            raise MediaError(f"subjects.{name}.reference {subject.reference} does not exist: correct its path")


def _check_footage(job: JobSettings) -> None:
    if not job.train.model:
        for name in job.subjects:
            if not job.training_sources(name):
                raise SettingsError(
                    f"subject {name!r} has nothing to train on: add to subjects.{name}.videos or name a folder in "
                    f"subjects.{name}.images"
                )
            images = job.subjects[name].images
            if images:
                image_refs(images)
    for video in sorted(_inputs(job)):
        if not video.is_file():
            raise MediaError(f"video {video} does not exist or is no file: correct its path in the job file")
    if job.train.model:
        return
    owners: dict[str, str] = {}
    for name in job.subjects:
        for video in job.training_videos(name):
            other = owners.setdefault(sha256_file(video), name)
            if other != name:
                raise SettingsError(f"{video} is given for both {other!r} and {name!r}: each needs footage of its own")


def _inputs(job: JobSettings) -> set[Path]:
    """Every video that the job reads."""
    named = {video for subject in job.subjects.values() for video in subject.videos}
    if job.train.model:
        named = set()
    return named | {job.plate.video} | ({job.plate.truth} if job.plate.truth else set())


def _check_output(job: JobSettings) -> None:
    """Refuse an output that would replace footage, or that cannot be written."""
    footage = {v for subject in job.subjects.values() for v in subject.videos} | _inputs(job)
    workspace = Workspace(job.workspace).root
    if job.output.kind == "video":
        _check_file(job.output.path, workspace, footage)
        check_container(job.output.path, job.encode.codec)
    else:
        _check_folder(job.output, workspace)


def check_container(output: Path, codec: str | None) -> None:
    """Refuse a name whose container cannot hold the video, as far as that is known before the source is read."""
    if output.suffix:
        muxer_of(output)
        if codec:
            check_codec(output, codec)


def _check_file(output: Path, workspace: Path, footage: set[Path]) -> None:
    same = footage if output.suffix else {video.with_suffix("") for video in footage}
    if output.resolve() in {video.resolve() for video in same}:
        raise SettingsError(f"the output {output} is a video that the job reads: name another file")
    if output.is_dir() or workspace.is_file():
        raise SettingsError(f"the output {output} must be a file and the workspace {workspace} a folder")


def _check_encoder(settings: EncodeSettings) -> None:
    """Refuse an encoder that cannot run here, as far as it is known before the source is read."""
    for codec in [settings.codec] if settings.codec else PRESET_CODECS[settings.preset]:
        require_encoder(codec)


def _check_folder(output: OutputSettings, workspace: Path) -> None:
    folder = output.path
    if workspace.resolve().is_relative_to(folder.resolve()):
        raise SettingsError(f"output.folder {folder} holds the workspace {workspace}: name another folder")
    if output.format == "exr":
        check_exr()
    check_replaceable(folder)


def _check_model(job: JobSettings) -> None:
    """Refuse a network or a finished model that cannot be used, before any footage is read."""
    if not job.train.model:
        check_weight_files(job.train)
        return
    facts = read_facts(Path(finished_weights(job.train.model)["path"]))
    check_network(facts, job.train)
    for name in (job.plate.subject, job.swap.to):
        facts.side_of(name)
    check_view(facts, job.align)


def _check_disk(job: JobSettings) -> None:
    needed = 3 * job.plate.video.stat().st_size + _SPARE_BYTES
    workspace = Workspace(job.workspace).root
    free = free_bytes(workspace)
    if free < needed:
        raise DiskFullError(
            f"{workspace} has {free / 1e6:.0f} MB free, this job needs at least {needed / 1e6:.0f} MB: "
            "free some space, or set another workspace"
        )


def _check_training_cost(job: JobSettings) -> None:
    if job.train.preset == "draft" or job.train.model:
        return
    hours = cpu_hours(job.train, cores=min(job.runtime.threads, os.cpu_count() or 1))
    raise SettingsError(
        f"train.preset {job.train.preset!r} would take about {hours:.2g} hours on this machine's CPU, and it has no "
        "GPU that torch can use: use preset 'draft', run it on a machine with a GPU, or give --force"
    )


def cpu_hours(settings: TrainSettings, *, cores: int) -> float:
    """Rough length of a training on a CPU, in hours, from its arithmetic alone."""
    per_face = _GFLOP_PER_FACE * (settings.width / 16) ** 2 * (settings.resolution / 64) ** 2
    gflop = per_face * settings.batch * 2 * settings.iterations
    return gflop / (_GFLOPS_PER_CORE * cores) / 3600
