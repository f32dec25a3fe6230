"""masks of a patch -> how far it covers the frame: masks combined, drawn in, their edge softened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from faceswap_core.types import F32, U8

MaskSource = Literal["either", "learned", "plate", "both"]


@dataclass(frozen=True)
class Edge:
    """Shape of a patch's edge; all as shares of its side."""

    feather: float
    """Width of the soft edge."""
    erode: float
    """How far the mask is drawn in on all sides."""
    top: float = 0.0
    """How much farther at the top."""
    bottom: float = 0.0
    """How much farther at the bottom."""
    left: float = 0.0
    """How much farther at the left."""
    right: float = 0.0
    """How much farther at the right."""


def combined(learned: U8, plate: U8 | None, source: MaskSource) -> U8:
    """The mask that is used, (S, S) 0..255.

    Args:
        learned: what the network drew as its face.
        plate: where the plate shows a face that may be replaced (hull without what covers it); None: not known.
        source: ``either`` is the larger of both at each pixel, ``both`` the smaller.

    Raises:
        ValueError: the plate's mask is asked for and not known.
    """
    if source == "learned":
        return learned
    if plate is None:
        raise ValueError(f"blend.mask is {source!r}, but the patch came without the plate's mask: use 'learned'")
    if source == "plate":
        return plate
    return np.maximum(learned, plate) if source == "either" else np.minimum(learned, plate)


def drawn_in(mask: U8, edge: Edge) -> U8:
    """Erode a mask (S, S) on single sides: by ``edge.top`` from above, and so on."""
    side = mask.shape[0]
    top, bottom, left, right = (round(share * side) for share in (edge.top, edge.bottom, edge.left, edge.right))
    if not any((top, bottom, left, right)):
        return mask
    padded = np.pad(mask, 1)  # beyond the patch there is no face
    for before, after, shape in ((top, bottom, (-1, 1)), (left, right, (1, -1))):
        if before or after:
            line = np.ones(before + after + 1, np.uint8).reshape(shape)
            anchor = (0, before) if shape == (-1, 1) else (before, 0)
            padded = np.asarray(cv2.erode(padded, line, anchor=anchor, borderValue=0), np.uint8)
    return padded[1:-1, 1:-1]


def soft(mask: U8, edge: Edge) -> F32:
    """Mask (S, S) 0..255 -> weight 0..1 that falls to 0 over the feather and at the patch's border."""
    side = mask.shape[0]
    inside = np.zeros((side + 2, side + 2), np.uint8)
    inside[1:-1, 1:-1] = drawn_in(mask, edge) >= 128
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    width = max(edge.feather * side, 1.0)
    t = np.clip((distance - 1 - edge.erode * side) / width, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def hard(mask: U8, edge: Edge) -> F32:
    """Mask -> 0 or 1, drawn in and not softened."""
    return (soft(mask, Edge(0, edge.erode, edge.top, edge.bottom, edge.left, edge.right)) > 0).astype(np.float32)


def as_drawn(mask: U8, edge: Edge) -> F32:
    """Mask -> weight 0..1 as the network drew it, where the drawn-in mask allows it."""
    return np.asarray(mask * hard(mask, edge) / np.float32(255), np.float32)
