"""Light on head, neck and clothes, in linear light: soft key light, sky light, highlights."""

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth.camera import Camera
from faceswap_core.synth.controls import Light
from faceswap_core.synth.head import Surface, look_up
from faceswap_core.synth.march import Hits

F32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]

_WRAP = (0.40, 0.27, 0.22)  # how far red, green, blue light creeps around the shadow's edge: skin glows red


def key_direction(light: Light) -> tuple[float, float, float]:
    """Return the direction to the key light, camera axes (x right, y up, z to the camera)."""
    flat = float(np.cos(light.elevation))
    return (
        float(np.sin(light.azimuth)) * flat,
        float(np.sin(light.elevation)),
        float(np.cos(light.azimuth)) * flat,
    )


def tint(light: Light) -> F32:
    """Return the colour of the light, (3,) around 1."""
    return np.array([1.0 + 0.14 * light.warmth, 1.0, 1.0 - 0.14 * light.warmth], np.float32)


def head_light(
    hits: Hits, azimuth: F32, elevation: F32, shape: Surface, cam: Camera, light: Light
) -> tuple[F32, F32, F32]:
    """Return factors on the colour (h, w, 3), and the highlights of skin and of hair (h, w) to be added."""
    nx, ny, nz = _normals(hits, azimuth, elevation, shape, cam)
    lx, ly, lz = key_direction(light)
    facing = nx * np.float32(lx) + ny * np.float32(ly) + nz * np.float32(lz)
    open_ = look_up(shape.openness, azimuth, elevation)
    sky = light.ambient * (0.78 + 0.22 * ny)
    factor = np.empty((*facing.shape, 3), np.float32)
    for channel, (wrap, colour) in enumerate(zip(_WRAP, tint(light), strict=True)):
        key = np.maximum((facing + wrap) * (1.0 / (1.0 + wrap)), 0.0)
        factor[..., channel] = (sky + light.diffuse * key) * open_ * colour
    half = np.array([lx, ly, lz + 1.0])
    hx, hy, hz = (half / np.linalg.norm(half)).astype(np.float32)
    mirror = np.maximum(nx * hx + ny * hy + nz * hz, 0.0)
    squared = mirror * mirror
    wide = squared**4  # mirror^8
    return factor, wide * wide * wide * light.diffuse, wide * squared * light.diffuse


def flat_light(nx: Array, ny: Array, light: Light) -> F32:
    """Return factors (h, w, 3) for surfaces whose normals have these x and y; z fills up to length 1."""
    lx, ly, lz = key_direction(light)
    nz = np.sqrt(np.clip(1.0 - nx * nx - ny * ny, 0.05, 1.0))
    key = np.maximum((nx * lx + ny * ly + nz * lz + 0.3) / 1.3, 0.0)
    strength = light.ambient * (0.78 + 0.22 * ny) + light.diffuse * key
    return np.asarray(strength[..., None] * tint(light), np.float32)


def _normals(hits: Hits, azimuth: F32, elevation: F32, shape: Surface, cam: Camera) -> tuple[F32, F32, F32]:
    """Return the surface normals in camera axes."""
    across = cv2.magnitude(hits.x, hits.z)
    inverse = 1.0 / np.maximum(cv2.magnitude(across, hits.y), 1e-3)
    sin_e, cos_e = hits.y * inverse, across * inverse
    inverse_across = 1.0 / np.maximum(across, 1e-3)
    sin_a, cos_a = hits.x * inverse_across, hits.z * inverse_across
    radius = 1.0 / inverse
    ka = -look_up(shape.slope_azimuth, azimuth, elevation) / (radius * np.maximum(cos_e, 0.15))
    ke = -look_up(shape.slope_elevation, azimuth, elevation) / radius
    level = cos_e - ke * sin_e
    head = (sin_a * level + ka * cos_a, sin_e + ke * cos_e, cos_a * level - ka * sin_a)
    shrink = 1.0 / np.sqrt(1.0 + ka * ka + ke * ke)
    m = cam.rotation.astype(np.float32)
    x, y, z = ((head[0] * m[row, 0] + head[1] * m[row, 1] + head[2] * m[row, 2]) * shrink for row in range(3))
    return x, y, z
