"""Pose and frame size -> camera: where a point of the head falls on the frame, and which ray a pixel sends.

Head axes: x to image right, y up, z from the head's centre through the nose. Camera axes are parallel for the
default pose. Pixel convention: (0, 0) is the centre of the top-left pixel (as in OpenCV).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceswap_core.synth.controls import Pose

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

DISTANCE = 7.0
"""Distance of the camera from the head's centre, head units."""
HEAD_UNITS_PER_FACE = 2.25
"""Height of the head, chin to crown, head units: it spans `face_px` pixels."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera that looks at one posed head."""

    center_x: float
    """Column of the head's centre, pixels."""
    center_y: float
    """Row of the head's centre, pixels."""
    pixels_per_unit: float
    """Size of one head unit at the head's centre, pixels."""
    rotation: F64
    """(3, 3) matrix from head axes to camera axes (column vectors)."""

    def project(self, points: F64) -> tuple[F64, F64]:
        """Return pixel coordinates (n, 2) and distances from the camera plane (n,) of head points (n, 3)."""
        turned = points @ self.rotation.T
        depth = DISTANCE - turned[:, 2]
        factor = self.pixels_per_unit * DISTANCE / depth
        pixels = np.stack([self.center_x + factor * turned[:, 0], self.center_y - factor * turned[:, 1]], -1)
        return pixels, depth

    def origin(self) -> F32:
        """Return the camera's place in head axes, (3,)."""
        return np.asarray(self.rotation[2] * DISTANCE, np.float32)

    def rays(self, columns: F32, rows: F32) -> tuple[F32, F32, F32]:
        """Return x, y, z of the rays in head axes, each (rows, columns); a step of 1 adds a depth of 1."""
        focal = self.pixels_per_unit * DISTANCE
        x = (columns - np.float32(self.center_x)) / np.float32(focal)
        y = (np.float32(self.center_y) - rows) / np.float32(focal)
        m = self.rotation.astype(np.float32)
        axes = [x[None, :] * m[0, k] + (y * m[1, k] - m[2, k])[:, None] for k in range(3)]
        return axes[0], axes[1], axes[2]


def camera(pose: Pose, *, width: int, height: int, face_px: float) -> Camera:
    """Place the camera: the default pose puts the head's centre a little above the frame's middle."""
    size = face_px / HEAD_UNITS_PER_FACE
    return Camera(
        center_x=(width - 1) / 2 + pose.x * size,
        center_y=height * 0.47 - pose.y * size,
        pixels_per_unit=size * pose.scale,
        rotation=rotation(pose),
    )


def rotation(pose: Pose) -> F64:
    """Return roll @ pitch @ yaw, the (3, 3) matrix from head axes to camera axes."""
    cy, sy = np.cos(pose.yaw), np.sin(pose.yaw)
    cp, sp = np.cos(pose.pitch), np.sin(pose.pitch)
    cr, sr = np.cos(pose.roll), np.sin(pose.roll)
    yaw = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    pitch = np.array([[1.0, 0.0, 0.0], [0.0, cp, sp], [0.0, -sp, cp]])
    roll = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    result: F64 = roll @ pitch @ yaw
    return result


def sphere_points(azimuth: F64, elevation: F64, radius: F64) -> F64:
    """Return head points (n, 3) at these directions and distances from the centre."""
    flat = np.cos(elevation)
    directions = np.stack([np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat], -1)
    result: F64 = directions * radius[:, None]
    return result
