"""a picture -> who is on it: the embedding of its largest face."""

from __future__ import annotations

import numpy as np

from faceswap_core.errors import NoFaceError, SettingsError
from faceswap_core.faces.detectors.record import Detector
from faceswap_core.types import F32, U8


def embed(detector: Detector, image: U8) -> F32:
    """Identity (E,) of the largest face of a picture (H, W, 3) RGB, of length 1.

    Two of them multiplied give the cosine of their angle: near 1 for one person, near 0 for two.

    Raises:
        SettingsError: the detector knows no identities.
        NoFaceError: no face was found.
    """
    faces = detector.detect(image)
    if not len(faces):
        raise NoFaceError(
            f"no face was found in the picture of {image.shape[1]}x{image.shape[0]} px: give a clearer one"
        )
    if faces.embeddings is None:
        raise SettingsError(
            f"detect.backend {detector.name!r} cannot tell people apart by a picture: set it to 'insightface', with a "
            "pack that has a network for identities"
        )
    sides = faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]
    largest: F32 = faces.embeddings[int(np.argmax(sides.prod(axis=1)))]
    return largest
