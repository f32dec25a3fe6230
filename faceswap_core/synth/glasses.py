"""Glasses: a wire model before the face, turned with the head, hidden where the head lies before it."""

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth.camera import Camera
from faceswap_core.synth.identity import Outer
from faceswap_core.synth.march import Box, Hits

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_FINE = 2  # the wire is drawn this many times larger, then averaged down


def paint_glasses(colour: F32, box: Box, hits: Hits, cam: Camera, outer: Outer) -> None:
    """Draw the glasses over `colour` (linear RGB of the head's window), in place; nothing for "none"."""
    if outer.glasses == "none" or min(box.width, box.height) < 8:
        return
    wire = np.zeros((box.height * _FINE, box.width * _FINE), np.uint8)
    glass = np.zeros_like(wire)
    thick = max(1, round((0.040 if outer.glasses == "square" else 0.026) * cam.pixels_per_unit * _FINE))
    for side in (-1, 1):
        rim = _rim(outer, side)
        pixels, depth = cam.project(rim)
        cv2.fillPoly(glass, [_fixed(pixels, box)], 255, cv2.LINE_AA, 4)
        _draw(wire, box, hits, pixels, depth, thick)
        _draw(wire, box, hits, *cam.project(_temple(outer, side)), thick)
    _draw(wire, box, hits, *cam.project(_bridge()), thick)
    _lay(colour, glass, np.array([0.9, 0.95, 1.0], np.float32), 0.02)
    metal = np.array([0.02, 0.018, 0.02] if outer.clothes < 0.6 else [0.14, 0.09, 0.04], np.float32)
    _lay(colour, wire, metal, 0.95)


def _rim(outer: Outer, side: int) -> F64:
    """Return the closed outline of one lens, (n, 3) head points."""
    turn = np.linspace(0.0, 2 * np.pi, 41)
    power = 1.0 if outer.glasses == "round" else 0.55
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power * 0.255
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power * (0.225 if power == 1.0 else 0.175)
    return _before_face(side * (0.345 + x), 0.055 + y)


def _bridge() -> F64:
    x = np.linspace(-0.10, 0.10, 7)
    return _before_face(x, 0.09 + 0.03 * (1 - (x / 0.10) ** 2))


def _temple(outer: Outer, side: int) -> F64:
    """Return the side piece, from the rim back over the ear."""
    t = np.linspace(0.0, 1.0, 24)
    front = _before_face(np.array([side * 0.60]), np.array([0.13]))[0]
    back = np.array([side * (outer.head_width + 0.055), 0.13, 0.02])
    bow = np.array([side * 0.05, 0.0, 0.0])
    line: F64 = front + (back - front) * t[:, None] + bow * (4 * t * (1 - t))[:, None]
    return line


def _before_face(x: npt.ArrayLike, y: npt.ArrayLike) -> F64:
    """Put points onto the curved plane of the glasses."""
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.stack([across, up, 1.09 - 0.42 * across**2 + 0.0 * up], -1)


def _draw(wire: npt.NDArray[np.uint8], box: Box, hits: Hits, pixels: F64, depth: F64, thick: int) -> None:
    """Draw the pieces of a line that the head does not hide."""
    column = np.clip(np.round(pixels[:, 0]).astype(int) - box.left, 0, box.width - 1)
    row = np.clip(np.round(pixels[:, 1]).astype(int) - box.top, 0, box.height - 1)
    seen = (depth < hits.depth[row, column] + 0.05) | (hits.alpha[row, column] < 0.5)
    fixed = _fixed(pixels, box)
    for k in np.nonzero(seen[:-1] & seen[1:])[0]:
        cv2.polylines(wire, [fixed[k : k + 2]], False, 255, thick, cv2.LINE_AA, 4)


def _fixed(pixels: F64, box: Box) -> npt.NDArray[np.int32]:
    """Return frame pixels as 1/16 pixels of the enlarged window (a pixel's middle is between small ones)."""
    local = (pixels - (box.left, box.top) + 0.5) * _FINE - 0.5
    return np.round(local * 16).astype(np.int32)


def _lay(colour: F32, mask: npt.NDArray[np.uint8], paint: F32, strength: float) -> None:
    small = cv2.resize(mask, (colour.shape[1], colour.shape[0]), interpolation=cv2.INTER_AREA)
    weight = (small.astype(np.float32) * np.float32(strength / 255))[..., None]
    colour[...] = colour * (1.0 - weight) + weight * paint
