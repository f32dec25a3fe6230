"""Detectors by the name in ``detect.backend``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from faceswap_core.config import DetectSettings
from faceswap_core.errors import ModelMissingError, SettingsError
from faceswap_core.faces.detectors.insight import InsightDetector
from faceswap_core.faces.detectors.mtcnn import MtcnnDetector
from faceswap_core.faces.detectors.record import Detector, Faces
from faceswap_core.faces.detectors.yunet import YunetDetector
from faceswap_core.modelstore import MODEL_FILES, locate, locate_pack

__all__ = ["DETECTORS", "Detector", "Faces", "weight_files"]


def weight_files(settings: DetectSettings) -> list[Path]:
    """The model files that a backend reads, as far as they are pinned also checked.

    Raises:
        SettingsError: the backend needs a file that no setting names.
        ModelMissingError: a file is missing or altered.
    """
    return _WEIGHTS[settings.backend](settings)


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


_WEIGHTS: dict[str, Callable[[DetectSettings], list[Path]]] = {
    "mtcnn": lambda settings: [locate(name) for name in MODEL_FILES if name.startswith("mtcnn")],
    "insightface": lambda settings: locate_pack(settings.pack),
    "yunet": lambda settings: [_model_file(settings)],
    "truth": lambda settings: [],
}

DETECTORS: dict[str, Callable[[DetectSettings, str], Detector]] = {
    "mtcnn": _mtcnn,
    "insightface": _insight,
    "yunet": _yunet,
}
"""Each makes a new detector from its settings and ``runtime.device``, and raises ModelMissingError where a file that
it needs is absent or altered."""
