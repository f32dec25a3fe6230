"""468 mesh points -> the face's oval, its features, how its head is turned, and where its chip lies.

The points are those of MediaPipe's face mesh (Kartynnik et al. 2019), (468, 2) px; left and right are the image's.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from faceswap_core.faces.geometry import fit_similarity, template5
from faceswap_core.faces.mesh import POINTS, five_of_mesh
from faceswap_core.types import F64

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
        152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
"""Outline of the face from the middle of the forehead over the image's right to the chin and back."""
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
LEFT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
RIGHT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
EYES = (LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW)
"""Outlines of eyes and brows."""

_RIGID = {
    33: (-4.446, 2.664, 3.173), 133: (-1.856, 2.585, 3.758), 159: (-3.177, 2.964, 3.877), 145: (-3.177, 2.294, 3.776),
    263: (4.446, 2.664, 3.173), 362: (1.856, 2.585, 3.758), 386: (3.177, 2.964, 3.877), 374: (3.177, 2.294, 3.776),
    168: (0.0, 3.271, 5.236), 6: (0.0, 2.473, 5.789), 197: (0.0, 1.728, 6.317), 195: (0.0, 1.059, 6.775),
    4: (0.0, -0.463, 7.587), 98: (-1.406, -1.714, 5.241), 327: (1.406, -1.714, 5.241), 2: (0.0, -2.089, 6.058),
    61: (-2.456, -4.343, 4.284), 291: (2.456, -4.343, 4.284), 151: (0.0, 6.545, 5.027), 9: (0.0, 4.886, 5.385),
    50: (-4.766, -0.702, 3.535), 280: (4.766, -0.702, 3.535), 127: (-7.743, 2.365, -2.005), 356: (7.743, 2.365, -2.005),
}  # fmt: skip
"""Points that move little with the expression: right, up and towards the viewer, in cm. Source: the vertices of
MediaPipe's canonical face model (Apache-2.0)."""
_NUMBERS = list(_RIGID)
_MODEL = np.array(list(_RIGID.values())) * [1, -1, 1]  # y down, as in pictures


def _rigid_template() -> F64:
    """The rigid points (K, 2) of a face seen from the front, in units of the five-point template."""
    mesh = np.zeros((POINTS, 2))
    mesh[_NUMBERS] = _MODEL[:, :2]
    a, b, x, y = fit_similarity(five_of_mesh(mesh), template5())
    turn = np.array([[a, -b], [b, a]])
    placed: F64 = _MODEL[:, :2] @ turn.T + [x, y]
    return placed


RIGID_TEMPLATE = _rigid_template()


def is_mesh(points: F64 | None) -> TypeGuard[F64]:
    """True for points of a mesh; others are of another detector, and not used as dense ones."""
    return points is not None and len(points) == POINTS


def fit_dense(points: F64) -> F64:
    """Similarity (4,) template units -> px that lays the rigid points of the template on those of (468, 2) points."""
    return fit_similarity(RIGID_TEMPLATE, points[_NUMBERS])


def dense_pose(points: F64) -> F64:
    """Yaw, pitch, roll in degrees from (468, 2) points.

    The rigid points of the model are laid on the picture's by least squares as a camera far away sees them (DeMenthon
    and Davis 1995, first step), and the nearest rotation is taken. Signs as in `geometry.head_pose`.
    """
    model = _MODEL - _MODEL.mean(0)
    seen = points[_NUMBERS] - points[_NUMBERS].mean(0)
    rows, *_ = np.linalg.lstsq(model, seen, rcond=None)  # (3, 2)
    u, _, vt = np.linalg.svd(rows.T, full_matrices=False)
    across, down = u @ vt  # two orthonormal rows of the rotation: where model x, y, z go in the picture
    forward = np.cross(across, down)
    roll = np.arctan2(down[0], across[0])
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    looks_x, looks_y = turn @ [across[2], down[2]]  # where the nose points in the picture
    angles: F64 = np.degrees([np.arctan2(looks_x, forward[2]), np.arcsin(np.clip(-looks_y, -1, 1)), roll])
    return angles


def openness(points: F64) -> tuple[float, float]:
    """How far eyes and mouth are open: their height by their width, (468, 2) points."""

    def gap(low: int, high: int, left: int, right: int) -> float:
        width = float(np.linalg.norm(points[right] - points[left]))
        return float(np.linalg.norm(points[low] - points[high])) / max(width, 1e-6)

    eyes = (gap(145, 159, 33, 133) + gap(374, 386, 362, 263)) / 2
    return eyes, gap(14, 13, 78, 308)
