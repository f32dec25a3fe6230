"""a finished video beside its plate -> numbers that judge it in motion. Time is the first axis.

Two baselines belong beside each: the untouched plate, and the ideal composite (the truth laid in by the same masks
and matrices), which shows what is the judge's own noise.
"""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32, F64, U8

_TRUSTED = 0.01
"""Share of the squared motion by which forward and backward flow may disagree (Lai et al. 2018)."""
_ALLOWED = 0.5
"""Squared px by which they may disagree besides."""


def second_differences(series: F64) -> F64:
    """Second difference over time (T - 2, ...) of (T, ...)."""
    result: F64 = series[2:] - 2 * series[1:-1] + series[:-2]
    return result


def residual_jitter(points: F64, reference: F64, face_size: float) -> float:
    """How much points tremble that should move like the reference's.

    Root mean square length of the second difference of ``points - reference``, so that true motion cancels.

    Args:
        points: (T, N, 2) px, found in the finished video.
        reference: (T, N, 2) px, found in the plate by the same detector.
        face_size: distance of the outer eye corners or of the eyes, px: the result is a share of it.
    """
    moved = second_differences(points - reference)
    return float(np.sqrt((moved**2).sum(-1).mean()) / face_size) if len(moved) else 0.0


def without_noise(measured: float, noise: float) -> float:
    """A root mean square from which the judge's own, measured on the ideal composite, is taken off in squares."""
    return float(np.sqrt(max(measured**2 - noise**2, 0.0)))


def flicker(frames: U8, plate: U8, masks: F32) -> float:
    """Root mean square second difference of the mean face colour, CIE L*a*b*, against the plate's.

    Args:
        frames: (T, H, W, 3) RGB.
        plate: (T, H, W, 3) RGB.
        masks: (T, H, W) 0..1.
    """
    pairs = zip(frames, plate, masks, strict=True)
    apart = np.array([_mean_lab(frame, mask) - _mean_lab(source, mask) for frame, source, mask in pairs])
    moved = second_differences(apart)
    return float(np.sqrt((moved**2).sum(-1).mean())) if len(moved) else 0.0


def _mean_lab(rgb: U8, mask: F32) -> F64:
    lab = cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB).astype(np.float64)
    mean: F64 = (lab * mask[..., None]).sum((0, 1)) / max(float(mask.sum()), 1e-9)
    return mean


def warping_errors(frames: U8, plate: U8, masks: F32) -> tuple[float, float]:
    """Warping error of the finished video and of its plate, both along the plate's own flow (Lai et al. 2018).

    Mean squared difference, of 1, of each frame to the one before carried along, inside the mask and where forward
    and backward flow agree. A blur lowers it: judge it together with `sharpness`.

    Args:
        frames: (T, H, W, 3) RGB.
        plate: (T, H, W, 3) RGB.
        masks: (T, H, W) 0..1.
    """
    found = []
    for t in range(1, len(frames)):
        back, sure = _flow_back(plate[t - 1], plate[t])
        weight = masks[t] * sure
        if weight.sum() > 0:
            pairs = ((video[t], video[t - 1]) for video in (frames, plate))
            found.append([_difference(now, before, back, weight) for now, before in pairs])
    made, source = np.mean(found, axis=0) if found else (0.0, 0.0)
    return float(made), float(source)


def _difference(now: U8, before: U8, places: F32, weight: F32) -> float:
    carried = cv2.remap(before.astype(np.float32), places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    square = (((now - carried) / 255) ** 2).mean(-1)
    return float((square * weight).sum() / weight.sum())


def _flow_back(before: U8, now: U8) -> tuple[F32, F32]:
    """Where each pixel of a frame lay in the one before (H, W, 2) px, and 1 where that is sure (H, W)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = search.calc(grey[1], grey[0], None)  # type: ignore[call-overload]
    ahead = search.calc(grey[0], grey[1], None)  # type: ignore[call-overload]
    height, width = grey[0].shape
    axes = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = np.stack(axes, axis=-1) + back
    forth = cv2.remap(ahead, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    most = _TRUSTED * ((forth**2).sum(-1) + (back**2).sum(-1)) + _ALLOWED
    return np.asarray(places, np.float32), (((forth + back) ** 2).sum(-1) < most).astype(np.float32)
