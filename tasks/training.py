"""aligned faces of both sides -> colour statistics -> trained weights, as tasks."""

from __future__ import annotations

from faceswap_core import layout
from faceswap_core.config import AlignSettings, DetectSettings, NormalizeSettings, RuntimeSettings, TrainSettings
from faceswap_core.stages import normalize, train
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.train import Trained
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import Grant
from faceswap_core.types import ManifestRef
from tasks import progress
from tasks.options import gpu_slot, stage_task, training_digests


@stage_task(layout.COLOR_STATS, 3)
def normalize_color(
    workspace: str,
    side_a: list[AlignedChunk],
    side_b: list[AlignedChunk],
    names: tuple[str, str],
    settings: NormalizeSettings,
    selection: ManifestRef | None,
    consents: dict[str, Grant],
) -> ManifestRef:
    """Measure the colours of both sides."""
    return normalize.normalize_color(Workspace(workspace), side_a, side_b, names, settings, selection, consents)


@stage_task(layout.TRAINING, train.TRAINING_VERSION, digests=training_digests, pooled=False)
def train_model(
    workspace: str,
    side_a: list[AlignedChunk],
    side_b: list[AlignedChunk],
    stats: ManifestRef,
    names: tuple[str, str],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
    runtime: RuntimeSettings,
    selection: ManifestRef | None,
    consents: dict[str, Grant],
    detect: DetectSettings,
) -> Trained:
    """Train, going on from the latest checkpoint."""
    tell = progress.of_training(layout.TRAINING, "all", settings.checkpoint_every)
    with gpu_slot(pick_device(runtime).type):
        return train.train_model(
            Workspace(workspace),
            side_a,
            side_b,
            stats,
            names,
            settings,
            align,
            seed,
            runtime,
            selection,
            tell,
            consents,
            detect,
        )
