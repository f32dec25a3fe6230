"""frames -> boxes and five points: YuNet in OpenCV, from an ONNX file that the user names.

Source: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceswap_core.errors import ModelMissingError
from faceswap_core.faces.detectors.record import Faces, no_faces
from faceswap_core.onnxfile import read_onnx
from faceswap_core.types import F32, U8

_OVERLAP = 0.3
"""Intersection over union above which two boxes are taken for one face."""
_CANDIDATES = 5000
"""Boxes looked at before those that overlap are dropped."""


class YunetDetector:
    """One small network for faces of all sizes; it also finds faces turned by any angle."""

    name = "yunet"
    """Written into every detection."""

    def __init__(self, model_file: Path, *, min_score: float = 0.5, min_face: float = 0.0, max_side: int = 640) -> None:
        """Load the network.

        Args:
            model_file: ONNX file of YuNet, as OpenCV's model zoo has it.
            min_score: lowest score of a face that is kept.
            min_face: smallest face, by its longer side, as a share of the frame's height.
            max_side: longer side, in pixels, to which a larger frame is reduced for the search.

        Raises:
            ModelMissingError: OpenCV cannot load the file as YuNet, or it names other files.
        """
        read_onnx(model_file, remedy="it is damaged or no network; fetch it again")
        heard = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of an option not given
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(model_file), "", (32, 32), score_threshold=min_score, nms_threshold=_OVERLAP, top_k=_CANDIDATES
            )
            self._network.detect(np.zeros((32, 32, 3), np.uint8))
        except cv2.error as error:
            raise ModelMissingError(
                f"detect.model_file {model_file} cannot be loaded as YuNet ({error.err}): it is damaged or another "
                "network; fetch it again"
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(heard)
        self._min_face, self._max_side = min_face, max_side

    def detect(self, image: U8, *, follows: bool = False) -> Faces:
        """Find the faces of one frame (H, W, 3) RGB, whatever came before it; best score first."""
        if not image.size:
            return no_faces()
        height, width = image.shape[:2]
        scale = min(1.0, self._max_side / max(height, width))
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA) if scale < 1 else image
        self._network.setInputSize(size_wh)
        _, rows = self._network.detect(cv2.cvtColor(np.asarray(small), cv2.COLOR_RGB2BGR))
        if rows is None:
            return no_faces()
        return self._in_frame(np.asarray(rows, np.float32), np.array([width / size_wh[0], height / size_wh[1]]), height)

    def _in_frame(self, rows: F32, factor: F32, height: int) -> Faces:
        """Rows (N, 15) of x, y, w, h, five points and score, in px of the reduced frame -> faces of the frame."""
        corners = np.stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1)
        places = (np.concatenate([corners, rows[:, 4:14].reshape(-1, 5, 2)], 1) + 0.5) * factor - 0.5  # (N, 7, 2)
        large = (places[:, 1] - places[:, 0]).max(1) >= self._min_face * height
        order = np.flatnonzero(large)[np.argsort(-rows[large, 14], kind="stable")]
        return Faces(
            boxes_xyxy=places[order, :2].reshape(-1, 4).astype(np.float32),
            scores=rows[order, 14],
            points5=places[order, 2:].astype(np.float32),
        )
