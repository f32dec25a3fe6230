"""Detectors by the name in ``detect.backend``."""

from __future__ import annotations

from collections.abc import Callable

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors.builtin import BuiltinDetector
from faceswap_core.faces.detectors.mtcnn import MtcnnDetector
from faceswap_core.faces.detectors.record import Detector, Faces
from faceswap_core.modelstore import locate, survey
from faceswap_core.types import Json

__all__ = ["DETECTORS", "Detector", "Faces", "fallback_note", "installed"]


def _builtin(settings: DetectSettings) -> BuiltinDetector:
    return BuiltinDetector(
        locate("facemesh"), min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side
    )


def _mtcnn(settings: DetectSettings) -> MtcnnDetector:
    return MtcnnDetector(min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side)


DETECTORS: dict[str, Callable[[DetectSettings], Detector]] = {"builtin": _builtin, "mtcnn": _mtcnn}
"""Each makes a new detector, and raises ModelMissingError where a file that it needs is absent or altered."""


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
