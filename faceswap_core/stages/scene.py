"""one frame of the plate (+ truth) with its faces' places -> what is measured of a composite without landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceswap_core.manifest import Row
from faceswap_core.quality.metrics import seam_ratio, sharpness, transfer_and_residual
from faceswap_core.quality.temporal import Motion, lab_apart, motion_between, warping_error
from faceswap_core.stages.composites import Place, wanted_colours
from faceswap_core.types import F32, U8


@dataclass(frozen=True)
class Scene:
    """What all composites of one frame share."""

    number: int
    """frame_index."""
    plate: U8
    """(H, W, 3)."""
    plate_before: U8 | None
    """The frame before, where it belongs to the same shot and was measured."""
    truth: U8 | None
    """(H, W, 3), where it is known."""
    places: Sequence[Place]
    """The faces."""
    motions: Sequence[Motion | None]
    """Of the plate in each face's rectangle, where there is a frame before."""
    wanted: Sequence[F32 | None]
    """The truth in each face's rectangle (h, w, 3) 0..1 in the plate's mean colour, where it is known."""

    @classmethod
    def of(cls, number: int, plate: U8, before: U8 | None, truth: U8 | None, places: Sequence[Place]) -> Scene:
        """Take a frame in; the motion to it is found once."""
        motions = [None if before is None else motion_between(p.cut(before), p.cut(plate)) for p in places]
        wanted = [None if truth is None else wanted_colours(p, plate, truth) for p in places]
        return cls(number, plate, before, truth, places, motions, wanted)

    def figures(self, i: int, made: U8, before: U8 | None, weight: F32) -> Row:
        """Columns of QUALITY of one face.

        Args:
            i: number of the face among the places.
            made: (H, W, 3), the composite.
            before: (H, W, 3), that of the frame before.
            weight: (h, w) 0..1 of the composite's patch, in the face's rectangle.
        """
        place = self.places[i]
        now, plate = place.cut(made), place.cut(self.plate)
        row: Row = {
            "lab_apart": lab_apart(now, plate, weight).tolist(),
            "sharpness": sharpness(now, weight),
            "sharpness_plate": sharpness(plate, weight),
            "seam": seam_ratio(now, plate, weight),
        }
        return row | self._warping(i, made, before, weight) | self._towards_truth(i, now, weight)

    def _warping(self, i: int, made: U8, before: U8 | None, weight: F32) -> Row:
        motion, place = self.motions[i], self.places[i]
        if motion is None or before is None or self.plate_before is None:
            return {}
        pairs = ((before, made), (self.plate_before, self.plate))
        errors = [warping_error(place.cut(was), place.cut(now), motion, weight) for was, now in pairs]
        return dict(zip(("warp", "warp_plate"), errors, strict=True))

    def _towards_truth(self, i: int, now: U8, weight: F32) -> Row:
        place, wanted = self.places[i], self.wanted[i]
        if wanted is None or self.truth is None:
            return {}
        made, plate = (picture.astype(np.float32) / np.float32(255) for picture in (now, place.cut(self.plate)))
        return {
            "transfer": transfer_and_residual(made, plate, wanted, weight)[0],
            "sharpness_truth": sharpness(place.cut(self.truth), weight),
        }
