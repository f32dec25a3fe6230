"""plate + truth + weights -> how near the swap comes to the truth, as a task."""

from __future__ import annotations

from faceswap_core import layout
from faceswap_core.config import AlignSettings, RuntimeSettings
from faceswap_core.stages import evaluate
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, ManifestRef
from tasks.options import device_digests, gpu_slot, stage_task


@stage_task(layout.EVALUATION, 2, digests=device_digests, pooled=False)
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
