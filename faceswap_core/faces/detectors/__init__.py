"""Detectors by the name in ``detect.backend``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from faceswap_core.config import DetectSettings
from faceswap_core.errors import ModelMissingError, SettingsError
from faceswap_core.faces.detectors.builtin import BuiltinDetector
from faceswap_core.faces.detectors.insight import InsightDetector
from faceswap_core.faces.detectors.mtcnn import MtcnnDetector
from faceswap_core.faces.detectors.record import Detector, Faces
from faceswap_core.faces.detectors.yunet import YunetDetector
from faceswap_core.modelstore import MODEL_FILES, licence_of, locate, locate_pack, survey
from faceswap_core.storage import sha256_file
from faceswap_core.types import Json

__all__ = ["DETECTORS", "Detector", "Faces", "WeightFile", "fallback_note", "installed", "weight_files"]


class WeightFile(NamedTuple):
    """One model file that a detector reads."""

    name: str
    """Its name, without a place."""
    sha256: str
    """Digest of its bytes."""
    licence: str | None
    """Its terms; None where they are not known here."""


def weight_files(settings: DetectSettings) -> list[WeightFile]:
    """The model files of a backend.

    Raises:
        SettingsError: the backend needs a file that no setting names.
        ModelMissingError: a file of the user's is missing or altered.
    """
    if settings.backend in _PINNED:
        pinned = {name: file for name, file in MODEL_FILES.items() if name.startswith(_PINNED[settings.backend])}
        return [WeightFile(name, file.sha256, file.licence) for name, file in pinned.items()]
    files = locate_pack(settings.pack) if settings.backend == "insightface" else [_model_file(settings)]
    return [WeightFile(path.name, sha256_file(path), licence_of(path)) for path in files]


_PINNED: dict[str, tuple[str, ...]] = {"builtin": ("mtcnn-", "facemesh"), "mtcnn": ("mtcnn-",), "truth": ()}
"""Backend -> beginnings of the names of its pinned files."""


def _builtin(settings: DetectSettings, device: str) -> BuiltinDetector:
    return BuiltinDetector(
        locate("facemesh"), min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side
    )


def _mtcnn(settings: DetectSettings, device: str) -> MtcnnDetector:
    return MtcnnDetector(min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side)


def _insight(settings: DetectSettings, device: str) -> InsightDetector:
    return InsightDetector(
        settings.pack,
        min_score=settings.min_score,
        min_face=settings.min_face,
        side=settings.max_side,
        device=device,
    )


def _yunet(settings: DetectSettings, device: str) -> YunetDetector:
    return YunetDetector(
        _model_file(settings), min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side
    )


def _model_file(settings: DetectSettings) -> Path:
    if settings.model_file is None:
        raise SettingsError("detect.backend 'yunet' needs a network: set detect.model_file to YuNet's ONNX file")
    if not settings.model_file.is_file():
        raise ModelMissingError(
            f"detect.model_file {settings.model_file} does not exist: set it to the path of YuNet's ONNX file"
        )
    return settings.model_file


DETECTORS: dict[str, Callable[[DetectSettings, str], Detector]] = {
    "builtin": _builtin,
    "mtcnn": _mtcnn,
    "insightface": _insight,
    "yunet": _yunet,
}
"""Each makes a new detector from its settings and ``runtime.device``, and raises ModelMissingError where a file that
it needs is absent, altered or damaged."""


def installed(settings: DetectSettings) -> DetectSettings:
    """The settings to run with on this machine: ``mtcnn`` for ``builtin`` where FaceMesh's file was never pulled.

    To be asked once a run, so that all of its faces come from one detector.
    """
    if settings.backend != "builtin":
        return settings
    (mesh,) = survey(("facemesh",))
    return settings.model_copy(update={"backend": "mtcnn"}) if mesh.state == "missing" else settings


def fallback_note(asked: DetectSettings, used: DetectSettings) -> Json:
    """What a report says of a detector that was not the one asked for; empty where it was."""
    if asked.backend == used.backend:
        return {}
    return {
        "backend_note": f"detect.backend {asked.backend!r} worked on MTCNN alone, whose points are less steady, as "
        "FaceMesh is not installed: run `faceswap models pull facemesh`"
    }
