"""frames -> faces: found by MTCNN now and then, followed by FaceMesh from frame to frame in between.

MTCNN's points stand up to 4 % of the eyes' distance off those of the mesh, so they are never given out: a face that
the mesh does not confirm is no face in that frame, and tracking fills the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceswap_core.faces.detectors.mtcnn import MtcnnDetector
from faceswap_core.faces.detectors.record import Faces
from faceswap_core.faces.mesh import (
    POINTS,
    FaceMesh,
    Region,
    five_of_mesh,
    region_of_detection,
    region_of_mesh,
    steadied,
)
from faceswap_core.faces.tracking import overlap
from faceswap_core.types import F64, U8

_SEARCH_EVERY = 15
"""Frames between searches while every face is followed: by then a newcomer is found."""
_RETRY_EVERY = 5
"""Frames between searches while there is no face."""
_PASSES = 4
"""Passes of the mesh over a face just found, until it has come to rest; each starts where the one before saw it."""
_PRESENCE = 0.5
"""Probability of a face below which the mesh has lost it."""
_SAME = 0.3
"""Overlap (intersection over union) above which MTCNN's box is that of a face that is followed."""
_SURE = 0.99
"""Score of a followed face that no further search needs to raise."""
_TWICE = 0.5
"""Overlap above which one face is followed twice; two that touch, or that pass each other, overlap less."""


@dataclass(frozen=True)
class _Face:
    mesh: F64
    """(468, 2) px."""
    region: Region
    """Where to look for it in the next frame."""
    presence: float
    """Of the mesh, 0..1."""
    score: float
    """Of the search that last saw it, 0..1."""

    @property
    def box_xyxy(self) -> F64:
        return np.concatenate([self.mesh.min(0), self.mesh.max(0)])


class _Seen(NamedTuple):
    box_xyxy: F64
    """(4,) px."""
    points5: F64
    """(5, 2) px, by MTCNN."""
    score: float
    """0..1."""


