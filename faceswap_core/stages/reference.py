"""a picture of a person -> the embedding by which the person is found among others."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceswap_core.config import DetectSettings
from faceswap_core.errors import MediaError
from faceswap_core.faces.detectors import DETECTORS
from faceswap_core.faces.identity import embed
from faceswap_core.threads import cap_threads
from faceswap_core.types import FileRef


def embed_reference(picture: FileRef, settings: DetectSettings, device: str = "auto") -> list[float]:
    """Identity of the largest face of a picture, of length 1.

    Args:
        picture: an image file, as OpenCV reads them.
        settings: the detector, the same that searches the videos: embeddings of two networks cannot be compared.
        device: where networks run, as ``runtime.device`` has it.

    Raises:
        MediaError: the file is no image.
        NoFaceError: no face was found in it.
        SettingsError: the detector gives no embeddings.
    """
    cap_threads(1)
    data = np.frombuffer(Path(picture["path"]).read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise MediaError(f"reference {picture['path']} is no image that can be read: give a PNG or JPEG file")
    return [float(x) for x in embed(DETECTORS[settings.backend](settings, device), np.asarray(image, np.uint8))]
