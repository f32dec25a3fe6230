"""facesets of both people -> a trained network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.selection import current_selection
from faceswap_core.stages.train import Trained
from faceswap_core.stages.ui_picture import ui_file
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import Grant
from flows.faceset import chunks_of
from flows.gather import gather
from tasks import progress
from tasks.artifacts import picture_artifact
from tasks.training import normalize_color, train_model


def train(job: JobSettings, aligned: Mapping[Path, list[AlignedChunk]], consents: dict[str, Grant]) -> Trained:
    """Match colours and train; side A is the plate's subject, side B the one who is drawn."""
    names = (job.plate.subject, job.swap.to)
    side_a, side_b = (chunks_of(aligned, job.training_sources(name)) for name in names)
    workspace = str(job.workspace)
    selection = current_selection(Workspace(job.workspace))
    (stats,) = gather([normalize_color.submit(workspace, side_a, side_b, names, job.normalize, selection, consents)])
    progress.expect(layout.TRAINING, job.train.iterations, "iterations")
    sides, whole = (side_a, side_b, stats, names), (job.train, job.align, job.seed, job.runtime)
    trained = train_model(workspace, *sides, *whole, selection, consents, job.detect)
    progress.finished(layout.TRAINING, "all", trained["steps"], "iterations")
    words = f"{job.name}: the training after {trained['drawn_step']} steps"
    picture_artifact(ui_file(Workspace(job.workspace), trained["preview"]), words)
    return trained
