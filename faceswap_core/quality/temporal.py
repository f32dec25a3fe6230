"""a finished video beside its plate -> numbers that judge it in motion. Time is the first axis.

Two baselines belong beside each: the untouched plate, and the ideal composite (the truth laid in by the same weights),
which shows what is the judge's own noise.
"""

from __future__ import annotations

from typing import NamedTuple

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


def root_mean_square(values: F64) -> float:
    """Of any shape; 0 of none."""
    return float(np.sqrt((values**2).mean())) if values.size else 0.0


def trembles(points: F64, reference: F64, face_size: float) -> F64:
    """How much points tremble in each frame (T - 2,) that should move like the reference's.

    Root mean square length of the second difference of ``points - reference``, so that true motion cancels.

    Args:
        points: (T, N, 2) px, found in the finished video.
        reference: (T, N, 2) px, found in the plate by the same detector.
        face_size: distance of the outer eye corners or of the eyes, px: the result is a share of it.
    """
    moved = second_differences(points - reference)
    result: F64 = np.sqrt((moved**2).sum(-1).mean(-1)) / face_size
    return result


def residual_jitter(points: F64, reference: F64, face_size: float) -> float:
    """Root mean square of `trembles` over all frames."""
    return root_mean_square(trembles(points, reference, face_size))


def without_noise(measured: float, noise: float) -> float:
    """A root mean square from which the judge's own, measured on the ideal composite, is taken off in squares."""
    return float(np.sqrt(max(measured**2 - noise**2, 0.0)))


def lab_apart(frame: U8, plate: U8, mask: F32) -> F64:
    """Mean face colour (3,) in CIE L*a*b* less that of the plate's.

    Args:
        frame: (H, W, 3) RGB.
        plate: (H, W, 3) RGB.
        mask: (H, W) 0..1.
    """
    return _mean_lab(frame, mask) - _mean_lab(plate, mask)


def _mean_lab(rgb: U8, mask: F32) -> F64:
    lab = cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    mean: F64 = np.einsum("hwc,hw->c", lab, mask, dtype=np.float64) / max(float(mask.sum()), 1e-9)
    return mean


def flickers(apart: F64) -> F64:
    """Length (T - 2,) of the second difference of `lab_apart` (T, 3): colour that changes as the plate's does not."""
    result: F64 = np.sqrt((second_differences(apart) ** 2).sum(-1))
    return result


def flicker(frames: U8, plate: U8, masks: F32) -> float:
    """Root mean square of `flickers` of videos (T, H, W, 3) RGB under masks (T, H, W) 0..1."""
    pairs = zip(frames, plate, masks, strict=True)
    return root_mean_square(flickers(np.array([lab_apart(*three) for three in pairs])))


class Motion(NamedTuple):
    """The plate's way from one frame to the next."""

    places: F32
    """(H, W, 2) px: where each pixel lay in the frame before."""
    sure: F32
    """(H, W), 1 where forward and backward flow agree, else 0."""


def motion_between(before: U8, now: U8) -> Motion:
    """Motion between two frames (H, W, 3) RGB of the plate, by dense inverse search (Kroeger et al. 2016)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = search.calc(grey[1], grey[0], None)  # type: ignore[call-overload]
    ahead = search.calc(grey[0], grey[1], None)  # type: ignore[call-overload]
    height, width = grey[0].shape
    axes = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = np.stack(axes, axis=-1) + back
    forth = cv2.remap(ahead, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    most = _TRUSTED * ((forth**2).sum(-1) + (back**2).sum(-1)) + _ALLOWED
    return Motion(np.asarray(places, np.float32), (((forth + back) ** 2).sum(-1) < most).astype(np.float32))


def warping_error(before: U8, now: U8, motion: Motion, mask: F32) -> float | None:
    """Mean squared difference, of 1, of a frame to the one before carried along (Lai et al. 2018).

    Inside the mask and where the motion is sure; None where that is nowhere. A blur lowers it: judge it together with
    `metrics.sharpness`, and beside that of the plate along the same motion.

    Args:
        before: (H, W, 3) RGB.
        now: (H, W, 3) RGB.
        motion: of the plate between the same frames.
        mask: (H, W) 0..1.
    """
    weight = mask * motion.sure
    total = float(weight.sum())
    if total <= 0:
        return None
    x, y = motion.places[..., 0], motion.places[..., 1]
    carried = cv2.remap(before.astype(np.float32), x, y, cv2.INTER_LINEAR)
    square = (((now - carried) / 255) ** 2).mean(-1)
    return float((square * weight).sum()) / total


def warping_errors(frames: U8, plate: U8, masks: F32) -> tuple[float, float]:
    """Mean `warping_error` of a finished video and of its plate, (T, H, W, 3) RGB, under masks (T, H, W) 0..1."""
    found = []
    for t in range(1, len(frames)):
        motion = motion_between(plate[t - 1], plate[t])
        pair = [warping_error(video[t - 1], video[t], motion, masks[t]) for video in (frames, plate)]
        if None not in pair:
            found.append(pair)
    made, source = np.mean(np.array(found, np.float64), axis=0) if found else (0.0, 0.0)
    return float(made), float(source)


def correlation(one: F64, other: F64) -> float | None:
    """Pearson's correlation over time of two series (T,); None where either does not move."""
    if len(one) < 3 or one.std() < 1e-9 or other.std() < 1e-9:
        return None
    return float(np.corrcoef(one, other)[0, 1])
