"""What stands behind and below the head: a background picture, neck, clothes, hair that falls behind."""

import colorsys
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth import skin
from faceswap_core.synth.camera import Camera
from faceswap_core.synth.controls import Light, Pose
from faceswap_core.synth.identity import Outer
from faceswap_core.synth.march import Box
from faceswap_core.synth.shade import flat_light

F32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]
U8 = npt.NDArray[np.uint8]


@lru_cache(maxsize=16)
def background(seed: int, width: int, height: int) -> U8:
    """Return an out-of-focus room, (height, width, 3) RGB; read-only, as it is shared."""
    rng = np.random.default_rng(seed)
    top = rng.uniform(0.25, 0.6) + rng.uniform(-0.08, 0.08, 3)
    bottom = rng.uniform(0.15, 0.4) + rng.uniform(-0.06, 0.06, 3)
    ramp = np.linspace(0.0, 1.0, height)[:, None, None]
    room = np.repeat(top * (1 - ramp) + bottom * ramp, width, axis=1).astype(np.float32)
    for _ in range(12):
        _furniture(room, rng)
    room = cv2.GaussianBlur(room, (0, 0), max(1.0, height / 70))  # type: ignore[assignment]
    for _ in range(int(rng.integers(0, 9))):
        _lamp(room, rng)
    room = cv2.GaussianBlur(room, (0, 0), max(0.5, height / 250))  # type: ignore[assignment]
    picture: U8 = (np.clip(room, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    picture.flags.writeable = False
    return picture


def _furniture(room: F32, rng: np.random.Generator) -> None:
    height, width = room.shape[:2]
    left, top = int(rng.integers(-width // 8, width)), int(rng.integers(-height // 8, height))
    size = rng.uniform(0.08, 0.4, 2) * (width / 2, height)
    colour = np.clip(rng.uniform(0.1, 0.7) + rng.uniform(-0.12, 0.12, 3), 0.0, 1.0)
    cv2.rectangle(room, (left, top), (left + int(size[0]), top + int(size[1])), colour.tolist(), -1)


def _lamp(room: F32, rng: np.random.Generator) -> None:
    height, width = room.shape[:2]
    spot = np.zeros((height, width), np.float32)
    place = (int(rng.integers(0, width)), int(rng.integers(0, max(1, height // 2))))
    cv2.circle(spot, place, int(rng.uniform(0.015, 0.05) * height) + 1, 1.0, -1, cv2.LINE_AA)
    room += spot[..., None] * rng.uniform(0.1, 0.3) * np.array([1.0, 0.9, 0.7], np.float32)


def body_box(cam: Camera, *, width: int, height: int) -> Box:
    """Return the window that neck, shoulders and falling hair can cover; it may be empty."""
    unit = cam.pixels_per_unit
    left, right = max(0, int(cam.center_x - 2.2 * unit)), min(width, int(cam.center_x + 2.2 * unit) + 1)
    top = min(max(0, int(cam.center_y - 0.4 * unit)), height)
    return Box(left, top, max(0, right - left), height - top)


def paint_body(colour: F32, box: Box, cam: Camera, outer: Outer, pose: Pose, light: Light, shadow: F32) -> F32:
    """Paint hair that falls behind, neck and clothes over `colour` (linear RGB of the window), in place.

    `shadow` (h, w) 0..1 is what the head shades. Returns the mask of the falling hair, (h, w) 0..1.
    """
    unit = np.float32(cam.pixels_per_unit)
    columns = np.arange(box.left, box.left + box.width, dtype=np.float32)
    rows = np.arange(box.top, box.top + box.height, dtype=np.float32)
    u = (columns[None, :] - np.float32(cam.center_x)) / unit
    v = (np.float32(cam.center_y) - rows[:, None]) / unit
    middle = _neck_middle(v, pose)
    falling = np.zeros(colour.shape[:2], np.float32)
    if outer.hair_style == "long":
        falling = _falling_hair(colour, u - middle, v, float(unit), outer, light)
    dim = 1.0 - 0.62 * shadow[..., None]
    neck = _neck(colour, u - middle, v, float(unit), outer, light, dim)
    clothes = _clothes(colour, u - 0.25 * np.float32(np.sin(pose.roll)), v, float(unit), outer, light, dim)
    return np.asarray(falling * (1.0 - neck) * (1.0 - clothes), np.float32)


def _neck_middle(v: F32, pose: Pose) -> F32:
    """Return the neck's middle line: at the top it follows the head, at the bottom the body."""
    top = 0.6 * np.sin(pose.roll) - 0.16 * np.sin(pose.yaw)
    bottom = 0.25 * np.sin(pose.roll)
    return np.asarray(bottom + (top - bottom) * np.clip((v + 1.5) / 0.9, 0.0, 1.0), np.float32)


def _cover(inside: Array, unit: float) -> F32:
    """Turn a distance to the edge (head units, + inside) into cover of the pixel, 0..1."""
    return np.asarray(np.clip(inside * np.float32(unit) + np.float32(0.5), 0.0, 1.0), np.float32)


def _lay(colour: F32, mask: F32, paint: Array) -> None:
    weight = mask[..., None]
    colour[...] = colour * (1.0 - weight) + weight * paint


def _falling_hair(colour: F32, u: F32, v: F32, unit: float, outer: Outer, light: Light) -> F32:
    rng = np.random.default_rng(outer.texture_seed + 3)
    coarse = rng.standard_normal((2, 48), dtype=np.float32)
    strand = cv2.resize(coarse, (256, 2), interpolation=cv2.INTER_CUBIC)[0]
    wave = strand[np.clip((u + 1.2 + 0.02 * np.sin(5 * v)) * (255 / 2.4), 0, 255).astype(np.int32)]
    half = 0.78 + 0.08 * outer.hair_volume - 0.9 * np.clip(v + 0.35, 0.0, 1.0) ** 1.5
    end = -1.62 + 0.10 * wave
    mask = _cover(half - np.abs(u) - 0.12 * np.clip(-v - 1.0, 0, 1), unit) * _cover((v - end) * 0.35, unit)
    tone = skin.hair_colour(outer) * (0.75 * (1.0 + 0.3 * wave))[..., None]
    _lay(colour, mask, tone * flat_light(0.6 * u, 0.1 + 0 * u, light))
    return mask


def _neck(colour: F32, u: F32, v: F32, unit: float, outer: Outer, light: Light, dim: F32) -> F32:
    half = (0.28 + 0.17 * outer.jaw_width) * (1.0 + 0 * v) + 0.55 * np.clip(-v - 1.12, 0.0, 0.6) ** 1.6
    mask = _cover(half - np.abs(u), unit) * _cover(-0.25 - v + 0 * u, unit)
    across = np.clip(u / half, -1.0, 1.0)
    tendon = 0.10 * np.exp(-(((np.abs(u) - 0.16 + 0.1 * v) / 0.05) ** 2))
    shade = flat_light(across * 0.92, -0.12 + 0 * u + 0 * v, light) * dim * (0.92 - tendon)[..., None]
    _lay(colour, mask, skin.skin_colour(outer) * shade)
    return mask


def _clothes(colour: F32, u: F32, v: F32, unit: float, outer: Outer, light: Light, dim: F32) -> F32:
    away = np.abs(u)
    slope = -1.33 - 0.26 * np.clip(away - 0.4, 0.0, 3.0) ** 1.15 - 3.0 * np.clip(away - 1.25, 0.0, 1.0) ** 2.2
    deep = 0.16 if outer.clothes * 7 % 1 < 0.6 else 0.42
    neckline = slope - deep * np.sqrt(np.clip(1.0 - (u / 0.52) ** 2, 0.0, 1.0))
    depth = neckline - v
    mask = _cover(depth, unit)
    saturation = 0.25 + 0.5 * (outer.clothes * 13 % 1)
    rgb = np.array(colorsys.hsv_to_rgb(outer.clothes, saturation, 0.55), np.float32)
    tone = rgb**2 * (0.3 + 0.9 * (outer.clothes * 29 % 1))
    folds = 0.06 * np.sin(away * 9.0 + v * 4.0) + 0.05 * np.sin(u * 5.0 - v * 7.0)
    seam = 0.25 * np.exp(-(((depth - 0.07) / 0.015) ** 2)) + 0.25 * np.exp(-((depth / 0.02) ** 2))
    light_on = flat_light(0.45 * u + 0 * v + folds, 0.55 * np.exp(-np.clip(depth, 0, 9) / 0.22), light)
    _lay(colour, mask, tone * light_on * dim * (1.0 - seam)[..., None])
    return mask
