"""five points -> face mask: a hull drawn in template space and bent to the face's turn."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.faces.geometry import apply, template5
from faceswap_core.types import F64, U8

_CENTRE_BELOW_EYES = 0.42
_HALF_WIDTH = 1.0
_HALF_HEIGHT = 1.12
_SQUARENESS = 2.4
"""Exponent of the outline: 2 is an ellipse, more is squarer."""
_TURN_SHIFT = 0.45
"""Eye distances the outline moves against the nose for each eye distance the nose is off the middle."""


def outline(points: F64) -> F64:
    """Outline (64, 2) of the swapped region, in template units (eyes' distance 1, their centre 0).

    Args:
        points: (5, 2) points of the face in template units, after the similarity took out size and roll.

    From above the brows to the chin; narrower and shifted away from the nose where the head is turned.
    """
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / _SQUARENESS) * _HALF_WIDTH
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / _SQUARENESS) * _HALF_HEIGHT + _CENTRE_BELOW_EYES
    bent = apply(_affine(points), np.stack([x, y], axis=1))
    middle = (points[:2].mean(0) + points[3:].mean(0)) / 2
    bent[:, 0] -= _TURN_SHIFT * (points[2, 0] - middle[0])
    return bent


def _affine(points: F64) -> F64:
    """Affine (2, 3) that brings the template to the points, without the nose, which sticks out of the plane."""
    flat = [0, 1, 3, 4]
    source = np.hstack([template5()[flat], np.ones((4, 1))])
    solution, *_ = np.linalg.lstsq(source, points[flat], rcond=None)
    return np.ascontiguousarray(solution.T)


def face_mask(points: F64, template_to_chip: F64, size: int) -> U8:
    """Mask (size, size) 0..255 of one chip.

    Args:
        points: (5, 2) points of the face in template units.
        template_to_chip: (2, 3) template units -> chip px.
        size: side of the chip in pixels.
    """
    polygon = apply(template_to_chip, outline(points))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(polygon * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return mask
