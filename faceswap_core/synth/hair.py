"""Hair of a person over all directions: how much of it, how thick, how its strands run."""

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth.features import soft_step
from faceswap_core.synth.identity import HairStyle, Outer

F32 = npt.NDArray[np.float32]

# Elevation of the hair line at these distances from the middle (radians of azimuth), per style.
_LINE_AT = (0.0, 0.35, 0.65, 0.90, 1.10, 1.25, 1.42, 1.60, 1.85, 2.20, 3.20)
_LINES: dict[HairStyle, tuple[float, ...]] = {
    "short": (0.74, 0.73, 0.70, 0.60, 0.38, -0.02, 0.06, 0.26, 0.08, -0.62, -0.85),
    "fringe": (0.36, 0.35, 0.36, 0.36, 0.22, -0.06, 0.02, 0.22, 0.00, -0.70, -0.95),
    "receding": (0.86, 1.00, 1.10, 0.95, 0.55, 0.08, 0.08, 0.26, 0.10, -0.62, -0.85),
    "bald": (1.60, 1.60, 1.55, 1.30, 0.80, 0.10, 0.08, 0.26, 0.10, -0.62, -0.85),
    "long": (0.80, 0.70, 0.48, 0.12, -0.40, -0.74, -0.86, -0.92, -0.98, -1.05, -1.10),
    "curly": (0.66, 0.64, 0.60, 0.48, 0.20, -0.20, -0.35, -0.40, -0.60, -0.85, -1.00),
}
_THICKNESS: dict[HairStyle, float] = {
    "short": 0.075, "fringe": 0.10, "receding": 0.04, "bald": 0.022, "long": 0.10, "curly": 0.24,
}  # fmt: skip


def coverage(outer: Outer, azimuth: F32, elevation: F32, *, width: float = 0.07) -> F32:
    """Return how far hair covers the skin at these directions, 0 to 1; the edge is ragged like strands."""
    away = np.abs(azimuth)
    line = np.interp(away, _LINE_AT, _LINES[outer.hair_style]) + outer.hair_line
    if outer.hair_style in ("long", "short", "receding"):  # the parting lifts one side of the line
        line = line - 0.10 * outer.parting * np.sign(azimuth) * np.clip(away, 0, 0.5)
    ragged = 0.11 if outer.hair_style == "fringe" else 0.05
    cover = soft_step(elevation - line - ragged * strands(outer, azimuth, elevation), width)
    if outer.hair_style == "bald":  # a wreath: nothing on top
        wreath_top = np.interp(away, [0.0, 1.0, 1.6, 3.2], [0.2, 0.35, 0.62, 0.75])
        cover = cover * soft_step(wreath_top - elevation, 0.25)
    return np.asarray(cover, np.float32)


def thickness(outer: Outer, azimuth: F32, elevation: F32, bare: F32, ears: F32) -> F32:
    """Return what hair adds to the radius, head units: swelling from the hair line inwards, with locks.

    `bare` is the radius of the skin without its ears, `ears` what these add; long and curly hair hides them.
    """
    deep = cv2.GaussianBlur(coverage(outer, azimuth, elevation, width=0.05), (0, 0), 4.0)
    swell = np.clip(deep * 1.9 - 0.80, 0.0, 1.0)
    locks = strands(outer, azimuth, elevation)
    volume = _THICKNESS[outer.hair_style] * outer.hair_volume
    lift = volume * (1.0 + 0.30 * locks)
    if outer.hair_style in ("short", "receding"):  # more on top than at the sides
        lift = lift * (0.45 + 0.75 * soft_step(elevation - 0.5, 0.9))
    if outer.hair_style == "long":  # strands hang straight down instead of following the jaw
        hanging = (0.78 + 0.08 * outer.hair_volume) / np.cos(np.clip(elevation, -1.0, 0.0))
        lift = np.maximum(lift, np.where(elevation < 0, np.minimum(hanging, 1.24) - bare, 0.0))
    if outer.hair_style in ("long", "curly"):
        lift = lift - ears
    return np.asarray(swell * lift, np.float32)


def strands(outer: Outer, azimuth: F32, elevation: F32) -> F32:
    """Return noise of about +-1 that is long along the strands and fine across them."""
    turn, along = _strand_coordinates(outer, azimuth, elevation)
    rng = np.random.default_rng(outer.texture_seed)
    if outer.hair_style == "curly":
        return _sample(_noise(rng, (48, 96)), azimuth * (96 / (2 * np.pi)), elevation * (48 / np.pi))
    fine = _sample(_noise(rng, (16, 512)), turn * (512 / (2 * np.pi)), along * 4.0)
    locks = _sample(_noise(rng, (16, 96)), turn * (96 / (2 * np.pi)), along * 3.0)
    return np.asarray(0.45 * fine + 0.55 * locks, np.float32)


def _strand_coordinates(outer: Outer, azimuth: F32, elevation: F32) -> tuple[F32, F32]:
    """Return angle around, and distance from, the point where the strands start (crown or parting)."""
    x = np.sin(azimuth) * np.cos(elevation)
    y = np.sin(elevation)
    z = np.cos(azimuth) * np.cos(elevation)
    tilt = -0.7 if outer.hair_style in ("short", "fringe", "bald") else 0.35
    up = y * np.cos(tilt) + z * np.sin(tilt)
    front = z * np.cos(tilt) - y * np.sin(tilt)
    x = x - 0.3 * outer.parting
    turn = np.arctan2(x, front) + np.pi
    return turn.astype(np.float32), np.arccos(np.clip(up, -1, 1)).astype(np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    return rng.standard_normal(shape, dtype=np.float32)


def _sample(noise: F32, x: F32, y: F32) -> F32:
    return cv2.remap(noise, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)  # type: ignore[return-value]
