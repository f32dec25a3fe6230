"""Identity -> texture of the resting head: colour of skin, freckles, beard, nostrils and hair."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth import hair
from faceswap_core.synth.features import soft_step
from faceswap_core.synth.identity import Identity, Outer

F32 = npt.NDArray[np.float32]

ROWS, COLUMNS = 512, 1024
_SKIN_STOPS = ((255, 222, 198), (241, 194, 162), (214, 160, 122), (168, 114, 82), (112, 73, 52), (76, 49, 37))
_HAIR_STOPS = ((30, 24, 22), (62, 41, 28), (112, 75, 46), (176, 136, 82), (134, 64, 34), (138, 136, 136))
_IRIS_STOPS = ((60, 38, 20), (95, 65, 30), (90, 105, 60), (70, 110, 140), (90, 100, 110))


def skin_colour(outer: Outer) -> F32:
    """Return the linear RGB of the skin, (3,) 0..1."""
    return _pick(_SKIN_STOPS, outer.skin)


def hair_colour(outer: Outer) -> F32:
    """Return the linear RGB of the hair, (3,) 0..1."""
    return _pick(_HAIR_STOPS, outer.hair_tone)


def iris_colour(iris: float) -> F32:
    """Return the linear RGB of the iris, (3,) 0..1."""
    return _pick(_IRIS_STOPS, iris)


@lru_cache(maxsize=16)
def texture(person: Identity) -> npt.NDArray[np.uint8]:
    """Return (ROWS, COLUMNS, 4): square root of linear RGB, hair coverage; directions as in synth.head."""
    azimuth, elevation = _directions()
    albedo = np.broadcast_to(skin_colour(person.outer), (ROWS, COLUMNS, 3)).astype(np.float32)
    albedo = _complexion(albedo, person, azimuth, elevation)
    albedo = _nostrils(albedo, person, azimuth, elevation)
    albedo = _beard(albedo, person, azimuth, elevation)
    cover = hair.coverage(person.outer, azimuth, elevation)
    albedo = _hair(albedo, person.outer, cover, azimuth, elevation)
    packed = np.concatenate([np.sqrt(np.clip(albedo, 0.0, 1.0)), cover[..., None]], -1)
    return (packed * 255 + 0.5).astype(np.uint8)


def _directions() -> tuple[F32, F32]:
    azimuth = (np.arange(COLUMNS) + 0.5) * (2 * np.pi / COLUMNS) - np.pi
    elevation = np.pi / 2 - (np.arange(ROWS) + 0.5) * (np.pi / ROWS)
    grid = np.meshgrid(azimuth, elevation)
    return grid[0].astype(np.float32), grid[1].astype(np.float32)


def _pick(stops: tuple[tuple[int, int, int], ...], at: float) -> F32:
    """Return the colour at `at` (0..1) of a scale of display values, as gamma-2 linear light."""
    scale = np.array(stops) / 255.0
    place = at * (len(stops) - 1)
    colour = [np.interp(place, np.arange(len(stops)), scale[:, channel]) for channel in range(3)]
    return (np.array(colour) ** 2).astype(np.float32)


def _clouds(rng: np.random.Generator, *cells: int) -> F32:
    """Return noise of about +-1 with blobs of these sizes in texels."""
    layers = [
        cv2.resize(
            rng.standard_normal((ROWS // cell, COLUMNS // cell), dtype=np.float32),
            (COLUMNS, ROWS),
            interpolation=cv2.INTER_CUBIC,
        )
        for cell in cells
    ]
    return (sum(layers) / len(cells)).astype(np.float32)  # type: ignore[union-attr]


def _blob(azimuth: F32, elevation: F32, at: float, up: float, wide: float, high: float) -> F32:
    """Return a Gaussian on both sides of the face."""
    return np.asarray(np.exp(-(((np.abs(azimuth) - at) / wide) ** 2) - ((elevation - up) / high) ** 2), np.float32)


def _complexion(albedo: F32, person: Identity, azimuth: F32, elevation: F32) -> F32:
    """Mottle the skin, redden cheeks and nose, shade the sockets, sprinkle freckles."""
    inner = person.inner
    rng = np.random.default_rng(person.outer.texture_seed + 1)
    tone = 1.0 + 0.05 * _clouds(rng, 2, 8, 32)
    blush = 0.5 * _blob(azimuth, elevation, 0.55, -0.18, 0.24, 0.16)
    blush = blush + 0.35 * _blob(azimuth, elevation, 0.0, -0.2 + inner.nose_length, 0.13, 0.1)
    blush = blush + 0.5 * _blob(azimuth, elevation, 1.6, -0.03, 0.12, 0.2)
    red = 1.0 - blush[..., None] * np.array([0.0, 0.20, 0.20], np.float32)
    socket = 1.0 - 0.35 * _blob(azimuth, elevation, 1.55, 0.0, 0.05, 0.10)  # hollow of the ear
    socket = socket - 0.16 * _blob(azimuth, elevation, inner.eye_x - 0.05, inner.eye_y, 0.2, 0.13)
    spots = _clouds(np.random.default_rng(round(inner.freckles * 1e6)), 4)
    where = np.exp(-((azimuth / 0.65) ** 2) - ((elevation + 0.12) / 0.2) ** 2)
    freckle = 1.0 - 0.5 * inner.freckles * soft_step(spots - 1.0, 0.5) * where
    return np.asarray(albedo * red * (tone * socket * freckle)[..., None], np.float32)


def _nostrils(albedo: F32, person: Identity, azimuth: F32, elevation: F32) -> F32:
    inner = person.inner
    down = -0.312 + inner.nose_length
    across = (np.abs(azimuth) - 0.062 * inner.nose_width) / 0.036
    hole = np.exp(-((across**2 + ((elevation - down) / 0.020) ** 2) ** 1.5))
    crease = _blob(azimuth, elevation, 0.165 * inner.nose_width, down + 0.05, 0.018, 0.05)
    shade = 1.0 - 0.88 * hole - 0.28 * crease
    return np.asarray(albedo * shade[..., None], np.float32)


def _beard(albedo: F32, person: Identity, azimuth: F32, elevation: F32) -> F32:
    """Grow hair on cheeks, chin and upper lip; the mouth is painted over it later."""
    outer = person.outer
    if outer.beard <= 0.05:
        return albedo
    away = np.abs(azimuth)
    cheek_line = np.interp(away, [0.0, 0.3, 0.6, 1.0, 1.3, 3.2], [-0.42, -0.44, -0.52, -0.40, -0.05, -0.05])
    rng = np.random.default_rng(outer.texture_seed + 2)
    grain = _clouds(rng, 2, 3)
    area = soft_step(cheek_line - elevation + 0.03 * grain, 0.10) * soft_step(1.42 - away, 0.15)
    bare = _blob(azimuth, elevation, 0.0, person.inner.mouth_y - 0.03, 0.16, 0.055)
    strength = np.clip(outer.beard * 1.25, 0.0, 0.92) * area * (1.0 - 0.8 * bare)
    strength = np.clip(strength * (1.0 + 0.35 * grain), 0.0, 0.95)
    colour = hair_colour(outer) * 0.8
    return np.asarray(albedo * (1.0 - strength[..., None]) + strength[..., None] * colour, np.float32)


def _hair(albedo: F32, outer: Outer, cover: F32, azimuth: F32, elevation: F32) -> F32:
    """Lay hair over the skin: strands light and dark, darker roots, grey ends."""
    strand = hair.strands(outer, azimuth, elevation)
    colour = hair_colour(outer) * (1.0 + 0.38 * strand)[..., None]
    return np.asarray(albedo * (1.0 - cover[..., None]) + cover[..., None] * colour, np.float32)
