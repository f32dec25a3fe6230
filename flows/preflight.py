"""job -> nothing, or the reason why it cannot be run, before any work is done."""

from __future__ import annotations

import os

from faceswap_core.config import JobSettings, TrainSettings, names_checkpoint
from faceswap_core.errors import DiskFullError, MediaError, SettingsError
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace, free_bytes

_GFLOP_PER_FACE = 0.195
"""Forward and backward pass of one face at width 16 and 64 px (measured; research/seeds.md, section 3)."""
_GFLOPS_PER_CORE = 100.0
_SPARE_BYTES = 16 * 1024 * 1024


def check_job(job: JobSettings, *, force: bool) -> None:
    """Refuse a job that cannot end well.

    Raises:
        SettingsError: a subject without footage, or a training that would take days on a CPU.
        MediaError: a video is missing.
        EnvironmentFault: the wanted device is missing, or the disk is clearly too small.
    """
    Workspace(job.workspace)
    _check_footage(job)
    device = pick_device(job.runtime).type
    _check_disk(job)
    if device == "cpu" and not force:
        _check_training_cost(job)


def _check_footage(job: JobSettings) -> None:
    if not names_checkpoint(job.train.model):
        for name in job.subjects:
            if not job.training_videos(name):
                raise SettingsError(f"subject {name!r} has no video to train on: add some to subjects.{name}.videos")
    if not job.plate.video.is_file():
        raise MediaError(f"plate {job.plate.video} does not exist or is no file: correct plate.video")
    if job.output.video.absolute() == job.plate.video.absolute():
        raise SettingsError(f"output.video is the plate {job.plate.video} itself: name another file")


def _check_disk(job: JobSettings) -> None:
    needed = 2 * job.plate.video.stat().st_size + _SPARE_BYTES
    free = free_bytes(job.workspace)
    if free < needed:
        raise DiskFullError(
            f"{job.workspace} has {free / 1e6:.0f} MB free, this job needs at least {needed / 1e6:.0f} MB: "
            "free some space, or set another workspace"
        )


def _check_training_cost(job: JobSettings) -> None:
    if job.train.preset == "draft" or names_checkpoint(job.train.model):
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
