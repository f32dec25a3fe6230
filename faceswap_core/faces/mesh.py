"""frame + where a face is -> 468 points of it: MediaPipe's FaceMesh, run by LiteRT on one thread.

Source of the points' numbers and of the crop's rule: Kartynnik et al., "Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs", 2019, and the model card of MediaPipe Face Mesh (Apache-2.0).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from faceswap_core.types import F32, F64, U8

POINTS = 468
"""Points of a mesh."""
_SIDE = 192
"""Side of the network's input in pixels."""
_MARGIN = 1.5
"""Side of the crop in sides of the box about the points."""
_LEANING = 0.75
"""How far to the left of a crop the network puts the points, px: it sees faces and their mirror images 1.5 px apart."""
_FAST = 0.06
"""Change of a region within one frame, in sides or radians, above which it follows at once."""
_EYES = ((33, 133, 159, 145), (263, 362, 386, 374))
"""Corners and lids of both eyes, the one at the image's left first."""
_FIVE = np.array([*_EYES[0], *_EYES[1], 4, 61, 291])
"""The eyes, the tip of the nose, the corners of the mouth."""


class Region(NamedTuple):
    """A square of the frame, turned with the face; edges, not pixel centres, are counted from 0."""

    centre: tuple[float, float]
    """x, y in px."""
    side: float
    """px."""
    angle: float
    """Radians from the frame's x axis to the line from eye to eye, clockwise as seen."""


def five_of_mesh(points: F64) -> F64:
    """Mesh (468, 2) -> (5, 2): centres of the eyes, tip of the nose, corners of the mouth."""
    marks = points[_FIVE]
    return np.concatenate([marks[:8].reshape(2, 4, 2).mean(1), marks[8:]])


def region_of_detection(box_xyxy: F64, points5: F64) -> Region:
    """Where to look for the mesh of a face that was detected: its box (4,) and five points (5, 2) in px."""
    x0, y0, x1, y1 = (float(edge) for edge in box_xyxy)
    return Region(((x0 + x1) / 2, (y0 + y1) / 2), _MARGIN * max(x1 - x0, y1 - y0), _tilt(points5[0], points5[1]))


def region_of_mesh(points: F64) -> Region:
    """Where to look for the mesh of a face in the next frame: about its points (468, 2) in this one, in px."""
    five = five_of_mesh(points)
    angle = _tilt(five[0], five[1])
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = points.T + 0.5
    along, down = x * cosine + y * sine, y * cosine - x * sine
    left, right, top, bottom = (float(edge) for edge in (along.min(), along.max(), down.min(), down.max()))
    u, v = (left + right) / 2, (top + bottom) / 2
    side = _MARGIN * max(right - left, bottom - top)
    return Region((u * cosine - v * sine, u * sine + v * cosine), side, angle)


def steadied(region: Region, before: Region) -> Region:
    """A region half way from the one before to where the mesh would have it, unless the face moves fast.

    The mesh answers a shift of its region by a shift of its points, mostly to the other side: regions taken as they
    come swing about their place for many frames, and the points with them.
    """
    moved = np.subtract(region.centre, before.centre)
    turned = (region.angle - before.angle + math.pi) % (2 * math.pi) - math.pi
    if max(float(np.abs(moved).max()) / before.side, abs(region.side / before.side - 1), abs(turned)) > _FAST:
        return region
    x, y = before.centre + moved / 2
    return Region((float(x), float(y)), (before.side + region.side) / 2, before.angle + turned / 2)


def _tilt(eye: F64, other: F64) -> float:
    return math.atan2(float(other[1] - eye[1]), float(other[0] - eye[0]))


class FaceMesh:
    """The network; one instance serves one thread."""

    def __init__(self, path: Path) -> None:
        """Load the model file, whose digest the caller has checked."""
        from ai_edge_litert.interpreter import Interpreter  # slow to import, and not needed by other detectors

        self._network = Interpreter(model_path=str(path), num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        outputs = {int(np.prod(o["shape"])): o["index"] for o in self._network.get_output_details()}
        self._points, self._presence = outputs[POINTS * 3], outputs[1]

    def points(self, image: U8, region: Region) -> tuple[F64, float]:
        """The mesh of the face in a region.

        Args:
            image: (H, W, 3) RGB.
            region: square that holds the face with a margin; black outside the frame.

        Returns:
            Points (468, 2) in px, the centre of the top left pixel at (0, 0), and the probability that there is a
            face.
        """
        crop, matrix = _cut(image, region)
        self._network.set_tensor(self._input, np.multiply(crop[None], np.float32(1 / 255), dtype=np.float32))
        self._network.invoke()
        found: F32 = self._network.get_tensor(self._points).reshape(POINTS, 3)[:, :2]
        logit = float(self._network.get_tensor(self._presence).reshape(()))
        level = found.astype(np.float64) + np.array([_LEANING, 0.0])
        points: F64 = level @ matrix[:, :2].T + matrix[:, 2] - 0.5
        return points, 1 / (1 + math.exp(-min(max(logit, -50.0), 50.0)))


def _cut(image: U8, region: Region) -> tuple[U8, F64]:
    """A crop (192, 192, 3) and its matrix (2, 3): crop -> frame, both counted from their edges.

    Where the crop reduces the frame by two or more, its surroundings are halved first, so that fine structure does
    not turn into noise of the points.
    """
    scale = region.side / _SIDE
    turn = scale * np.array(
        [[math.cos(region.angle), -math.sin(region.angle)], [math.sin(region.angle), math.cos(region.angle)]]
    )
    origin = np.array(region.centre) - turn @ [_SIDE / 2, _SIDE / 2]
    matrix = np.hstack([turn, origin[:, None]])
    part, corner, shrink = _surroundings(image, region)
    if not part.size:
        return np.zeros((_SIDE, _SIDE, 3), np.uint8), matrix
    to_part = (matrix - np.array([[0, 0, corner[0]], [0, 0, corner[1]]])) * shrink
    to_part[:, 2] += to_part[:, :2] @ [0.5, 0.5] - 0.5  # from edges to pixel centres, on both sides
    crop = cv2.warpAffine(part, to_part, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(crop, np.uint8), matrix


def _surroundings(image: U8, region: Region) -> tuple[U8, tuple[int, int], float]:
    """The part of the frame about a region, halved while it is twice as fine as the crop.

    Returns:
        The part, its corner (x, y) in px of the frame, and its px per px of the frame.
    """
    step = 2 ** max(0, math.floor(math.log2(max(region.side / _SIDE, 1))))
    reach = region.side * math.sqrt(0.5) + step
    x0, y0 = (max(0, math.floor((c - reach) / step) * step) for c in region.centre)
    columns, rows = (
        max(0, math.floor((min(limit, c + reach) - start) / step))
        for limit, c, start in zip(image.shape[1::-1], region.centre, (x0, y0), strict=True)
    )
    part = image[y0 : y0 + rows * step, x0 : x0 + columns * step]  # whole steps: cv2 is three times as fast on them
    if step > 1 and part.size:
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return part, (x0, y0), 1 / step
