"""faces found in a composite + those of its plate -> how far the landmarks, the pose, mouth and eyes went astray."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from faceswap_core import manifest
from faceswap_core.faces.dense import dense_pose, is_mesh, openness
from faceswap_core.faces.detectors import Faces
from faceswap_core.faces.tracking import overlap
from faceswap_core.manifest import Row
from faceswap_core.quality.metrics import landmark_nme
from faceswap_core.schemas import DETECTIONS
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, ManifestRef

_SAME = 0.3
"""Overlap (intersection over union) above which a face found in the composite is the plate's own."""


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


def plate_faces(workspace: Workspace, detections: ManifestRef, frames: Set[int]) -> dict[tuple[int, int], Found]:
    """The faces of DETECTIONS in some frames, by frame_index and face_index."""
    columns = ["frame_index", "face_index", "box_xyxy", "points5", "points_dense"]
    found = {}
    for row in manifest.stream(workspace, detections, DETECTIONS, columns):
        if row["frame_index"] in frames:
            dense = None if row["points_dense"] is None else np.array(row["points_dense"], np.float64).reshape(-1, 2)
            points = np.array(row["points5"], np.float64).reshape(5, 2)
            one = Found(np.array(row["box_xyxy"], np.float64), points, dense)
            found[row["frame_index"], row["face_index"]] = one
    return found


def found_again(faces: Faces, near: Found) -> Found | None:
    """The face that lies where one of the plate does; None where there is none."""
    if not len(faces):
        return None
    shared = overlap(near.box_xyxy, faces.boxes_xyxy.astype(np.float64))
    best = int(shared.argmax())
    if shared[best] < _SAME:
        return None
    dense = None if faces.points_dense is None else faces.points_dense[best].astype(np.float64)
    return Found(faces.boxes_xyxy[best].astype(np.float64), faces.points5[best].astype(np.float64), dense)


def landmark_figures(made: Found | None, plate: Found) -> Row:
    """The columns of QUALITY that come of landmarks; by the dense points where both have them, else by the five."""
    row: Row = {"eye_distance": plate.eye_distance, "points5_plate": plate.points5.ravel().tolist()}
    if made is None:
        return row
    row["points5"] = made.points5.ravel().tolist()
    dense = made.dense is not None and plate.dense is not None
    pair = (made.dense, plate.dense) if made.dense is not None and plate.dense is not None else None
    row["nme"] = landmark_nme(*(pair or (made.points5, plate.points5)), plate.eye_distance)
    if dense and is_mesh(made.dense) and is_mesh(plate.dense):
        row["pose_error"] = float(np.linalg.norm(dense_pose(made.dense) - dense_pose(plate.dense)))
        row["eyes"], row["mouth"] = openness(made.dense)
        row["eyes_plate"], row["mouth_plate"] = openness(plate.dense)
    return row
