"""points and similarities of a track -> the same without jitter and without lag; how much jitter there is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from faceswap_core.faces.geometry import fit_similarity, template5
from faceswap_core.faces.tracks import Track
from faceswap_core.types import F64, I64, Bool

INTERPOLATED_WEIGHT = 0.02
"""What an interpolated face counts beside a detected one of score 1."""
_NOISE_OF_SECOND_DIFFERENCE = np.sqrt(6.0)
"""Spread of x[t-1] - 2 x[t] + x[t+1] for noise of spread 1."""
_SPREAD_OF_MEDIAN = 1.4826
"""Standard deviation of a normal distribution over its median absolute value."""


@dataclass(frozen=True)
class Steadied:
    """What a track is pasted and masked by."""

    points5: F64
    """(N, 5, 2) px."""
    similarities: F64
    """(N, 4) a, b, x, y: template -> frame px."""


def steady(track: Track, *, points_radius: int, similarity_radius: int) -> Steadied:
    """Smooth the points of a track and, apart from them, its position, scale and rotation.

    The similarity is fitted to the points as detected. It is the face's place on the screen, where the eye sees a
    thousandth of a face; the points also follow expressions, and draw the masks. Frames count by their score,
    interpolated ones next to nothing. No frame beyond an unfilled gap counts.
    """
    weights = np.where(track.interpolated, INTERPOLATED_WEIGHT, np.maximum(track.scores, INTERPOLATED_WEIGHT))
    placed = _placed(track.points5_raw)
    flat = track.points5_raw.reshape(len(track), -1)
    points, places = np.empty_like(flat), np.empty_like(placed)
    for run in runs(track.frame_index):
        points[run] = smooth_series(flat[run], points_radius, weights[run])
        places[run] = smooth_series(placed[run], similarity_radius, weights[run])
    return Steadied(points.reshape(-1, 5, 2), _similarities(places))


def runs(frame_index: I64) -> list[slice]:
    """The stretches of consecutive frames of a track, in order."""
    ends = np.flatnonzero(np.diff(frame_index) != 1) + 1
    edges = [0, *ends.tolist(), len(frame_index)]
    return [slice(first, last) for first, last in pairwise(edges) if last > first]


def _placed(points5: F64) -> F64:
    """(N, 5, 2) -> (N, 4): x, y of the template's middle, log of the scale, angle in radians without jumps."""
    template = template5()
    fits = np.array([fit_similarity(template, p) for p in points5])
    scale = fits[:, 0] + 1j * fits[:, 1]
    middle = (fits[:, 2] + 1j * fits[:, 3]) + scale * complex(*template.mean(0))
    angle = np.unwrap(np.angle(scale))
    return np.stack([middle.real, middle.imag, np.log(np.maximum(np.abs(scale), 1e-9)), angle], axis=1)


def _similarities(placed: F64) -> F64:
    """The inverse of `_placed`: (N, 4) -> (N, 4) a, b, x, y."""
    scale = np.exp(placed[:, 2] + 1j * placed[:, 3])
    shift = (placed[:, 0] + 1j * placed[:, 1]) - scale * complex(*template5().mean(0))
    return np.stack([scale.real, scale.imag, shift.real, shift.imag], axis=1)


def smooth_series(values: F64, radius: int, weights: F64 | None = None) -> F64:
    """Local parabola under Hann weights over ``radius`` samples to each side, read at its middle.

    Zero phase and of finite support. A parabola, not a mean, so that turning points keep their height and the ends
    of a series follow its motion (Savitzky and Golay 1964, with a window without edges). Steady and steadily
    accelerated motion pass unchanged; a radius of 1 leaves all but the ends as they are.

    Args:
        values: (N, C) evenly spaced samples.
        radius: reach to each side; 0 returns the values.
        weights: (N,) above 0, what each sample counts; all the same by default.
    """
    count = len(values)
    if radius == 0 or count < 3:
        return values
    weights = np.ones(count) if weights is None else weights
    t = np.arange(-radius, radius + 1)
    reach = np.arange(count)[:, None] + t
    inside = (reach >= 0) & (reach < count)
    reach = reach.clip(0, count - 1)
    hann = 0.5 + 0.5 * np.cos(np.pi * t / (radius + 1))
    kernel = _parabola_at_zero(t, np.where(inside, hann * weights[reach], 0.0))
    out = np.zeros_like(values)
    for column, index in zip(kernel.T, reach.T, strict=True):
        out += column[:, None] * values[index]
    return out


def _parabola_at_zero(t: I64, weight: F64) -> F64:
    """Coefficients (N, T) that give the value at t = 0 of the parabola fitted under weights (N, T)."""
    powers = np.vander(t / np.abs(t).max(), 3, increasing=True)  # (T, 3)
    normal = np.einsum("nt,td,te->nde", weight, powers, powers)
    first = np.linalg.pinv(normal, hermitian=True)[:, 0]  # (N, 3); singular where fewer than three samples count
    result: F64 = weight * (first @ powers.T)
    return result


def jitter(points5: F64, frame_index: I64, measured: Bool) -> float | None:
    """Noise of the points as a share of the eyes' distance: robust spread of their second difference.

    Over the calmer half of the frames, by the points' speed, so that motion is not taken for noise; equals the
    standard deviation of each coordinate where the noise of frames is independent.

    Args:
        points5: (N, 5, 2) px.
        frame_index: (N,) rising.
        measured: (N,) False for frames that do not count, such as interpolated ones.

    Returns:
        The share, None where no three frames in a row count.
    """
    in_a_row = frame_index[2:] - frame_index[:-2] == 2
    triples = np.flatnonzero(in_a_row & measured[:-2] & measured[1:-1] & measured[2:])
    if not len(triples):
        return None
    before, now, after = (points5[triples + i] for i in range(3))
    eyes = float(np.median(np.linalg.norm(now[:, 1] - now[:, 0], axis=-1)))
    speed = np.linalg.norm(after - before, axis=-1).mean(1)
    second = np.abs(before - 2 * now + after)[speed <= np.median(speed)]
    return float(_SPREAD_OF_MEDIAN * np.median(second) / _NOISE_OF_SECOND_DIFFERENCE / max(eyes, 1e-6))
