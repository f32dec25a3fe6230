"""names -> model files that were checked: where weights lie, and the sha256 each must have."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

from faceswap_core.errors import ModelMissingError
from faceswap_core.storage import sha256_file


class ModelFile(NamedTuple):
    """One pinned weight file inside an installed package."""

    package: str
    """Package whose folder holds the file; it is never imported."""
    relative: str
    """Path of the file inside the package."""
    sha256: str
    """Digest that the file must have."""
    licence: str
    """SPDX identifier of the weights' licence."""


MODEL_FILES: dict[str, ModelFile] = {
    "mtcnn-pnet": ModelFile(
        "mtcnn",
        "assets/weights/pnet.lz4",
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
        "MIT",
    ),
    "mtcnn-rnet": ModelFile(
        "mtcnn",
        "assets/weights/rnet.lz4",
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
        "MIT",
    ),
    "mtcnn-onet": ModelFile(
        "mtcnn",
        "assets/weights/onet.lz4",
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
        "MIT",
    ),
}


def locate(name: str) -> Path:
    """Path of a pinned model file whose digest was checked.

    Raises:
        ModelMissingError: the file is absent or altered.
    """
    pinned = MODEL_FILES[name]
    spec = importlib.util.find_spec(pinned.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0], pinned.relative) if folders else None
    if path is None or not path.is_file():
        raise ModelMissingError(
            f"model file {name} is not installed: run `pip install {pinned.package}` in this environment"
        )
    return check_digest(path, pinned.sha256, remedy=f"reinstall the package {pinned.package!r}")


def check_digest(path: Path, sha256: str, *, remedy: str) -> Path:
    """Return ``path`` when its bytes have the digest.

    Raises:
        ModelMissingError: they have another one.
    """
    found = sha256_file(path)
    if found != sha256:
        raise ModelMissingError(f"{path} has sha256 {found}, not the pinned {sha256}: {remedy}; it was not loaded")
    return path
