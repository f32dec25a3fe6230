"""aligned faces of both sides + colours -> trained weights, log and preview."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict, cast

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, DetectSettings, RuntimeSettings, TrainSettings
from faceswap_core.config_loop import NEVER_CHANGE_WEIGHTS
from faceswap_core.errors import SettingsError
from faceswap_core.models.checkpoint import Store, save_weights
from faceswap_core.models.loop import Trainer, train
from faceswap_core.models.meter import peak_memory
from faceswap_core.models.parallel import broadcast, place
from faceswap_core.schemas import TRAIN_LOG
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.checkpoints import fetch_training, send_training
from faceswap_core.stages.images import png
from faceswap_core.stages.lease import lease
from faceswap_core.stages.lineage import bind_checkpoint
from faceswap_core.stages.look import looker
from faceswap_core.stages.normalize import color_facts
from faceswap_core.stages.recipe import recipe_of
from faceswap_core.stages.train_processes import check_processes, train_in_processes
from faceswap_core.stages.training_faces import make_sampler, sampler_on
from faceswap_core.stages.watch import Watch, preview_picture
from faceswap_core.stages.weights import FINISHED, finished_weights, pick_device, resolve_precision
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.trust.consent import NOBODY, Grant
from faceswap_core.types import FileRef, Json, ManifestRef, Progress, no_progress

_log = logging.getLogger(__name__)

TRAINING_VERSION = 9
"""Raised when equal settings and faces give other weights."""
_NOT_IN_THE_FOLDER_KEY = {
    "iterations",
    "checkpoint_every",
    "preset",
    "model",
    "start_from",
    "vgg_file",
    "arcface_file",
    "min_faces",
    *NEVER_CHANGE_WEIGHTS,
}


class Trained(TypedDict):
    """What training gave."""

    weights: FileRef
    """Averaged weights with their facts."""
    log: ManifestRef
    """TRAIN_LOG."""
    preview: FileRef
    """PNG: rows of A, A by D_A, A by D_B, B, B by D_B, B by D_A."""
    samples_per_second: float | None
    """Faces a second, null when nothing was left to train."""
    data_wait_share: float | None
    """Share of the time that was spent waiting for batches, null when nothing was left to train."""
    peak_memory_bytes: int | None
    """The most memory that torch held on the GPU, or on a CPU the process; null when nothing was left to train."""
    folder: str
    """Checkpoint folder, relative to the workspace."""
    steps: int
    """Steps that were made in all; fewer than ``iterations`` where the training ended early."""
    drawn_step: int
    """Steps after which the weights were as they draw."""


def train_model(
    workspace: Workspace,
    side_a: Sequence[AlignedChunk],
    side_b: Sequence[AlignedChunk],
    stats: ManifestRef,
    names: tuple[str, str],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
    runtime: RuntimeSettings,
    selection: ManifestRef | None = None,
    progress: Progress = no_progress,
    consents: Mapping[str, Grant] = NOBODY,
    detect: DetectSettings | None = None,
) -> Trained:
    """Train until ``settings.iterations`` steps are done, going on from the latest checkpoint; binds ``consents`` in.

    Only the faces that ``selection`` keeps are learnt from; without one, all. Each checkpoint is judged by what needs
    no truth (`faceswap_core.models.validation`); with ``detect``, landmarks and identity of the swap are, too. It ends
    before ``settings.iterations`` where ``settings.patience`` says so.

    With ``runtime.processes`` or ``runtime.nodes`` it runs in as many processes; the result is the same but for
    rounding. The first of them alone writes.

    Raises:
        NoFaceError: a side has no face to train on.
        SettingsError: the training has more steps already, or its batch cannot be shared.
        ResourceError: another live process trains the same model.
        DivergedError: the loss became NaN or rose, although the step size was halved three times.
    """
    check_processes(settings, runtime)
    if runtime.processes * runtime.nodes > 1 and place()[1] == 1:
        order = order_of(
            workspace, side_a, side_b, stats, names, settings, align, seed, runtime, selection, consents, detect
        )
        return cast(Trained, train_in_processes(workspace, order, runtime, progress))
    device = pick_device(runtime)
    cap_threads(runtime.threads)
    settings = settings.model_copy(update={"precision": resolve_precision(settings.precision, device)})
    key = folder_key(side_a, side_b, stats, names, settings, align, seed, device.type, selection)
    name = layout.checkpoint_folder(key)
    folder = workspace.path(name)
    colors = color_facts(workspace, stats)
    sides = (side_a, side_b)
    sampler = sampler_on(device, make_sampler(workspace, sides, names, colors, settings, align, seed, selection))
    about = {"settings": key, "versions": {name: version(name) for name in ("faceswap-pipeline", "torch")}}
    recipe = recipe_of(settings, align, seed, colors[names[1]])
    trainer = Trainer(recipe, device, about, compile=runtime.compile)
    look = looker(detect, runtime.device, sampler) if place()[0] == 0 else None  # the others would tell nobody
    if (settings.patience or settings.choose == "best") and not len(sampler.a.held_out):
        raise SettingsError(
            f"train.patience and train.choose = 'best' go by faces of {names[0]!r} that training never sees, and of "
            f"each video train.validation_share ({settings.validation_share}) leaves none: give longer videos, or a "
            "larger share"
        )
    store = Store(folder, settings.keep_last, settings.keep_best, lambda: send_training(workspace, name))
    with lease(workspace, name, lambda: progress(0, settings.iterations, "waiting for its other trainer")) as renew:
        if workspace.store and place()[1] > 1:
            broadcast({}, device)  # no process reads before the first holds the lease
        fetch_training(workspace, name)
        if place()[0] == 0:
            bind_checkpoint(workspace, name, consents)
        if not trainer.restore(store) and settings.start_from:
            agreed = trainer.start_from(Path(finished_weights(settings.start_from)["path"]))
            _log.info("began with %d tensors of %s", agreed, settings.start_from)
        began = trainer.step
        if began > settings.iterations:
            raise SettingsError(
                f"train.iterations is {settings.iterations}, but this model has {began} steps already: ask for "
                f"{began} or more, or change train or seed to train another"
            )

        def tell(done: int, total: int, note: str) -> None:
            renew()
            progress(done, total, note)

        with Watch(trainer, sampler, settings, folder) as watch:
            meter = train(
                trainer,
                sampler,
                iterations=settings.iterations,
                checkpoint_every=settings.checkpoint_every,
                store=store,
                progress=tell,
                divergence=settings.divergence,
                patience=settings.patience,
                look=look,
                seen=watch.seen,
            )
        trainer.settle(sampler)
        _log.info("trained %d steps, %d in all", trainer.step - began, trainer.step)
        if place()[0] != 0:
            return cast(Trained, {})  # the first process tells the others what it published
        ended = trainer.step
        if settings.choose == "best" and (best := store.best()):
            workspace.localize(f"{name}/{best['file']}", best["sha256"])
            trainer.take(best, store)
        facts: Json = {
            "model": settings.model_name,
            "build": asdict(recipe.build),
            "sides": list(names),
            **{name: getattr(align, name) for name in ("coverage", "eye_distance", "centre")},
            "step": trainer.step,
            **{"colors": colors, "consents": dict(consents)},
        }
        weights = _publish_weights(workspace, name, trainer, facts)
        send_training(workspace, name)
    rows = [vars(row) | {"losses": [{"name": k, "value": v} for k, v in row.losses.items()]} for row in trainer.log]
    preview = png(preview_picture(trainer, sampler))
    return Trained(
        weights=weights,
        log=manifest.publish(workspace, layout.TRAINING, "train-log", TRAIN_LOG, rows),
        preview=workspace.publish_bytes(layout.TRAINING, "preview", ".png", preview),
        samples_per_second=meter.samples_per_second,
        data_wait_share=meter.data_wait_share,
        peak_memory_bytes=peak_memory(device) if meter.steps else None,
        folder=name,
        steps=ended,
        drawn_step=trainer.step,
    )


def order_of(
    workspace: Workspace,
    side_a: Sequence[AlignedChunk],
    side_b: Sequence[AlignedChunk],
    stats: ManifestRef,
    names: tuple[str, str],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
    runtime: RuntimeSettings,
    selection: ManifestRef | None,
    consents: Mapping[str, Grant],
    detect: DetectSettings | None,
) -> Json:
    """The arguments of a training as JSON."""
    branches = {"settings": settings, "align": align, "runtime": runtime}
    return {
        **{"workspace": workspace.address, "side_a": list(side_a), "side_b": list(side_b), "stats": stats},
        **{"names": list(names), "seed": seed, "selection": selection, "consents": dict(consents)},
        "detect": detect.model_dump(mode="json") if detect else None,
        **{name: branch.model_dump(mode="json") for name, branch in branches.items()},
    }


def folder_key(
    side_a: Sequence[AlignedChunk],
    side_b: Sequence[AlignedChunk],
    stats: ManifestRef,
    names: tuple[str, str],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
    device: str,
    selection: ManifestRef | None = None,
) -> str:
    """Name of the checkpoint folder: all that the weights depend on, except how many steps are wanted."""
    parts = {
        "version": TRAINING_VERSION,
        "a": [[c["aligned"]["sha256"], c["masks"]["sha256"]] for c in side_a],
        "b": [[c["aligned"]["sha256"], c["masks"]["sha256"]] for c in side_b],
        "stats": stats["sha256"],
        "names": names,
        "settings": settings.model_dump(mode="json", exclude=_NOT_IN_THE_FOLDER_KEY),
        "start_from": finished_weights(settings.start_from)["sha256"] if settings.start_from else None,
        "align": align.model_dump(mode="json"),
        "seed": seed,
        "device": device,
        "selection": selection["sha256"] if selection else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _publish_weights(workspace: Workspace, folder: str, trainer: Trainer, facts: Json) -> FileRef:
    with workspace.scratch(".safetensors") as temporary:
        save_weights(temporary, trainer.ema, facts)
        ref = workspace.publish_file(folder, f"weights-{trainer.step:08d}", temporary)
    pointer = {"file": Path(ref["path"]).name, "sha256": ref["sha256"]}
    workspace.write(f"{folder}/{FINISHED}", json.dumps(pointer).encode())
    return ref
