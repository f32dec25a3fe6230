"""Curves of lids, brows and mouth, and the 68 landmarks, on the sphere of directions (azimuth, elevation).

The painter and the landmarks call the same curves, so that a landmark lies on what is drawn by construction.
"""

import numpy as np
import numpy.typing as npt

from faceswap_core.synth.controls import Expression
from faceswap_core.synth.identity import Identity, InnerFace

F64 = npt.NDArray[np.float64]
Array = npt.NDArray[np.floating]

BROW_HALF_WIDTH = 0.185  # radians
JAW_DROP = 0.22  # radians that the chin moves at jaw = 1
MOUTH_OPENING = 0.27  # radians between the lips at jaw = 1


def soft_step(x: Array, width: float) -> Array:
    """Rise smoothly from 0 to 1 while x goes from -width/2 to +width/2."""
    t = np.clip(x * (1.0 / width) + 0.5, 0.0, 1.0)
    step: Array = t * t * (3.0 - 2.0 * t)
    return step


def eyelids(inner: InnerFace, blink: float, t: Array) -> tuple[Array, Array]:
    """Return upper and lower lid as elevations over the eye centre.

    `t` runs along the eye: -1 inner corner, +1 outer corner; it must lie in [-1, 1].
    """
    arc = np.clip(1.0 - t * t, 0.0, 1.0) ** inner.eye_roundness
    base = t * (inner.eye_tilt * inner.eye_width * 0.6)
    lower = base - 0.55 * inner.eye_height * arc
    upper = base + inner.eye_height * arc * (1.0 - 1.55 * blink) * (1.0 - 0.12 * t)
    return np.maximum(upper, lower), lower


def brow_line(inner: InnerFace, expression: Expression, t: Array) -> Array:
    """Return the brow's middle line over the eye centre; t = -1 inner end, +1 outer end."""
    rise = inner.brow_y + 0.06 * expression.brow
    arch = 0.05 * inner.brow_arch * (1.0 - (t - 0.25) ** 2)
    line: Array = rise + arch - inner.brow_tilt * 0.10 * t - 0.02 * t * t
    return line


def mouth_half_width(inner: InnerFace, expression: Expression) -> float:
    """Return the half width of the mouth in radians of azimuth."""
    change = 0.22 * expression.smile - 0.30 * expression.pucker - 0.10 * expression.jaw
    return inner.mouth_width * (1.0 + change)


def mouth_curves(inner: InnerFace, expression: Expression, t: Array) -> tuple[Array, Array, Array, Array]:
    """Return outer upper, inner upper, inner lower, outer lower lip line as elevations over `mouth_y`.

    `t` runs from -1 (corner at image left) to +1.
    """
    side = np.clip(np.abs(t), 0.0, 1.0)
    arc = np.sqrt(1.0 - side * side)
    fullness = 1.0 - 0.30 * expression.smile + 0.40 * expression.pucker
    middle = 0.075 * expression.smile * side * side - 0.014 * (1.0 - side)
    opening = (expression.jaw * MOUTH_OPENING) * arc
    cupid = 1.0 - 0.20 * np.exp(-((t / 0.13) ** 2)) + 0.12 * np.exp(-(((side - 0.27) / 0.16) ** 2))
    upper = middle + opening * 0.1
    lower = middle - opening * 0.9
    return (
        upper + inner.lip_upper * fullness * arc * cupid,
        upper,
        lower,
        lower - inner.lip_lower * fullness * arc**1.25,
    )


def jaw_shift(inner: InnerFace, jaw: float, azimuth: Array, elevation: Array) -> Array:
    """Return how far (radians, up) the skin seen at this direction lay at rest above it: 0 over the mouth."""
    low = np.clip((inner.mouth_y - elevation) / 0.5, 0.0, 1.0)
    front = soft_step(1.25 - np.abs(azimuth), 1.0)
    shift: Array = (JAW_DROP * jaw) * low * low * (3.0 - 2.0 * low) * front
    return shift


def landmark_directions(person: Identity, expression: Expression) -> F64:
    """Return azimuth and elevation of the 68 iBUG landmarks, (68, 2) radians."""
    inner = person.inner
    parts = [
        _jaw(person, expression),
        _brow(inner, expression, -1),
        _brow(inner, expression, 1),
        _nose(inner),
        _eye(inner, expression.blink_right, -1),
        _eye(inner, expression.blink_left, 1),
        _mouth(inner, expression),
    ]
    return np.concatenate(parts)


def _jaw(person: Identity, expression: Expression) -> F64:
    """0-16: along the jaw from image left to right, moved down by the open jaw."""
    k = np.linspace(-1.0, 1.0, 17)
    azimuth = 1.36 * np.sign(k) * np.abs(k) ** 1.1
    rest = 0.02 - 0.98 * (1.0 - np.abs(k) ** 2.4) ** 0.85
    elevation = rest.copy()
    for _ in range(60):  # the shift is given where the skin ends up: solve for that place
        elevation += 0.5 * (rest - jaw_shift(person.inner, expression.jaw, azimuth, elevation) - elevation)
    return np.stack([azimuth, elevation], -1)


def _brow(inner: InnerFace, expression: Expression, side: int) -> F64:
    """17-21 or 22-26: image left to right."""
    t = side * np.linspace(-1.0, 1.0, 5)
    line = brow_line(inner, expression, t)
    return np.stack([side * (inner.eye_x + 0.02 + t * BROW_HALF_WIDTH), inner.eye_y + line], -1)


def _nose(inner: InnerFace) -> F64:
    """27-30 down the bridge to the tip, 31-35 under the wings from image left to right."""
    bridge = np.linspace(inner.eye_y - 0.01, -0.19 + inner.nose_length, 4)
    t = np.linspace(-1.0, 1.0, 5)
    under = np.stack([t * 0.12 * inner.nose_width, -0.325 + inner.nose_length + 0.03 * np.abs(t)], -1)
    return np.concatenate([np.stack([0.0 * bridge, bridge], -1), under])


def _eye(inner: InnerFace, blink: float, side: int) -> F64:
    """36-41 or 42-47: image-left corner, two on the upper lid, image-right corner, two on the lower lid."""
    t = side * np.array([-1.0, -0.35, 0.35, 1.0, 0.35, -0.35])
    upper, lower = eyelids(inner, blink, t)
    lid = np.where([True, True, True, True, False, False], upper, lower)
    return np.stack([side * (inner.eye_x + t * inner.eye_width), inner.eye_y + lid], -1)


def _mouth(inner: InnerFace, expression: Expression) -> F64:
    """48-59 around the outer lip line, 60-67 around the inner one, both clockwise from image left."""
    half = mouth_half_width(inner, expression)
    runs = (
        (np.linspace(-1.0, 1.0, 7), 0),
        (np.linspace(2 / 3, -2 / 3, 5), 3),
        (np.array([-0.9, -0.4, 0.0, 0.4, 0.9]), 1),
        (np.array([0.4, 0.0, -0.4]), 2),
    )
    rows = [np.stack([t * half, inner.mouth_y + mouth_curves(inner, expression, t)[line]], -1) for t, line in runs]
    return np.concatenate(rows)
