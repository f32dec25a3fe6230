"""settings -> recipe: what one training depends on beside the faces, all of it resolved."""

from __future__ import annotations

import numpy as np

from faceswap_core.config import AlignSettings, TrainSettings
from faceswap_core.config_loop import RECIPE_FIELDS
from faceswap_core.config_network import SHAPE
from faceswap_core.faces.geometry import apply, fit_similarity, similarity_matrix, template5, template_to_chip
from faceswap_core.models import Build
from faceswap_core.models.losses.files import ARCFACE_HOW, VGG_HOW, weight_file
from faceswap_core.models.recipe import Recipe
from faceswap_core.modelstore import MODEL_PACKS, pack_folder

_PACK, _RECOGNITION = "buffalo_l", "w600k_r50.onnx"


def recipe_of(settings: TrainSettings, align: AlignSettings, seed: int, common: dict[str, list[float]]) -> Recipe:
    """What the network is trained by.

    Args:
        settings: of the training, its precision resolved.
        align: how chips are cut.
        seed: of the job.
        common: colour facts of the common space, 0..255.
    """
    mean, std = (tuple(v / 255 for v in common[k]) for k in ("mean", "std"))
    return Recipe(
        model=settings.model_name,
        build=build_of(settings),
        learning_rate=settings.learning_rate,
        ema=settings.ema,
        precision=settings.precision,
        losses={name: weight for name, weight in settings.losses.items() if weight},
        mask_weight=settings.mask_weight,
        eye_weight=settings.eye_weight,
        mouth_weight=settings.mouth_weight,
        seed=seed,
        color_mean=(mean[0], mean[1], mean[2]),
        color_std=(std[0], std[1], std[2]),
        discriminator_rate=settings.discriminator_rate,
        vgg=_vgg(settings),
        arcface=_arcface(settings),
        arcface_matrix=recognition_crop(align),
        **{name: getattr(settings, name) for name in RECIPE_FIELDS},
    )


def build_of(settings: TrainSettings) -> Build:
    """Shape of the network that the settings ask for."""
    return Build(**{name: getattr(settings, name) for name in SHAPE})


def _vgg(settings: TrainSettings) -> tuple[str, str] | None:
    """VGG16's weights file and its digest; None where it is not named."""
    path, digest = settings.vgg_file, settings.vgg_sha256
    return (str(path), digest) if settings.losses.get("vgg") and path and digest else None


def _arcface(settings: TrainSettings) -> tuple[str, str] | None:
    """The recognition network that is named and its digest, else the pinned one of the model store."""
    path, digest = settings.arcface_file, settings.arcface_sha256
    if not settings.losses.get("arcface"):
        return None
    if path is None and digest is None:
        return str(pack_folder(_PACK) / _RECOGNITION), MODEL_PACKS[_PACK].files[_RECOGNITION]
    return (str(path), digest) if path and digest else None


def recognition_crop(align: AlignSettings) -> tuple[float, ...]:
    """Map from a recognition network's crop to the view, both as shares from -1 to 1: the rows of a 2x3 matrix.

    Source: the five points of 112 px crops in InsightFace's alignment.
    """
    crop = np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    )
    view = apply(template_to_chip(1000, align.eye_distance, 1.0, align.centre) / 1000, template5())
    matrix = similarity_matrix(fit_similarity((crop + 0.5) / 56 - 1, view * 2 - 1))
    return tuple(float(v) for v in matrix.ravel())


def check_weight_files(settings: TrainSettings) -> None:
    """Refuse losses whose weights files are not there, before any work is done.

    Raises:
        ModelMissingError: a file is not named, missing, or has another digest.
    """
    if settings.losses.get("vgg"):
        weight_file(_vgg(settings), VGG_HOW)
    if settings.losses.get("arcface"):
        weight_file(_arcface(settings), ARCFACE_HOW)
