"""Identity and expression -> the head's surface: a table of radii over all directions from the head's centre.

Table convention: ROWS x COLUMNS, row 0 is the crown (elevation +pi/2), the middle column looks at azimuth 0
(the nose), columns grow towards image right. Radii are head units (about 11 cm).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth import hair
from faceswap_core.synth.controls import Expression
from faceswap_core.synth.features import jaw_shift, mouth_half_width
from faceswap_core.synth.identity import Identity

F32 = npt.NDArray[np.float32]

ROWS, COLUMNS = 256, 512
_LOW = slice(int(ROWS * 0.5), ROWS)  # the rows that the jaw moves
_FRONT = slice(int(COLUMNS * 0.27), int(COLUMNS * 0.73))  # the columns that an expression moves


@dataclass(frozen=True, eq=False)
class Surface:
    """The head's shape in one frame, tables of (ROWS, COLUMNS) float32."""

    radius: F32
    """Distance of the outer surface (skin or hair) from the centre, head units."""
    skin_radius: F32
    """The same without hair, head units."""
    slope_azimuth: F32
    """d radius / d azimuth, head units per radian."""
    slope_elevation: F32
    """d radius / d elevation, head units per radian."""
    openness: F32
    """Factor on the light: below 1 in creases, above 1 on ridges."""


def directions() -> tuple[F32, F32]:
    """Return the azimuths (1, COLUMNS) and elevations (ROWS, 1) of the table's cells."""
    azimuth = (np.arange(COLUMNS, dtype=np.float32) + 0.5) * (2 * np.pi / COLUMNS) - np.pi
    elevation = np.pi / 2 - (np.arange(ROWS, dtype=np.float32) + 0.5) * (np.pi / ROWS)
    return azimuth[None, :].astype(np.float32), elevation[:, None].astype(np.float32)


def surface(person: Identity, expression: Expression) -> Surface:
    """Shape the head of this person with this expression."""
    skin = _rest_skin(person).copy()
    _move_skin(skin, person, expression)
    radius = skin + _rest_hair(person)
    slopes = _slopes(radius)
    return Surface(radius, skin, slopes[0], slopes[1], _openness(radius))


def look_up(table: F32, azimuth: F32, elevation: F32) -> F32:
    """Sample a table at directions of any common shape (2-D), bilinear."""
    rows, columns = table.shape[:2]
    x = (azimuth + np.float32(np.pi)) * np.float32(columns / (2 * np.pi)) - np.float32(0.5)
    y = (np.float32(np.pi / 2) - elevation) * np.float32(rows / np.pi) - np.float32(0.5)
    return cv2.remap(table, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


@lru_cache(maxsize=32)
def _rest_hair(person: Identity) -> F32:
    azimuth, elevation = np.broadcast_arrays(*directions())
    return hair.thickness(person.outer, azimuth, elevation, _bare_skin(person), _ears(person.outer.ear))


@lru_cache(maxsize=32)
def _rest_skin(person: Identity) -> F32:
    return _bare_skin(person) + _ears(person.outer.ear)


@lru_cache(maxsize=8)
def _bare_skin(person: Identity) -> F32:
    """Return the radius of the closed-mouthed skin without ears: skull, jaw, then bumps for the features."""
    radius = _skull(person)
    for azimuth, elevation, wide, high, depth in _feature_bumps(person):
        _add_bump(radius, azimuth, elevation, wide, high, depth)
    return radius


def _skull(person: Identity) -> F32:
    """March inwards along every direction to the smooth union of four ellipsoids."""
    azimuth, elevation = directions()
    heading = np.stack(
        np.broadcast_arrays(
            np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)
        ),
        -1,
    )
    near, far = np.full((ROWS, COLUMNS), 0.3), np.full((ROWS, COLUMNS), 1.7)
    for _ in range(14):
        middle = (near + far) / 2
        inside = _skull_distance(person, heading * middle[..., None]) < 0
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return np.asarray(cv2.GaussianBlur(((near + far) / 2).astype(np.float32), (0, 0), 1.5))


