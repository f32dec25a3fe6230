"""Detectors by the name in ``detect.backend``."""

from __future__ import annotations

from faceswap_core.faces.detectors.mtcnn import MtcnnDetector
from faceswap_core.faces.detectors.record import Detector, Faces

__all__ = ["DETECTORS", "Detector", "Faces", "MtcnnDetector"]

DETECTORS: dict[str, type[MtcnnDetector]] = {"mtcnn": MtcnnDetector}
