"""Detectors by the name in ``detect.backend``."""

from __future__ import annotations

from collections.abc import Callable

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors.mtcnn import MtcnnDetector
from faceswap_core.faces.detectors.record import Detector, Faces

__all__ = ["DETECTORS", "Detector", "Faces"]


def _mtcnn(settings: DetectSettings) -> MtcnnDetector:
    return MtcnnDetector(min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side)


DETECTORS: dict[str, Callable[[DetectSettings], Detector]] = {"mtcnn": _mtcnn}
"""Each makes a new detector, and raises ModelMissingError where a file that it needs is absent or altered."""
