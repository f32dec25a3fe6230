"""Paint eyes, brows and mouth onto the head's colours: curves of synth.features, sharp at any size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceswap_core.synth import skin
from faceswap_core.synth.controls import Expression
from faceswap_core.synth.features import (
    BROW_HALF_WIDTH,
    brow_line,
    eyelids,
    mouth_curves,
    mouth_half_width,
    soft_step,
)
from faceswap_core.synth.identity import Identity

F32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Canvas:
    """A window of the head to paint on, in place. Arrays share (h, w)."""

    colour: F32
    """Linear RGB before light, (h, w, 3)."""
    gloss: F32
    """Strength of the highlight, 0 to 1."""
    azimuth: F32
    """Direction of what the pixel shows, radians."""
    elevation: F32
    """Direction of what the pixel shows, radians."""
    soft: float
    """Width of an edge of about 1.5 pixels, radians."""

    def fill(self, mask: Array, colour: Array | tuple[float, float, float], strength: float = 1.0) -> None:
        """Blend a colour in where the mask is."""
        weight = (mask * strength)[..., None]
        self.colour[...] = self.colour * (1.0 - weight) + weight * np.asarray(colour, np.float32)

    def shine(self, mask: Array, gloss: float) -> None:
        """Set the gloss where the mask is."""
        self.gloss[...] = self.gloss * (1.0 - mask) + mask * gloss


def paint_eye(canvas: Canvas, person: Identity, expression: Expression, side: int) -> None:
    """Paint the eye at image right (side 1) or image left (side -1) with its brow."""
    inner = person.inner
    blink = expression.blink_left if side > 0 else expression.blink_right
    along = (canvas.azimuth * side - inner.eye_x) / np.float32(inner.eye_width)
    y = canvas.elevation - np.float32(inner.eye_y)
    upper, lower = eyelids(inner, blink, np.clip(along, -1.0, 1.0))
    _eye_surroundings(canvas, person, along, y, upper, lower)
    within = soft_step(1.0 - np.abs(along), canvas.soft / inner.eye_width)
    opening = soft_step(upper - y, canvas.soft) * soft_step(y - lower, canvas.soft) * within
    _eye_ball(canvas, person, expression, opening, side)
    _lashes(canvas, opening, along, y, upper, lower)
    _brow(canvas, person, expression, side)


def paint_mouth(canvas: Canvas, person: Identity, expression: Expression) -> None:
    """Paint lips and, when the jaw is open, teeth, tongue and dark."""
    inner = person.inner
    half = mouth_half_width(inner, expression)
    along = canvas.azimuth / np.float32(half)
    y = canvas.elevation - np.float32(inner.mouth_y)
    outer_upper, upper, lower, outer_lower = mouth_curves(inner, expression, np.clip(along, -1.0, 1.0))
    within = soft_step(1.0 - np.abs(along), canvas.soft / half)
    tone = skin.skin_colour(person.outer) * (1.0 - inner.lip_red * np.array([0.22, 0.62, 0.52], np.float32))
    lips = soft_step(outer_upper - y, canvas.soft) * soft_step(y - outer_lower, canvas.soft) * within
    canvas.fill(lips, tone, 0.97)
    canvas.fill(lips * soft_step(y - upper, 0.03), tone * 0.72, 0.8)  # turned away from the light
    canvas.shine(lips, 0.28)
    seam = np.exp(-(((y - (upper + lower) / 2) / max(0.011, 0.5 * canvas.soft)) ** 2))
    closed = max(0.0, 1.0 - 6.0 * expression.jaw)
    canvas.fill(seam * soft_step(1.03 - np.abs(along), 0.1) * closed, tone * 0.10, 0.95)
    if expression.jaw > 0.0:
        _mouth_inside(canvas, expression, along, y, upper, lower, within)


def _eye_surroundings(canvas: Canvas, person: Identity, along: Array, y: Array, upper: Array, lower: Array) -> None:
    """Draw the crease above, the shadow and the bag below, the skin of a closing lid."""
    tone = skin.skin_colour(person.outer)
    near = soft_step(1.12 - np.abs(along), 0.35)
    crease = 0.036 + 0.012 * (1.0 - along * along)
    canvas.fill(np.exp(-(((y - upper - crease) / 0.012) ** 2)) * near, tone * 0.42, 0.6)
    canvas.fill(np.exp(-(((y - upper - 0.018) / 0.02) ** 2)) * near, tone * 0.7, 0.35)
    canvas.fill(np.exp(-(((y - lower + 0.028) / 0.018) ** 2)) * near, tone * 0.6, 0.3)


def _eye_ball(canvas: Canvas, person: Identity, expression: Expression, opening: Array, side: int) -> None:
    """Draw white, iris, pupil and the light's reflection, seen through the lid opening."""
    inner = person.inner
    x = canvas.azimuth - np.float32(side * inner.eye_x + 0.050 * expression.gaze_x)
    y = canvas.elevation - np.float32(inner.eye_y + 0.012 + 0.026 * expression.gaze_y)
    away = np.hypot(x, y)
    iris = 0.066
    canvas.fill(opening, (0.64, 0.60, 0.58))
    colour = skin.iris_colour(inner.iris)
    canvas.fill(opening * soft_step(iris - away, canvas.soft), colour * 1.05)
    canvas.fill(opening * np.exp(-(((away - 0.034) / 0.012) ** 2)), colour * 1.8, 0.5)
    canvas.fill(opening * np.exp(-(((away - iris) / 0.012) ** 2)), (0.02, 0.02, 0.02), 0.7)
    canvas.fill(opening * soft_step(0.029 - away, canvas.soft), (0.004, 0.004, 0.004))
    canvas.fill(opening * soft_step(0.014 - np.hypot(x + 0.02, y - 0.022), canvas.soft), (1.0, 1.0, 1.0))
    canvas.shine(opening, 0.02)


