"""plate + truth + weights -> how near the swap comes to the truth, and how good it looks in motion, as tasks."""

from __future__ import annotations

from faceswap_core import layout
from faceswap_core.config import (
    AlignSettings,
    BlendSettings,
    DetectSettings,
    MaskSettings,
    RuntimeSettings,
    SmoothSettings,
    SwapTarget,
)
from faceswap_core.stages import evaluate, judge_identity, measure, preview, unsteadied
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.beside import Footage
from faceswap_core.stages.judge_identity import IdentityJudge
from faceswap_core.stages.measure import Sample
from faceswap_core.stages.preview import Overlay, Preview
from faceswap_core.stages.unsteadied import Unsteadied
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, ManifestRef
from tasks import progress
from tasks.options import detector_digests, device_digests, gpu_slot, stage_task


@stage_task(layout.EVALUATION, 3, digests=device_digests, pooled=False)
def evaluate_swap(
    workspace: str,
    plate: list[AlignedChunk],
    truth: list[AlignedChunk],
    training: list[AlignedChunk],
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    runtime: RuntimeSettings,
) -> ManifestRef:
    """Judge every frame that shows a face in both plate and truth."""
    with gpu_slot(pick_device(runtime).type):
        return evaluate.evaluate_swap(Workspace(workspace), plate, truth, training, weights, direction, align, runtime)


@stage_task(layout.UNSTEADIED, 3, run_name="swap-unsmoothed-{chunk_index:04d}", digests=device_digests, pooled=False)
def swap_unsteadied(
    workspace: str,
    plate: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    tracks: ManifestRef,
    window: tuple[int, int],
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    masks: MaskSettings,
    settings: SwapTarget,
    runtime: RuntimeSettings,
) -> Unsteadied:
    """Swap some frames of one chunk once more, with nothing steadied."""
    with gpu_slot(pick_device(runtime).type):
        return unsteadied.swap_unsteadied(
            Workspace(workspace),
            plate,
            chunk_index,
            frames,
            tracks,
            window,
            weights,
            direction,
            align,
            masks,
            settings,
            runtime,
        )


@stage_task(layout.QUALITY, 5, run_name="measure-quality-{chunk_index:04d}", digests=detector_digests)
def measure_quality(
    workspace: str,
    plate: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    tracks: ManifestRef,
    smoothed: ManifestRef,
    limit: int,
    sample: Sample | None,
    truth: Footage | None,
    blend: BlendSettings,
    settings: DetectSettings,
    runtime: RuntimeSettings,
    finished: ManifestRef | None = None,
    identity: FileRef | None = None,
) -> ManifestRef:
    """Measure the first swapped frames of one chunk."""
    tell = progress.of(layout.QUALITY, str(chunk_index))
    return measure.measure_quality(
        Workspace(workspace),
        plate,
        frames,
        tracks,
        smoothed,
        limit,
        sample,
        truth,
        blend,
        settings,
        runtime.device,
        tell,
        finished,
        identity,
    )


@stage_task(layout.IDENTITY, 2)
def train_identity_judge(workspace: str, heads: int, seed: int) -> IdentityJudge:
    """Learn to tell rendered actors apart."""
    return judge_identity.train_identity_judge(Workspace(workspace), heads, seed, progress.of_whole(layout.IDENTITY))


@stage_task("draw-preview", 3, run_name="draw-preview-{frame_index}", digests=device_digests, pooled=False)
def draw_preview(
    workspace: str,
    plate: FileRef,
    frame_index: int,
    overlays: tuple[Overlay, ...],
    frames: list[ManifestRef],
    tracks: list[ManifestRef],
    aligned: list[AlignedChunk],
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    settings: SwapTarget,
    smooth: SmoothSettings,
    blend: BlendSettings,
    runtime: RuntimeSettings,
) -> Preview:
    """Draw one frame before and after."""
    with gpu_slot(pick_device(runtime).type):
        return preview.draw_preview(
            Workspace(workspace),
            plate,
            frame_index,
            overlays,
            frames,
            tracks,
            aligned,
            weights,
            direction,
            align,
            settings,
            smooth,
            blend,
            runtime,
        )
