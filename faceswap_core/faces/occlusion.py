"""views + what their own decoder makes of them -> where nothing stands before the face."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32

_SMOOTH = 2.0 / 64
"""Reach of the smoothing, as a share of the view's side: what differs by its noise or its edges alone counts little."""


def unobstructed(views: F32, again: F32, threshold: float) -> F32:
    """How freely each pixel of a face is seen, (N, R, R) 1 free .. 0 hidden.

    The decoder of the person in the view draws no hand and no microphone: it never learned any. Where its drawing
    misses the view by more than the threshold, something lies before the face; from half as much again it is hidden.

    Args:
        views: (N, R, R, 3) 0..255.
        again: (N, R, R, 3) 0..255, drawn of ``views``, the same person.
        threshold: difference, of 1.
    """
    missed = np.abs(views - again).max(-1) / np.float32(255)  # (N, R, R)
    smooth = np.empty_like(missed)
    for one, out in zip(missed, smooth, strict=True):
        cv2.GaussianBlur(one, (0, 0), _SMOOTH * views.shape[1], dst=out)
    over = np.clip((smooth - threshold) / (threshold / 2), 0, 1)
    return np.asarray(1 - over * over * (3 - 2 * over), np.float32)
