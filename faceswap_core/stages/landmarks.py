"""composite + the faces of its plate -> how far the landmarks, the pose, mouth and eyes went astray.

FaceMesh's points tremble with the crop that it is given by about as much as a swap does. Plate and composite are
therefore shown to it in the same crops, several a face about its steadied place, and the mean of its answers counts.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from faceswap_core import manifest
from faceswap_core.config import DetectSettings
from faceswap_core.faces.dense import dense_pose, is_mesh, openness
from faceswap_core.faces.detectors import DETECTORS, Detector
from faceswap_core.faces.mesh import FaceMesh, Region, five_of_mesh, region_of_mesh
from faceswap_core.faces.tracking import overlap
from faceswap_core.manifest import Row
from faceswap_core.modelstore import locate
from faceswap_core.quality.metrics import landmark_nme
from faceswap_core.schemas import TRACKS
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, U8, ManifestRef

_SAME = 0.3
"""Overlap (intersection over union) above which a face found in the composite is the plate's own."""
_CROPS = ((0, 0, 1), (0.02, 0.01, 1.03), (-0.02, 0.01, 0.97), (0.01, -0.02, 1.05), (-0.01, -0.02, 0.95))
"""Shift to the right and down, in sides, and size of the crops that the mesh is read in."""
_PRESENCE = 0.5
"""Mean probability of a face below which the mesh sees none."""


@dataclass(frozen=True)
class Found:
    """One face as a detector found it."""

    box_xyxy: F64
    """(4,) px."""
    points5: F64
    """(5, 2) px."""
    dense: F64 | None
    """(K, 2) px, where the detector has more."""

    @property
    def eye_distance(self) -> float:
        """Of the five points, px."""
        return float(np.linalg.norm(self.points5[1] - self.points5[0]))


def plate_faces(workspace: Workspace, tracks: ManifestRef, frames: Set[int]) -> dict[tuple[int, int], Found]:
    """The subject's faces in some frames of one chunk, by frame_index and face_index; interpolated ones left out.

    The five points are those that were detected; the dense ones are steadied, and say where to look.
    """
    columns = ["frame_index", "face_index", "subject", "box_xyxy", "points5_raw", "points_dense", "interpolated"]
    found = {}
    for row in manifest.stream(workspace, tracks, TRACKS, columns):
        if row["frame_index"] in frames and row["subject"] is not None and not row["interpolated"]:
            dense = None if row["points_dense"] is None else np.array(row["points_dense"], np.float64).reshape(-1, 2)
            points = np.array(row["points5_raw"], np.float64).reshape(5, 2)
            one = Found(np.array(row["box_xyxy"], np.float64), points, dense)
            found[row["frame_index"], row["face_index"]] = one
    return found


class Reader(Protocol):
    """Finds the landmarks of a face in pictures (H, W, 3) RGB, where the plate's detector saw one."""

    def read(self, picture: U8, near: Found) -> Found | None:
        """The face of a composite; None where there is none."""
        ...

    def read_plate(self, picture: U8, detected: Found) -> Found | None:
        """The same face of the plate, as steadily as it can be read."""
        ...


def reader_of(settings: DetectSettings, device: str) -> Reader | None:
    """What reads landmarks as the plate's detector does; None for ``truth``, which finds nothing in pictures.

    Raises:
        ModelMissingError: a file of the detector is absent, altered or damaged.
    """
    if settings.backend == "builtin":
        return MeshReader(FaceMesh(locate("facemesh")))
    make = DETECTORS.get(settings.backend)
    return DetectorReader(make(settings, device)) if make else None


class MeshReader:
    """Reads the mesh in several crops about the plate's steadied one, the same for plate and composite."""

    def __init__(self, mesh: FaceMesh) -> None:
        """Take the network."""
        self._mesh = mesh

    def read(self, picture: U8, near: Found) -> Found | None:
        """Mean of what the mesh sees in all crops; None where it sees no face."""
        if near.dense is None:
            return None
        about = region_of_mesh(near.dense)
        seen = [self._mesh.points(picture, _moved(about, *crop)) for crop in _CROPS]
        if np.mean([presence for _, presence in seen]) < _PRESENCE:
            return None
        points: F64 = np.mean([mesh for mesh, _ in seen], axis=0)
        return Found(np.concatenate([points.min(0), points.max(0)]), five_of_mesh(points), points)

    def read_plate(self, picture: U8, detected: Found) -> Found | None:
        """The same of the plate."""
        return self.read(picture, detected)


def _moved(region: Region, right: float, down: float, size: float) -> Region:
    x, y = region.centre
    return Region((x + right * region.side, y + down * region.side), size * region.side, region.angle)


class DetectorReader:
    """Searches composites as the plate was searched, each frame alone."""

    def __init__(self, detector: Detector) -> None:
        """Take the detector."""
        self._detector = detector

    def read(self, picture: U8, near: Found) -> Found | None:
        """The face that lies where one of the plate does."""
        faces = self._detector.detect(picture)
        shared = overlap(near.box_xyxy, faces.boxes_xyxy.astype(np.float64).reshape(-1, 4))
        if not len(faces) or shared.max() < _SAME:
            return None
        best = int(shared.argmax())
        dense = None if faces.points_dense is None else faces.points_dense[best].astype(np.float64)
        return Found(faces.boxes_xyxy[best].astype(np.float64), faces.points5[best].astype(np.float64), dense)

    def read_plate(self, picture: U8, detected: Found) -> Found | None:
        """The five points that were detected."""
        return Found(detected.box_xyxy, detected.points5, None)


def landmark_figures(made: Found | None, plate: Found) -> Row:
    """The columns of QUALITY that come of landmarks; by the dense points where both have them, else by the five."""
    row: Row = {"eye_distance": plate.eye_distance, "points5_plate": plate.points5.ravel().tolist()}
    if made is None:
        return row
    row["points5"] = made.points5.ravel().tolist()
    made_points, points = made.points5, plate.points5
    if made.dense is not None and plate.dense is not None:
        made_points, points = made.dense, plate.dense
    row["nme"] = landmark_nme(made_points, points, plate.eye_distance)
    if is_mesh(made.dense) and is_mesh(plate.dense):
        row["pose_error"] = float(np.linalg.norm(dense_pose(made.dense) - dense_pose(plate.dense)))
        row["eyes"], row["mouth"] = openness(made.dense)
        row["eyes_plate"], row["mouth_plate"] = openness(plate.dense)
    return row
