"""Surface and camera -> for each pixel where its ray meets the head: coarse march first, then all pixels.

g(t) = |q(t)| - radius(direction of q(t)) is positive outside of the head. Each ray steps on by a part of g.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth.camera import DISTANCE, Camera

F32 = npt.NDArray[np.float32]

_CELL = 4  # pixels of a coarse cell
_BEHIND = DISTANCE + 1.0  # depth at which a ray has missed


@dataclass(frozen=True)
class Box:
    """A window of the frame: pixels left..left+width-1, top..top+height-1."""

    left: int
    """First column."""
    top: int
    """First row."""
    width: int
    """Number of columns."""
    height: int
    """Number of rows."""

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, eq=False)
class Hits:
    """Where rays met the head; all (box.height, box.width) float32."""

    x: F32
    """Hit point, head axes, head units (a missed ray: its point nearest to the head)."""
    y: F32
    """As x."""
    z: F32
    """As x."""
    depth: F32
    """Distance of the hit point from the camera plane, head units."""
    alpha: F32
    """Cover of the pixel by the head, 0 to 1, soft at the outline."""


def head_box(cam: Camera, reach: float, *, width: int, height: int) -> Box:
    """Return the window that a head of this reach (largest radius) can cover; it may be empty."""
    radius = cam.pixels_per_unit * reach * DISTANCE / (DISTANCE - reach) + 3
    left, right = max(0, int(cam.center_x - radius)), min(width, int(cam.center_x + radius) + 1)
    top, bottom = max(0, int(cam.center_y - radius)), min(height, int(cam.center_y + radius) + 1)
    return Box(left, top, max(0, right - left), max(0, bottom - top))


def march(radius: F32, cam: Camera, box: Box) -> Hits:
    """Intersect the rays of the window's pixels with the surface `radius` (a table of synth.head)."""
    rays = cam.rays(
        np.arange(box.left, box.left + box.width, dtype=np.float32),
        np.arange(box.top, box.top + box.height, dtype=np.float32),
    )
    march_ = _March(radius, cam.origin(), rays, _coarse_depth(radius, cam, box))
    for _ in range(5):
        march_.step(0.8)
    march_.finish_grazing(20)
    depth = np.where(march_.gap < 0.012, march_.depth, march_.nearest_depth)
    x, y, z = (march_.origin[k] + depth * rays[k] for k in range(3))
    gap = np.maximum(march_.nearest_gap - np.float32(0.004), np.float32(0.0))
    alpha = np.clip(np.float32(1.0) - gap * np.float32(cam.pixels_per_unit), 0.0, 1.0)
    return Hits(x, y, z, depth, alpha)


def _coarse_depth(radius: F32, cam: Camera, box: Box) -> F32:
    """March one ray per cell; return depths for all pixels, not behind any neighbour's hit."""
    middle = (_CELL - 1) / 2
    columns = np.arange(-(-box.width // _CELL), dtype=np.float32) * _CELL + np.float32(box.left + middle)
    rows = np.arange(-(-box.height // _CELL), dtype=np.float32) * _CELL + np.float32(box.top + middle)
    rays = cam.rays(columns, rows)
    start = np.full(rays[0].shape, DISTANCE - float(radius.max()), np.float32)
    coarse = _March(radius, cam.origin(), rays, start)
    for _ in range(18):
        coarse.step(0.72)
    nearest = cv2.erode(coarse.depth, np.ones((3, 3), np.uint8))
    size = (len(columns) * _CELL, len(rows) * _CELL)
    fine = cv2.resize(nearest, size, interpolation=cv2.INTER_LINEAR)[: box.height, : box.width]
    return np.ascontiguousarray(fine) - np.float32(0.01)


class _March:
    """Depth of many rays on their way; arrays share one 2-D shape."""

    def __init__(self, radius: F32, origin: F32, rays: tuple[F32, F32, F32], depth: F32) -> None:
        self.radius = radius
        self.origin = origin
        self.rays = rays
        self.depth = depth
        self.gap = np.full_like(depth, 9.0)
        self.nearest_gap = np.full_like(depth, 9.0)
        self.nearest_depth = depth

    def step(self, factor: float) -> None:
        """Measure the gap at the present depth, remember the smallest, go on by a part of it."""
        x, y, z = (self.origin[k] + self.depth * self.rays[k] for k in range(3))
        self.gap = _gap(self.radius, x, y, z)
        closer = self.gap < self.nearest_gap
        self.nearest_gap = np.where(closer, self.gap, self.nearest_gap)
        self.nearest_depth = np.where(closer, self.depth, self.nearest_depth)
        self.depth = np.minimum(self.depth + np.float32(factor) * self.gap, np.float32(_BEHIND))

    def finish_grazing(self, steps: int) -> None:
        """Go on with the few rays that pass the outline closely: they come near slowly."""
        open_ = (self.gap > 0.004) & (self.nearest_gap < 0.2) & (self.depth < _BEHIND)
        places = np.flatnonzero(open_)
        if not len(places):
            return
        places = np.resize(places, (-(-len(places) // 256), 256))  # repeats some: cv2.remap wants few rows
        rays = cast(tuple[F32, F32, F32], tuple(np.take(axis, places) for axis in self.rays))
        few = _March(self.radius, self.origin, rays, np.take(self.depth, places))
        few.nearest_gap = np.take(self.nearest_gap, places)
        few.nearest_depth = np.take(self.nearest_depth, places)
        for _ in range(steps):
            few.step(0.8)
        np.put(self.gap, places, few.gap)
        np.put(self.depth, places, few.depth)
        np.put(self.nearest_gap, places, few.nearest_gap)
        np.put(self.nearest_depth, places, few.nearest_depth)


def _gap(radius: F32, x: F32, y: F32, z: F32) -> F32:
    """Return the distance outside of the surface along the line to the centre."""
    rows, columns = radius.shape
    across = cv2.magnitude(x, z)
    column = cv2.phase(-z, -x) * (columns / (2 * np.pi)) - 0.5
    row = cv2.phase(y, across) * (rows / np.pi) - 0.5
    surface = cv2.remap(radius, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cast(F32, cv2.magnitude(across, y) - surface)
