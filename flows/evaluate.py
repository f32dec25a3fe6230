"""plate + truth -> figures: only a rendered actor's plate has a truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceswap_core.config import JobSettings
from faceswap_core.types import FileRef, ManifestRef
from flows.faceset import Faceset, chunks_of
from tasks.evaluate import evaluate_swap


def evaluate(job: JobSettings, facesets: Mapping[Path, Faceset], weights: FileRef) -> ManifestRef | None:
    """Judge the swap; None without a truth or without footage of the drawn person, whose mean face is a baseline."""
    baseline = chunks_of(facesets, [v for v in job.training_videos(job.swap.to) if v in facesets])
    if job.plate.truth is None or not baseline:
        return None
    return evaluate_swap(
        str(job.workspace),
        facesets[job.plate.video].aligned,
        facesets[job.plate.truth].aligned,
        baseline,
        weights,
        (job.plate.subject, job.swap.to),
        job.align,
        job.runtime,
    )