class BuiltinDetector:
    """Follows every face that it found, and looks for further ones at times."""

    name = "builtin"
    """Written into every detection."""

    def __init__(self, mesh: Path, *, min_score: float = 0.5, min_face: float = 0.1, max_side: int = 640) -> None:
        """Set thresholds.

        Args:
            mesh: FaceMesh's model file, checked.
            min_score: as in `MtcnnDetector`.
            min_face: likewise.
            max_side: likewise.
        """
        self._mesh = FaceMesh(mesh)
        self._min_score, self._min_face, self._max_side = min_score, min_face, max_side
        self._faces: list[_Face] = []
        self._frames_since_search = 0

    def detect(self, image: U8, *, follows: bool = False) -> Faces:
        """Find the faces of one frame (H, W, 3) RGB; best score first."""
        followed = self._follow(image) if follows else []
        lost = len(followed) < len(self._faces) if follows else True
        self._frames_since_search += 1
        if lost or self._frames_since_search >= (_SEARCH_EVERY if followed else _RETRY_EVERY):
            followed = self._search(image, followed)
            self._frames_since_search = 0
        self._faces = followed
        return _as_faces(followed)

    def _follow(self, image: U8) -> list[_Face]:
        """The faces of the frame before that are still there."""
        found = (self._confirmed(image, face.region, face.score) for face in self._faces)
        return _distinct([face for face in found if face])

    def _search(self, image: U8, followed: list[_Face]) -> list[_Face]:
        """The faces followed and those found beside them; where there is none, the frame is turned to both sides."""
        for quarters in (0, 1, -1):
            for seen in self._seen(image, quarters, followed):
                same = _first_like(seen.box_xyxy, followed, _SAME)
                if same is not None:
                    followed[same] = replace(followed[same], score=max(followed[same].score, seen.score))
                elif (face := self._fresh(image, seen)) is not None:
                    followed = _distinct([*followed, face])
            if followed:
                break
        return followed

    def _seen(self, image: U8, quarters: int, followed: list[_Face]) -> list[_Seen]:
        """What MTCNN sees once the frame was turned by quarters of a full turn, in px of the frame as it is.

        Where it stands upright, nobody looks again for faces that are followed and sure.
        """
        height, width = image.shape[:2]
        turned = np.ascontiguousarray(np.rot90(image, quarters))
        min_face = min(1.0, self._min_face * height / max(1, turned.shape[0]))
        search = MtcnnDetector(
            min_score=self._min_score,
            min_face=min_face,
            max_side=self._max_side,
            refine=False,
            contrast=not quarters and not followed,
        )
        sure = [face.box_xyxy for face in followed if face.score >= _SURE and not quarters]
        found = search.search(turned, np.array(sure, np.float64).reshape(-1, 4))
        points = _turned_back(found.points5.astype(np.float64), quarters, (width, height))
        corners = _turned_back(found.boxes_xyxy.astype(np.float64).reshape(-1, 2, 2), quarters, (width, height))
        boxes = np.hstack([corners.min(1), corners.max(1)])
        return [_Seen(*seen) for seen in zip(boxes, points, found.scores.tolist(), strict=True)]

    def _fresh(self, image: U8, seen: _Seen) -> _Face | None:
        """A face that MTCNN saw, if the mesh sees it too."""
        face = self._confirmed(image, region_of_detection(seen.box_xyxy, seen.points5), seen.score)
        for number in range(1, _PASSES):
            if face is not None:
                region = region_of_mesh(face.mesh) if number == 1 else face.region
                face = self._confirmed(image, region, seen.score)
        return face

    def _confirmed(self, image: U8, region: Region, score: float) -> _Face | None:
        """The face in a region, or None where the mesh sees none."""
        mesh, presence = self._mesh.points(image, region)
        if presence < _PRESENCE or not _is_inside(mesh, image):
            return None
        return _Face(mesh, steadied(region_of_mesh(mesh), region), presence, score)


def _turned_back(points: F64, quarters: int, size_wh: tuple[int, int]) -> F64:
    """Points (N, K, 2) of a frame that ``np.rot90`` turned by -1, 0 or 1 quarters -> those of the frame itself."""
    width, height = size_wh
    x, y = points[..., 0], points[..., 1]
    pairs = {0: (x, y), 1: (width - 1 - y, x), -1: (y, height - 1 - x)}
    return np.stack(pairs[quarters], axis=-1)


def _is_inside(mesh: F64, image: U8) -> bool:
    """Whether the middle of a face lies in the frame."""
    middle = (mesh.min(0) + mesh.max(0)) / 2
    return bool((middle >= -0.5).all() and (middle <= np.array(image.shape[1::-1]) - 0.5).all())


def _first_like(box_xyxy: F64, faces: list[_Face], least: float) -> int | None:
    """Index of the first face that overlaps a box by more than ``least``."""
    return next((i for i, face in enumerate(faces) if overlap(box_xyxy, face.box_xyxy[None])[0] > least), None)


def _distinct(faces: list[_Face]) -> list[_Face]:
    """The faces without those that stand where an earlier one does."""
    kept: list[_Face] = []
    for face in faces:
        if _first_like(face.box_xyxy, kept, _TWICE) is None:
            kept.append(face)
    return kept


def _as_faces(faces: list[_Face]) -> Faces:
    faces = sorted(faces, key=lambda face: -min(face.score, face.presence))
    meshes = np.array([face.mesh for face in faces], np.float64).reshape(-1, POINTS, 2)
    return Faces(
        boxes_xyxy=np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4),
        scores=np.array([min(face.score, face.presence) for face in faces], np.float32),
        points5=np.array([five_of_mesh(mesh) for mesh in meshes], np.float32).reshape(-1, 5, 2),
        points_dense=meshes.astype(np.float32),
    )
