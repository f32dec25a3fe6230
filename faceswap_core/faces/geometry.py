"""points -> transforms: the five-point template, the similarity that fits it, and how matrices combine.

Convention: points are (x, y) in pixels, the centre of the top left pixel at (0, 0). A matrix is 2x3 and maps
column vectors, ``p' = M[:, :2] @ p + M[:, 2]``. A similarity is four numbers (a, b, x, y):
``p' = [[a, -b], [b, a]] @ p + (x, y)``.
"""

from __future__ import annotations

import numpy as np

from faceswap_core.types import F64

ARCFACE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eyes, nose and mouth corners (5, 2) in the crop of 112 px that ArcFace is trained on (Deng et al. 2019)."""


def template5() -> F64:
    """Mean positions of eyes, nose and mouth corners; the eyes' distance is 1, their centre (0, 0).

    Shape (5, 2). Source: the five points that ArcFace aligns to (Deng et al. 2019).
    """
    centre = ARCFACE_112[:2].mean(0)
    points: F64 = (ARCFACE_112 - centre) / np.linalg.norm(ARCFACE_112[1] - ARCFACE_112[0])
    return points


FACE_CENTRE_BELOW_EYES = 0.45
"""Distance of the view's centre below the eyes' centre, in eye distances: halfway from above the brows to the chin."""


def fit_similarity(source: F64, target: F64) -> F64:
    """Least-squares similarity source -> target, never a reflection.

    Args:
        source: (N, 2) points, not all equal.
        target: (N, 2) points.

    Returns:
        (4,) a, b, x, y.

    Source: Umeyama 1991, in closed form for the plane with complex numbers.
    """
    centre_s, centre_t = source.mean(0), target.mean(0)
    s = (source - centre_s) @ np.array([1, 1j])
    t = (target - centre_t) @ np.array([1, 1j])
    k = np.vdot(s, t) / max(np.vdot(s, s).real, 1e-12)
    a, b = k.real, k.imag
    shift = centre_t - np.array([a * centre_s[0] - b * centre_s[1], b * centre_s[0] + a * centre_s[1]])
    return np.array([a, b, shift[0], shift[1]])


def similarity_matrix(similarity: F64) -> F64:
    """(4,) a, b, x, y -> (2, 3) matrix of the same direction."""
    a, b, x, y = (float(v) for v in similarity)
    return np.array([[a, -b, x], [b, a, y]])


def invert(matrix: F64) -> F64:
    """(2, 3) -> (2, 3) matrix of the opposite direction."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack([linear, -linear @ matrix[:, 2:]])


def compose(second: F64, first: F64) -> F64:
    """Matrix that applies ``first``, then ``second``; all (2, 3)."""
    return np.hstack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2:] + second[:, 2:]])


def apply(matrix: F64, points: F64) -> F64:
    """(2, 3) matrix on (N, 2) points -> (N, 2)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def template_to_chip(size: int, eye_distance: float, coverage: float) -> F64:
    """Matrix (2, 3): template units (eyes' distance 1, their centre 0) -> chip px.

    Args:
        size: side of the chip in pixels.
        eye_distance: distance of the eyes as a share of the view's side.
        coverage: side of the view, the chip's inner square, as a share of the chip's side.
    """
    scale = eye_distance * coverage * size
    centre = (size - 1) / 2
    return np.array([[scale, 0, centre], [0, scale, centre - FACE_CENTRE_BELOW_EYES * scale]])


def chip_to_view(size: int, coverage: float, resolution: int) -> F64:
    """Matrix (2, 3): chip px -> px of the network's view, both by pixel centres.

    Args:
        size: side of the chip in pixels.
        coverage: side of the view as a share of the chip's side.
        resolution: side of the view in its own pixels.
    """
    scale = resolution / (coverage * size)
    shift = (resolution - 1) / 2 - scale * (size - 1) / 2
    return np.array([[scale, 0, shift], [0, scale, shift]])


def head_pose(points5: F64) -> F64:
    """Rough yaw, pitch, roll in degrees from (5, 2) points.

    Roll is the slope of the eyes. Yaw and pitch come from the nose's place between eyes and mouth, which
    moves with the turn of the head about as the sine; positive yaw: the face looks to the image's right.
    """
    eyes, mouth = points5[:2].mean(0), points5[3:].mean(0)
    across = points5[1] - points5[0]
    roll = np.arctan2(across[1], across[0])
    turn = np.array([[np.cos(-roll), -np.sin(-roll)], [np.sin(-roll), np.cos(-roll)]])
    nose, chin = turn @ (points5[2] - eyes), turn @ (mouth - eyes)
    width, height = max(float(np.hypot(*across)), 1e-6), max(float(np.hypot(*chin)), 1e-6)
    yaw = np.arcsin(np.clip((nose[0] - chin[0] / 2) / width / 0.6, -1, 1))
    pitch = np.arcsin(np.clip((0.49 - nose[1] / height) / 0.6, -1, 1))
    angles: F64 = np.degrees(np.array([yaw, pitch, roll]))
    return angles
