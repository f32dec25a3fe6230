"""plate + truth -> figures: only a rendered actor's plate has a truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceswap_core.config import JobSettings
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.types import FileRef, ManifestRef
from flows.faceset import chunks_of
from tasks.evaluate import evaluate_swap


def evaluate(job: JobSettings, aligned: Mapping[Path, list[AlignedChunk]], weights: FileRef) -> ManifestRef | None:
    """Judge the swap; None without a truth or without footage of the drawn person, whose mean face is a baseline."""
    baseline = chunks_of(aligned, [v for v in job.training_sources(job.swap.to) if v in aligned])
    if job.plate.truth is None or not baseline:
        return None
    return evaluate_swap(
        str(job.workspace),
        aligned[job.plate.video],
        aligned[job.plate.truth],
        baseline,
        weights,
        (job.plate.subject, job.swap.to),
        job.align,
        job.runtime,
    )
