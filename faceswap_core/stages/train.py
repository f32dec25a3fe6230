"""aligned faces of both sides + colours -> trained weights, log and preview."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, RuntimeSettings, TrainSettings
from faceswap_core.errors import NoFaceError, ResourceError, SettingsError
from faceswap_core.models import MODELS
from faceswap_core.models.augment import Augmentation
from faceswap_core.models.checkpoint import Store, save_weights
from faceswap_core.models.chips import Sampler, Side
from faceswap_core.models.loop import Trainer, train
from faceswap_core.models.preview import preview_views
from faceswap_core.schemas import ALIGNED, MASKS, TRAIN_LOG
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.images import png, unpack
from faceswap_core.stages.normalize import color_facts
from faceswap_core.stages.recipe import build_of, recipe_of
from faceswap_core.stages.weights import FINISHED, pick_device, resolve_precision
from faceswap_core.storage import Workspace, atomic_path, process_lives
from faceswap_core.threads import cap_threads
from faceswap_core.types import U8, FileRef, Json, ManifestRef, Progress, no_progress

_log = logging.getLogger(__name__)

TRAINING_VERSION = 4
"""Raised when equal settings and faces give other weights."""
_LEASE_SECONDS = 600
_NOT_IN_THE_FOLDER_KEY = {"iterations", "checkpoint_every", "preset", "model", "vgg_file", "arcface_file", "min_faces"}


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
    folder: str
    """Checkpoint folder, relative to the workspace: what ``train.model`` can name."""


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
    progress: Progress = no_progress,
) -> Trained:
    """Train until ``settings.iterations`` steps are done, going on from the latest checkpoint.

    Raises:
        NoFaceError: a side has no face to train on.
        ResourceError: another live process trains the same model.
    """
    device = pick_device(runtime)
    cap_threads(runtime.threads)
    settings = settings.model_copy(update={"precision": resolve_precision(settings.precision, device)})
    key = folder_key(side_a, side_b, stats, names, settings, align, seed, device.type)
    folder = workspace.path(layout.checkpoint_folder(key))
    colors = color_facts(workspace, stats)
    sampler = _sampler(workspace, (side_a, side_b), names, colors, settings, align, seed)
    trainer = Trainer(recipe_of(settings, align, seed, colors[names[1]]), device)
    store = Store(folder)
    with _lease(folder) as renew:
        trainer.restore(store)
        began = trainer.step
        if began > settings.iterations:
            raise SettingsError(
                f"train.iterations is {settings.iterations}, but this model has {began} steps already: ask for "
                f"{began} or more, or change train or seed to train another"
            )

        def tell(done: int, total: int, note: str) -> None:
            renew()
            progress(done, total, note)

        train(
            trainer,
            sampler,
            iterations=settings.iterations,
            checkpoint_every=settings.checkpoint_every,
            store=store,
            progress=tell,
        )
        trainer.settle(sampler)
        _log.info("trained %d steps, %d in all", trainer.step - began, trainer.step)
        facts: Json = {
            "model": settings.model_name,
            "build": asdict(build_of(settings)),
            "sides": list(names),
            "coverage": align.coverage,
            "eye_distance": align.eye_distance,
            "step": trainer.step,
            "colors": colors,
        }
        weights = _publish_weights(workspace, folder, trainer, facts)
    rows = [vars(row) | {"losses": [{"name": k, "value": v} for k, v in row.losses.items()]} for row in trainer.log]
    return Trained(
        weights=weights,
        log=manifest.publish(workspace, layout.TRAINING, "train-log", TRAIN_LOG, rows),
        preview=_publish_preview(workspace, trainer, sampler),
        samples_per_second=_speed(trainer, began, settings),
        folder=layout.checkpoint_folder(key),
    )


def folder_key(
    side_a: Sequence[AlignedChunk],
    side_b: Sequence[AlignedChunk],
    stats: ManifestRef,
    names: tuple[str, str],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
    device: str,
) -> str:
    """Name of the checkpoint folder: all that the weights depend on, except how many steps are wanted."""
    parts = {
        "version": TRAINING_VERSION,
        "a": [[c["aligned"]["sha256"], c["masks"]["sha256"]] for c in side_a],
        "b": [[c["aligned"]["sha256"], c["masks"]["sha256"]] for c in side_b],
        "stats": stats["sha256"],
        "names": names,
        "settings": settings.model_dump(mode="json", exclude=_NOT_IN_THE_FOLDER_KEY),
        "align": align.model_dump(mode="json"),
        "seed": seed,
        "device": device,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _sampler(
    workspace: Workspace,
    sides: tuple[Sequence[AlignedChunk], Sequence[AlignedChunk]],
    names: tuple[str, str],
    colors: dict[str, dict[str, list[float]]],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
) -> Sampler:
    loaded = []
    for name, chunks in zip(names, sides, strict=True):
        chips, held_out = _split(workspace, chunks, settings.validation_share)
        if len(chips) < settings.min_faces:
            raise NoFaceError(
                f"subject {name!r} has {len(chips)} faces to train on, fewer than train.min_faces "
                f"({settings.min_faces}): give more footage that shows it, or lower detect.min_score"
            )
        found = colors[name]
        loaded.append(Side(chips, held_out, np.array(found["scale"]), np.array(found["shift"])))
    amounts = ("rotation", "zoom", "shift", "flip", "warp", "light", "color")
    how = Augmentation(**{name: getattr(settings, name) for name in amounts})
    return Sampler(
        a=loaded[0],
        b=loaded[1],
        seed=seed,
        batch=settings.batch,
        resolution=settings.resolution,
        coverage=align.coverage,
        how=how,
        latent=MODELS[settings.model_name].code_length(build_of(settings)),
        dropout=settings.dropout,
    )


def _split(workspace: Workspace, chunks: Sequence[AlignedChunk], share: float) -> tuple[U8, U8]:
    """Chips (N, S, S, 4) for training and the last ``share`` of every video, held out; interpolated faces left out."""
    by_video: dict[str, list[U8]] = {}
    for chunk in chunks:
        for video, chip in _read_chips(workspace, chunk):
            by_video.setdefault(video, []).append(chip)
    kept: list[U8] = []
    held_out: list[U8] = []
    for chips in by_video.values():
        end = len(chips) - int(len(chips) * share)
        kept += chips[:end]
        held_out += chips[end:]
    empty = np.zeros((0, 8, 8, 4), np.uint8)
    return (np.stack(kept) if kept else empty), (np.stack(held_out) if held_out else empty)


def _read_chips(workspace: Workspace, chunk: AlignedChunk) -> Iterator[tuple[str, U8]]:
    """Source video and chip with its mask as fourth channel, face by face."""
    aligned = manifest.stream(workspace, chunk["aligned"], ALIGNED, ["video", "chip", "interpolated"])
    masks = manifest.stream(workspace, chunk["masks"], MASKS, ["mask"])
    for row, mask in zip(aligned, masks, strict=True):
        if not row["interpolated"]:
            yield row["video"], np.dstack([unpack(row["chip"]), unpack(mask["mask"])])


def _publish_weights(workspace: Workspace, folder: Path, trainer: Trainer, facts: Json) -> FileRef:
    with workspace.scratch(".safetensors") as temporary:
        save_weights(temporary, trainer.ema, facts)
        ref = workspace.publish_file(workspace.relative(folder), f"weights-{trainer.step:08d}", temporary)
    with atomic_path(folder / FINISHED) as pointer:
        pointer.write_text(json.dumps({"file": Path(ref["path"]).name, "sha256": ref["sha256"]}))
    return ref


def _publish_preview(workspace: Workspace, trainer: Trainer, sampler: Sampler) -> FileRef:
    grid = preview_views(trainer, sampler)  # (rows, 6, 3, R, R)
    rows, columns, _, side, _ = grid.shape
    image = grid.permute(0, 3, 1, 4, 2).reshape(rows * side, columns * side, 3).numpy()
    data = png((image * 255).round().astype(np.uint8))
    return workspace.publish_bytes(layout.TRAINING, "preview", ".png", data)


def _speed(trainer: Trainer, began: int, settings: TrainSettings) -> float | None:
    steps = trainer.step - began
    if not steps or not trainer.log or not trainer.log[-1].seconds:
        return None
    return steps * settings.batch * 2 / trainer.log[-1].seconds


@contextmanager
def _lease(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold the folder for this process; one that died, or on another host went silent, is taken over from.

    Raises:
        ResourceError: another live process holds it.
    """
    path = folder / "lease.json"
    mine = {"host": socket.gethostname(), "pid": os.getpid()}
    if path.is_file() and _held_by_another(json.loads(path.read_text()), mine):
        raise ResourceError(f"another process trains the same model ({path}): wait for it, or stop it")

    renewed = 0.0

    def renew() -> None:
        nonlocal renewed
        if time.monotonic() - renewed < _LEASE_SECONDS / 20 and renewed:
            return
        renewed = time.monotonic()
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({**mine, "expires": time.time() + _LEASE_SECONDS}))

    renew()
    try:
        yield renew
    finally:
        path.unlink(missing_ok=True)


def _held_by_another(lease: Json, mine: Json) -> bool:
    if lease["host"] == mine["host"]:
        return bool(lease["pid"] != mine["pid"]) and process_lives(int(lease["pid"]))
    return bool(lease["expires"] >= time.time())