def _skull_distance(person: Identity, point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Signed distance, roughly, of points (..., 3) to cranium, face, jaw and chin melted together."""
    outer = person.outer
    wide, jaw = outer.head_width, outer.jaw_width
    parts = (
        ((0.0, 0.22, -0.14), (wide, 0.93, 0.97)),
        ((0.0, -0.14, 0.10), (wide * 0.90, 0.84, 0.80)),
        ((0.0, -0.55, 0.18), (0.58 * jaw, 0.46, 0.64)),
        ((0.0, -0.82, 0.50), (0.26 * jaw, 0.20 * outer.chin, 0.24 * outer.chin)),
    )
    sharpness = 11.0
    total = np.zeros(point.shape[:-1])
    for center, half_axes in parts:
        scaled = (point - np.array(center)) / np.array(half_axes)
        distance = (np.linalg.norm(scaled, axis=-1) - 1.0) * min(half_axes)
        total += np.exp(-sharpness * np.clip(distance, -2.0, 3.0))
    result: npt.NDArray[np.float64] = -np.log(total + 1e-30) / sharpness
    return result


def _feature_bumps(person: Identity) -> list[tuple[float, float, float, float, float]]:
    """(azimuth, elevation, sigma azimuth, sigma elevation, height): mirrored where azimuth > 0."""
    f, outer = person.inner, person.outer
    tip, wide, high = f.nose_length, f.nose_width, f.nose_height
    return [
        (0.0, 0.10, 0.075, 0.13, 0.07 * high),  # root of the nose
        (0.0, -0.06, 0.075, 0.10, 0.11 * high),  # bridge
        (0.0, -0.20 + tip, 0.085 * wide, 0.075, 0.19 * high),  # tip
        (0.105 * wide, -0.255 + tip, 0.052, 0.050, 0.075),  # wings
        (f.eye_x, f.eye_y, 0.17, 0.11, -0.075),  # sockets
        (f.eye_x, f.eye_y, 0.085, 0.06, 0.035),  # eye balls
        (f.eye_x - 0.03, f.eye_y + f.brow_y, 0.20, 0.07, 0.03),  # brow ridge
        (0.58, -0.13, 0.21, 0.17, 0.045 * outer.cheek),
        (0.0, f.mouth_y + 0.11, 0.03, 0.05, -0.016),  # philtrum
        (0.42, -0.36, 0.09, 0.14, -0.018),  # beside the mouth
    ]


def _add_bump(radius: F32, at: float, up: float, wide: float, high: float, depth: float) -> None:
    """Add a Gaussian, and its mirror image where it does not lie on the middle line. In place."""
    azimuth, elevation = directions()
    column = np.exp(-0.5 * ((elevation - up) / high) ** 2)
    row = np.exp(-0.5 * ((azimuth - at) / wide) ** 2)
    if at != 0.0:
        row = row + row[:, ::-1]
    radius += (depth * column) * row


def _ears(size: float) -> F32:
    """Return flat-topped ears that rise slowly from the cheek and end steeply behind, with a hollow."""
    azimuth, elevation = directions()
    across = np.abs(azimuth) - 1.60 - 0.12 * (elevation + 0.02)
    across = across / np.where(across < 0, 0.20, 0.13)
    along = (elevation + 0.03) / (0.225 * size)
    ear = np.exp(-((across**2 + along**2) ** 2))
    hollow = np.exp(-(((np.abs(azimuth) - 1.56) / 0.05) ** 2) - ((elevation - 0.0) / 0.09) ** 2)
    return np.asarray(0.13 * size * ear - 0.05 * hollow, np.float32)


def _move_skin(skin: F32, person: Identity, expression: Expression) -> None:
    """Drop the jaw, raise the cheeks, shape the lips. In place."""
    azimuth, elevation = directions()
    a, e = azimuth[:, _FRONT], elevation[_LOW]
    rest = e + jaw_shift(person.inner, expression.jaw, a, e)
    low = look_up(skin, np.broadcast_to(a, rest.shape).astype(np.float32), rest.astype(np.float32))
    mouth, half = person.inner.mouth_y, mouth_half_width(person.inner, expression)
    jaw, smile = expression.jaw, expression.smile
    lips = (
        (0.0, mouth + 0.035, 0.62 * half, 0.04, 0.030 + 0.02 * expression.pucker),
        (0.0, mouth - 0.045 - 0.25 * jaw, 0.60 * half, 0.04, 0.034 + 0.02 * expression.pucker),
        (0.0, mouth - 0.005 - 0.11 * jaw, 0.7 * half, 0.018 + 0.06 * jaw, -0.018 - 0.03 * jaw),
        (0.0, mouth - 0.14 - 0.25 * jaw, 0.75 * half, 0.045, -0.022),
        (0.52, -0.20, 0.18, 0.13, 0.035 * smile),
        (half + 0.05, mouth + 0.06 * smile, 0.05, 0.07, -0.020 * max(smile, 0.0)),
    )
    for at, up, wide, high, depth in lips:
        row = np.exp(-0.5 * ((np.abs(a) - at) / wide) ** 2)
        low += (depth * np.exp(-0.5 * ((e - up) / high) ** 2)) * row
    skin[_LOW, _FRONT] = low


def _slopes(radius: F32) -> tuple[F32, F32]:
    per_azimuth = COLUMNS / (2 * np.pi) / 8
    per_elevation = -ROWS / np.pi / 8
    along = cv2.Sobel(radius, cv2.CV_32F, 1, 0, scale=per_azimuth)
    up = cv2.Sobel(radius, cv2.CV_32F, 0, 1, scale=per_elevation)
    return along, up  # type: ignore[return-value]


def _openness(radius: F32) -> F32:
    """Compare each point with its surroundings: creases get less of the sky."""
    small = cv2.resize(radius, (COLUMNS // 4, ROWS // 4), interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.7), (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(1.0 + 1.7 * (radius - around), 0.5, 1.15), np.float32)
