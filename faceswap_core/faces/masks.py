"""points -> face mask and features: the mesh's oval where there is one, else a template bent to the five points."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from faceswap_core.config_align import MaskSettings
from faceswap_core.faces.dense import EYES, LIPS, OVAL, is_mesh
from faceswap_core.faces.geometry import apply, invert, template5
from faceswap_core.types import F32, F64, U8

_CENTRE_BELOW_EYES = 0.42
_HALF_WIDTH = 1.0
_HALF_HEIGHT = 1.12
_SQUARENESS = 2.4
"""Exponent of the outline: 2 is an ellipse, more is squarer."""
_TURN_SHIFT = 0.45
"""Eye distances the outline moves against the nose for each eye distance the nose is off the middle."""
_SPOT = 0.3
"""Reach of eyes and mouth without their outlines, in eye distances."""
_MARGIN, _SOFT = 0.08, 0.06
"""How far and how softly outlines of features reach beyond themselves, in eye distances."""


_FLAT = [0, 1, 3, 4]
_FROM_FLAT: F64 = np.linalg.pinv(np.hstack([template5()[_FLAT], np.ones((4, 1))]))


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
    return np.ascontiguousarray((_FROM_FLAT @ points[_FLAT]).T)


def face_mask(points5: F64, dense: F64 | None, to_chip: F64, size: int, settings: MaskSettings) -> U8:
    """Mask (size, size) 0..255 of one chip.

    Args:
        points5: (5, 2) points of the face in the chip.
        dense: (K, 2) points in the chip, used where they are a mesh of 468; None where there are none.
        to_chip: (2, 3) template units -> chip px.
        size: side of the chip in pixels.
        settings: hull, erosion of each side, feather.
    """
    if settings.hull == "auto" and is_mesh(dense):
        polygon = dense[list(OVAL)]
    else:
        polygon = apply(to_chip, outline(apply(invert(to_chip), points5)))
    unit = float(to_chip[0, 0])
    mask = _drawn_in(filled([polygon], size), settings, unit)
    return _softened(mask, settings.feather * unit / 2)


def feature_map(points5: F64, dense: F64 | None, to_chip: F64, size: int) -> U8:
    """Where eyes and mouth of one chip lie, (size, size, 3) 0..255: red eyes with their brows, green the mouth.

    Outlines where there is a mesh, else a soft spot on each. Arguments as for `face_mask`.
    """
    unit = float(to_chip[0, 0])
    features = np.zeros((size, size, 3), np.uint8)
    for channel, outlines, spots in ((0, EYES, points5[:2] - [0, 0.1 * unit]), (1, (LIPS,), points5[3:].mean(0)[None])):
        if is_mesh(dense):
            features[..., channel] = _grown(filled([dense[list(part)] for part in outlines], size), unit)
        else:
            features[..., channel] = _spots(spots, _SPOT * unit, size)
    return features


def _grown(mask: U8, unit: float) -> U8:
    margin = max(round(_MARGIN * unit), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return _softened(np.asarray(cv2.dilate(mask, kernel), np.uint8), _SOFT * unit)


def _spots(places: F64, reach: float, size: int) -> U8:
    axis = np.arange(size)
    near_x, near_y = (np.exp(-0.5 * ((axis - places[:, i, None]) / reach) ** 2) for i in (0, 1))
    weight: F64 = (near_y[:, :, None] * near_x[:, None, :]).max(0)  # (K, S, S) -> (S, S)
    return np.round(255 * weight).astype(np.uint8)


def filled(polygons: Sequence[F64], size: int) -> U8:
    """Union of polygons (N, 2) px as a mask (size, size) 0..255, its edge soft to less than a pixel."""
    mask = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(polygon * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return mask


def _drawn_in(mask: U8, settings: MaskSettings, unit: float) -> U8:
    """The mask without a strip at each side, or with one more where the side is negative."""
    sides = np.array([settings.erode_left, settings.erode_top, settings.erode_right, settings.erode_bottom])
    less = np.round(np.maximum(sides, 0) * unit).astype(int).tolist()
    more = np.round(np.maximum(-sides, 0) * unit).astype(int).tolist()
    if any(less):
        left, top, right, bottom = less
        kernel = np.ones((top + bottom + 1, left + right + 1), np.uint8)
        mask = np.asarray(cv2.erode(mask, kernel, anchor=(left, top), borderValue=0), np.uint8)
    if any(more):
        left, top, right, bottom = more
        kernel = np.ones((top + bottom + 1, left + right + 1), np.uint8)
        mask = np.asarray(cv2.dilate(mask, kernel, anchor=(right, bottom)), np.uint8)
    return mask


def _softened(mask: U8, deviation: float) -> U8:
    if deviation < 0.3:
        return mask
    soft: F32 = cv2.GaussianBlur(mask, (0, 0), deviation)  # type: ignore[assignment]
    return np.asarray(soft, np.uint8)
