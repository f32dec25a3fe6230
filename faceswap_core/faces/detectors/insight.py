"""frames -> boxes, five points, 106 points and identity: the networks of an InsightFace pack.

Sources: SCRFD (Guo et al. 2021) finds the faces, ArcFace (Deng et al. 2019) tells people apart.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from faceswap_core.faces.detectors.insight_pack import LANDMARKS, load_pack
from faceswap_core.faces.detectors.record import Faces, no_faces
from faceswap_core.faces.geometry import ARCFACE_112, fit_similarity, similarity_matrix
from faceswap_core.types import F32, F64, U8

_OVERLAP = 0.4
"""Intersection over union above which SCRFD takes two boxes for one face."""
_COARSEST = 32
"""Stride of SCRFD's coarsest level, in pixels."""


class InsightDetector:
    """SCRFD in one pass; 106 points and identity for each face where the pack has networks for them."""

    name = "insightface"
    """Written into every detection."""

    def __init__(
        self, pack: str, *, min_score: float = 0.5, min_face: float = 0.0, side: int = 640, device: str = "cpu"
    ) -> None:
        """Load a pack.

        Args:
            pack: path of its folder, or its name in the model store.
            min_score: lowest score of a face that is kept.
            min_face: smallest face, by its longer side, as a share of the frame's height.
            side: frames are fitted into a square of this side, in pixels.
            device: ``cpu``, ``cuda``, or ``auto``: the GPU where ONNX Runtime can use one.

        Raises:
            ModelMissingError: the pack is missing, altered, or holds a file that cannot be loaded or no detector.
            EnvironmentFault: the GPU was asked for and cannot be used.
        """
        models = load_pack(pack, device)
        self._detector = models["detection"]
        self._landmarks = models.get("landmarks")
        self._recognition = models.get("recognition")
        self._min_face = min_face
        size_wh = (_COARSEST * max(1, round(side / _COARSEST)),) * 2
        self._detector.prepare(0, input_size=size_wh, det_thresh=min_score, nms_thresh=_OVERLAP)
        self._side = min(self._detector.input_size)  # the network's own where that is fixed

    def detect(self, image: U8, *, follows: bool = False) -> Faces:
        """Find the faces of one frame (H, W, 3) RGB, whatever came before it; best score first."""
        short, long = sorted(image.shape[:2])
        if short * self._side <= long:  # nothing would be left of it in the network's square
            return no_faces()
        bgr = np.ascontiguousarray(image[..., ::-1])
        found, points = self._detector.detect(bgr)
        large = (found[:, 2:4] - found[:, :2]).max(1, initial=0) >= self._min_face * image.shape[0]
        found, points = found[large], points[large]
        return Faces(
            boxes_xyxy=found[:, :4].astype(np.float32),
            scores=found[:, 4].astype(np.float32),
            points5=points.astype(np.float32),
            points_dense=dense_points(self._landmarks, bgr, found) if self._landmarks else None,
            embeddings=identities(self._recognition, bgr, points) if self._recognition else None,
        )


def dense_points(network: Any, bgr: U8, found: F32) -> F32:
    """Points (N, 106, 2) inside boxes (N, 4 or more), in px."""
    from insightface.app.common import Face

    points = [network.get(bgr, Face(bbox=box)) for box in found[:, :4]]
    return np.array(points, np.float32).reshape(-1, LANDMARKS, 2)


def identities(network: Any, bgr: U8, points: F32) -> F32:
    """Unit vectors (N, E) of the faces with five points (N, 5, 2); one after the other, as batches round otherwise."""
    side = int(network.input_size[0])
    vectors = np.zeros((len(points), int(network.output_shape[-1])), np.float32)
    for vector, five in zip(vectors, points, strict=True):
        matrix = similarity_matrix(fit_similarity(five.astype(np.float64), arcface_template(side)))
        vector[:] = network.get_feat(cv2.warpAffine(bgr, matrix, (side, side))).ravel()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def arcface_template(side: int) -> F64:
    """Where ArcFace expects the five points (5, 2) in a crop of ``side`` px, a multiple of 112 or of 128.

    Source: the alignment of the InsightFace library: crops of 128 px are those of 112 with 8 px more to each side.
    """
    template: F64 = ARCFACE_112 * (side / 112)
    if side % 112:
        template = (ARCFACE_112 + np.array([8.0, 0.0])) * (side / 128)
    return template