def _lashes(canvas: Canvas, opening: Array, along: Array, y: Array, upper: Array, lower: Array) -> None:
    """Draw the upper lid's shadow and lashes and the wet lower edge."""
    near = soft_step(1.06 - np.abs(along), 0.18)
    canvas.fill(opening * np.exp(-(((upper - y) / 0.024) ** 2)), (0.05, 0.04, 0.04), 0.6)
    thick = max(0.014, 0.5 * canvas.soft)
    canvas.fill(np.exp(-(((y - upper - 0.004) / thick) ** 2)) * near, (0.010, 0.008, 0.008), 0.92)
    canvas.fill(np.exp(-(((y - lower) / 0.008) ** 2)) * near, (0.10, 0.05, 0.045), 0.5)


def _brow(canvas: Canvas, person: Identity, expression: Expression, side: int) -> None:
    inner = person.inner
    along = (canvas.azimuth * side - inner.eye_x - 0.02) / np.float32(BROW_HALF_WIDTH)
    y = canvas.elevation - np.float32(inner.eye_y) - brow_line(inner, expression, np.clip(along, -1.0, 1.0))
    thick = inner.brow_thickness * (1.0 - 0.55 * np.clip(along, 0.0, 1.0))
    hairs = 0.88 + 0.08 * np.sin(along * 41.0 + y * 170.0) + 0.06 * np.sin(along * 67.0 - y * 110.0)
    mask = soft_step(thick - np.abs(y), 0.020) * soft_step(1.0 - np.abs(along), 0.22) * hairs
    canvas.fill(mask, skin.hair_colour(person.outer) * inner.brow_tone, 0.9)


def _mouth_inside(
    canvas: Canvas, expression: Expression, along: Array, y: Array, upper: Array, lower: Array, within: Array
) -> None:
    gap = soft_step(upper - y, canvas.soft) * soft_step(y - lower, canvas.soft) * within
    gap = gap * min(1.0, expression.jaw * 12.0)
    canvas.fill(gap, (0.045, 0.009, 0.009))
    canvas.shine(gap, 0.02)
    teeth = soft_step(y - (upper - 0.05), canvas.soft * 2) * soft_step(0.74 - np.abs(along), 0.2)
    canvas.fill(gap * teeth, (0.70, 0.66, 0.58), 0.92)
    canvas.fill(gap * np.exp(-(((upper - y) / 0.02) ** 2)), (0.08, 0.03, 0.03), 0.55)
    tongue = soft_step((lower + 0.035) - y, 0.05) * soft_step(0.6 - np.abs(along), 0.3)
    canvas.fill(gap * tongue, (0.32, 0.07, 0.07), 0.8)
