"""swap (+ truth) -> figures: only a rendered actor's plate has a truth; how a swap looks in motion, any plate tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.errors import FaceswapError
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.judge_identity import LEAST_RECOGNISED, IdentityJudge
from faceswap_core.stages.measure import Footage, Sample
from faceswap_core.stages.unsteadied import measured_of_each, steady_sample
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import Grant
from faceswap_core.types import FileRef, ManifestRef
from flows.convert import Converted
from flows.faceset import Faceset, chunks_of
from flows.gather import gather
from tasks import progress
from tasks.evaluate import evaluate_swap, measure_quality, swap_unsteadied, train_identity_judge

_log = logging.getLogger(__name__)


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


def judge_of(job: JobSettings, grants: Mapping[str, Grant]) -> IdentityJudge | None:
    """The network that tells rendered actors apart, trained once a workspace; None for anybody else."""
    actors = job.plate.truth is not None and all(grant["kind"] == "synthetic" for grant in grants.values())
    if not actors or not job.quality.frames or not job.quality.identity_heads:
        return None
    progress.expect(layout.IDENTITY, job.quality.identity_heads, "heads")
    (judge,) = gather([train_identity_judge.submit(str(job.workspace), job.quality.identity_heads, 0)])
    return judge


def measure(
    job: JobSettings,
    plate: Faceset,
    truth: Faceset | None,
    converted: Converted,
    weights: FileRef,
    judge: IdentityJudge | None,
) -> tuple[list[ManifestRef], str]:
    """Measure the composites of every chunk with a face, and a sample of frames beside what they are compared with.

    The video is finished by then: an error of ours costs the figures, not the run, and is given as the second value.
    """
    try:
        return _measure(job, plate, truth, converted, weights, judge), ""
    except progress.StopRequestedError:
        raise
    except FaceswapError as error:
        _log.warning("the quality of the swap is not measured: %s", error)
        return [], str(error)


def _measure(
    job: JobSettings,
    plate: Faceset,
    truth: Faceset | None,
    converted: Converted,
    weights: FileRef,
    judge: IdentityJudge | None,
) -> list[ManifestRef]:
    smoothed, chunk_of = converted.smoothed, _encoded_chunks(job, converted.chunks)
    serves = judge is not None and judge["validation"]["recognised"] >= LEAST_RECOGNISED
    limit = measured_of_each(job.quality, len(plate.frames))
    count = job.quality.unsmoothed_frames
    windows = steady_sample(Workspace(job.workspace), plate.tracks, limit, count) if count else {}
    chunks = [i for i, ref in enumerate(smoothed) if ref["rows"] and limit]
    for i in chunks:
        progress.expect(layout.QUALITY, min(smoothed[i]["rows"], limit))
    footage = Footage(video=truth.video, frames=truth.frames) if truth else None
    measuring = {}
    for i in sorted(chunks, key=lambda i: i in windows):  # the pool works while the sample is swapped
        sample = _sample(job, plate, i, windows[i], weights) if i in windows else None
        measuring[i] = measure_quality.submit(
            str(job.workspace),
            plate.video,
            i,
            plate.frames[i],
            plate.tracks[i],
            smoothed[i],
            limit,
            sample,
            footage,
            job.blend,
            job.detect,
            job.runtime,
            chunk_of(i),
            judge["weights"] if judge is not None and serves else None,
            return_state=False,
        )
    futures = [measuring[i] for i in chunks]
    sizes = [min(smoothed[i]["rows"], limit) for i in chunks]
    return gather(futures, lambda n, _: progress.finished(layout.QUALITY, str(chunks[n]), sizes[n]))


def _encoded_chunks(job: JobSettings, chunks: Sequence[ManifestRef]) -> Callable[[int], ManifestRef | None]:
    """CHUNKS that hold the frames of a chunk, by its number; one for all where all were encoded in one go."""
    if job.output.kind != "video":
        return lambda _: None
    return lambda i: chunks[0] if len(chunks) == 1 else chunks[i]


def _sample(job: JobSettings, plate: Faceset, chunk_index: int, window: tuple[int, int], weights: FileRef) -> Sample:
    swapped = swap_unsteadied(
        str(job.workspace),
        plate.video,
        chunk_index,
        plate.frames[chunk_index],
        plate.tracks[chunk_index],
        window,
        weights,
        (job.plate.subject, job.swap.to),
        job.align,
        job.masks,
        job.swap,
        job.runtime,
    )
    return Sample(first=window[0], last=window[1], unsmoothed=swapped["smoothed"])
