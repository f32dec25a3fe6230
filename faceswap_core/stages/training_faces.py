"""aligned faces of both sides -> the sampler of a training: decoded once, held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

import numpy as np
import torch

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, TrainSettings
from faceswap_core.config_loop import AUGMENT_FIELDS
from faceswap_core.errors import NoFaceError
from faceswap_core.models import MODELS
from faceswap_core.models.augment import Augmentation
from faceswap_core.models.chips import Sampler
from faceswap_core.models.faces import Chips, Side, pose_weights
from faceswap_core.schemas import ALIGNED, MASKS
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.images import unpack
from faceswap_core.stages.recipe import build_of
from faceswap_core.stages.selection import FACE_KEY, FaceKey, dropped_faces, face_key
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, U8, ManifestRef


def make_sampler(
    workspace: Workspace,
    sides: tuple[Sequence[AlignedChunk], Sequence[AlignedChunk]],
    names: tuple[str, str],
    colors: dict[str, dict[str, list[float]]],
    settings: TrainSettings,
    align: AlignSettings,
    seed: int,
    selection: ManifestRef | None = None,
) -> Sampler:
    """Read the faces of both sides that ``selection`` keeps, and say how batches are drawn from them.

    Raises:
        NoFaceError: a side has fewer than ``settings.min_faces``.
    """
    loaded = []
    dropped = dropped_faces(workspace, selection)
    for name, chunks in zip(names, sides, strict=True):
        chips, held_out, poses = split_chips(workspace, chunks, settings.validation_share, dropped)
        if len(chips) < settings.min_faces:
            raise NoFaceError(
                f"subject {name!r} has {len(chips)} faces to train on, fewer than train.min_faces "
                f"({settings.min_faces}): give more footage that shows it, lower detect.min_score, or keep more faces"
            )
        found = colors[name]
        weights = pose_weights(poses) if settings.sampling == "pose" else None
        loaded.append(Side(chips, held_out, np.array(found["scale"]), np.array(found["shift"]), weights))
    amounts = ("rotation", "zoom", "shift", "flip", "warp", "light", "color", *AUGMENT_FIELDS)
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


def sampler_on(device: torch.device, sampler: Sampler) -> Sampler:
    """The sampler with both sides' chips in the device's memory, where they leave half of it free."""
    if device.type == "cpu":
        return sampler
    free, _ = torch.cuda.mem_get_info(device)
    if sampler.a.chips.nbytes + sampler.b.chips.nbytes > free / 2:
        return replace(sampler, pinned=True)
    sent = [
        (torch.from_numpy(chips.colors).to(device), torch.from_numpy(chips.features).to(device))
        for chips in (sampler.a.chips, sampler.b.chips)
    ]
    return replace(sampler, resident=(sent[0], sent[1]))


def split_chips(
    workspace: Workspace, chunks: Sequence[AlignedChunk], share: float, dropped: Set[FaceKey] = frozenset()
) -> tuple[Chips, Chips, F64]:
    """Chips for training, the last ``share`` of every video held out, and poses (N, 2) of the former.

    Interpolated and dropped faces are left out; a pose is yaw and pitch in degrees, NaN where it is not known.
    """
    by_video: dict[str, list[tuple[U8, list[float]]]] = {}
    for chunk in chunks:
        for video, chip, pose in _read_chips(workspace, chunk, dropped):
            by_video.setdefault(video, []).append((chip, pose))
    kept: list[tuple[U8, list[float]]] = []
    held_out: list[U8] = []
    for faces in by_video.values():
        end = len(faces) - int(len(faces) * share)
        kept += faces[:end]
        held_out += [chip for chip, _ in faces[end:]]
    poses = np.array([pose for _, pose in kept], np.float64).reshape(-1, 2)
    return Chips.of([chip for chip, _ in kept]), Chips.of(held_out), poses


def _read_chips(
    workspace: Workspace, chunk: AlignedChunk, dropped: Set[FaceKey]
) -> Iterator[tuple[str, U8, list[float]]]:
    """Source video, chip (RGB, mask, eyes, mouth) and pose, face by face."""
    aligned = manifest.stream(workspace, chunk["aligned"], ALIGNED, [*FACE_KEY, "chip", "interpolated", "yaw", "pitch"])
    masks = manifest.stream(workspace, chunk["masks"], MASKS, ["mask", "features"])
    for row, mask in zip(aligned, masks, strict=True):
        if not row["interpolated"] and face_key(row) not in dropped:
            features = unpack(mask["features"])[..., :2]
            pose = [np.nan if row[name] is None else row[name] for name in ("yaw", "pitch")]
            yield row["video"], np.dstack([unpack(row["chip"]), unpack(mask["mask"]), features]), pose
