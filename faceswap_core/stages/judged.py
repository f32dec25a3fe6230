"""what a weights file says of itself -> values that are safe to build by: files may come from anybody.

A few bytes could ask for a network of any size, so sizes keep to the settings' limits and every tensor must be there.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from faceswap_core.config import TrainSettings
from faceswap_core.config_network import SHAPE
from faceswap_core.errors import ManifestError
from faceswap_core.models import MODELS, Build, FaceNetwork
from faceswap_core.types import F64, Json

GARBAGE = (
    *(SafetensorError, OSError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(OverflowError, RecursionError),
)
"""All that reading the facts of a file that somebody else wrote can raise."""


def rgb(given: Any) -> F64:
    """Three finite numbers.

    Raises:
        ValueError: it is something else.
    """
    found = np.asarray(given, np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"{str(given)[:80]!r} is not a colour")
    return found


def allowed(given: Json) -> Build:
    """The shape of a network, within what the settings allow.

    Raises:
        ValueError: it is beyond that.
        TypeError: it is no shape.
    """
    asked = TrainSettings.model_validate(asdict(Build(**given)))
    return Build(**{name: getattr(asked, name) for name in SHAPE})


def built(model: str, build: Build, path: Path) -> FaceNetwork:
    """A network, once its file is seen to hold each of its tensors and no other.

    Raises:
        ManifestError: the file does not.
    """
    with torch.device("meta"):
        wanted = {name: list(tensor.shape) for name, tensor in MODELS[model](build).state_dict().items()}
    with safe_open(path, "pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if found != wanted:
        raise ManifestError(f"weights {path} do not fit the network that they name: train again or name others")
    return MODELS[model](build)
