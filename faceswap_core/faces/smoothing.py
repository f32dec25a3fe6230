"""patches of neighbouring frames -> a steadier patch, in chip space."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32, U8


def smooth_patch(patches: U8, center: int, *, radius: int, strength: float, tolerance: float) -> U8:
    """Average a patch with its neighbours in time, pixel by pixel, where nothing moved.

    Each neighbour counts by its distance in time (Hann) and, pixel by pixel, by how little it differs from
    the centre after a blur (a bilateral filter over time; Tomasi and Manduchi 1998), so that a moving mouth or
    eyelid is not smeared. The filter's support is finite: ``radius`` frames to each side.

    Args:
        patches: (T, S, S, 4) RGBA of consecutive frames of one track and shot.
        center: index of the patch to steady.
        radius: reach in frames; entries of ``patches`` farther away are ignored.
        strength: 0 returns the patch, 1 counts neighbours fully.
        tolerance: difference, of 1, above which a pixel counts as moved.

    Returns:
        (S, S, 4) RGBA.
    """
    if strength == 0 or radius == 0:
        return np.array(patches[center])
    base = patches[center].astype(np.float32)
    blurred = _blur(base)
    total, weights = base.copy(), np.ones((*base.shape[:2], 1), np.float32)
    for t in range(max(0, center - radius), min(len(patches), center + radius + 1)):
        if t == center:
            continue
        other = patches[t].astype(np.float32)
        difference = np.abs(_blur(other) - blurred)[..., :3].max(-1, keepdims=True) / 255
        in_time = strength * (0.5 + 0.5 * np.cos(np.pi * (t - center) / (radius + 1)))
        weight = in_time * np.exp(-0.5 * (difference / tolerance) ** 2)
        total += weight * other
        weights += weight
    steady: U8 = np.clip(np.round(total / weights), 0, 255).astype(np.uint8)
    return steady


def _blur(image: F32) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.5, image.shape[0] / 64)), np.float32)
