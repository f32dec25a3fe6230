"""chips before and after a swap -> what the job's detector makes of it: do landmarks stay, whose face is it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors import DETECTORS
from faceswap_core.faces.detectors.record import Detector, Faces
from faceswap_core.models.chips import Sampler, spread_over
from faceswap_core.models.validation import LOOKED_AT
from faceswap_core.quality.metrics import landmark_nme
from faceswap_core.types import F32, F64, U8


class _Face(NamedTuple):
    points: F64
    eye_distance: float
    embedding: F32 | None


@dataclass(frozen=True)
class Looker:
    """The detector that found the faces, and whom it has seen."""

    detector: Detector
    """Of the job."""
    sampler: Sampler
    """Faces of both people."""

    @cached_property
    def _people(self) -> tuple[F32, F32] | None:
        """Mean embeddings of A and B, of length 1; None where there are none."""
        means = []
        for side in (self.sampler.a, self.sampler.b):
            chips = side.chips.colors[spread_over(len(side.chips), LOOKED_AT)][..., :3]
            known = [face.embedding for face in self._seen(chips) if face is not None and face.embedding is not None]
            if not known:
                return None
            mean = np.mean(known, axis=0)
            means.append((mean / np.linalg.norm(mean)).astype(np.float32))
        return means[0], means[1]

    def __call__(self, before: U8, after: U8) -> dict[str, float]:
        """Look at chips (M, S, S, 3) RGB as they are and with the swap laid in; see `Look`.

        Returns:
            ``landmarks`` where faces were found in both, ``identity`` where the detector gives embeddings.
        """
        pairs = zip(self._seen(before), self._seen(after), strict=True)
        both = [(own, swap) for own, swap in pairs if own is not None and swap is not None]
        found = {}
        if both:
            off = [landmark_nme(swap.points, own.points, own.eye_distance) for own, swap in both]
            found["landmarks"] = float(np.mean(off))
        embedded = [swap.embedding for _, swap in both if swap.embedding is not None]
        if embedded and self._people is not None:
            a, b = self._people
            found["identity"] = float(np.mean([who @ b - who @ a for who in embedded]))
        return found

    def _seen(self, chips: U8) -> list[_Face | None]:
        """The largest face of each chip; None where no face is found.

        A face lies in the same place in all chips, so that a detector may look first where it was in the one before.
        """
        seen = (self.detector.detect(np.ascontiguousarray(c), follows=i > 0) for i, c in enumerate(chips))
        return [self._largest(faces) for faces in seen]

    @staticmethod
    def _largest(faces: Faces) -> _Face | None:
        if not len(faces):
            return None
        sides = faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]
        chosen = int(np.argmax(sides.prod(axis=1)))
        points = faces.points5 if faces.points_dense is None else faces.points_dense
        eyes = float(np.linalg.norm(faces.points5[chosen, 1] - faces.points5[chosen, 0]))
        embedding = None if faces.embeddings is None else faces.embeddings[chosen]
        return _Face(points[chosen].astype(np.float64), eyes, embedding)


def looker(settings: DetectSettings | None, device: str, sampler: Sampler) -> Looker | None:
    """The job's detector, where it is one that searches pictures; ``device`` is ``runtime.device``.

    Raises:
        ModelMissingError: a file of the detector is absent, altered or damaged.
    """
    make = DETECTORS.get(settings.backend) if settings else None
    return Looker(make(settings, device), sampler) if make and settings else None
