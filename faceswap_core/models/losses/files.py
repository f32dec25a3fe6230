"""The weights files that perceptual losses read, checked by their digest, and how they are got."""

from __future__ import annotations

from pathlib import Path

from faceswap_core.errors import ModelMissingError
from faceswap_core.modelstore import check_digest

VGG_HOW = (
    "get VGG16 (BSD licence) with `curl -L -o vgg16.safetensors "
    "https://huggingface.co/timm/vgg16.tv_in1k/resolve/main/model.safetensors`, then set train.vgg_file to it and "
    "train.vgg_sha256 to what `sha256sum vgg16.safetensors` says; or leave the loss 'vgg' out"
)
ARCFACE_HOW = (
    "get it with `faceswap models pull buffalo_l --accept-noncommercial` (weights for non-commercial research only), "
    "or set train.arcface_file to the recognition network of another InsightFace pack and train.arcface_sha256 to "
    "what `sha256sum` says of it; or leave the loss 'arcface' out"
)


def weight_file(named: tuple[str, str] | None, how: str) -> Path:
    """A weights file whose digest was checked.

    Args:
        named: path and sha256.
        how: where it comes from.

    Raises:
        ModelMissingError: it is not named, not there, or another.
    """
    if named is None:
        raise ModelMissingError(f"a loss needs a weights file and its digest, and they are not named: {how}")
    path = Path(named[0])
    if not path.is_file():
        raise ModelMissingError(f"weights file {path} does not exist: {how}")
    return check_digest(path, named[1], remedy=how)
