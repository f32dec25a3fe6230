"""Rays, surface and projection agree: what is drawn lies where the landmarks say."""

import numpy as np
import pytest

from faceswap_core.synth.camera import camera, rotation
from faceswap_core.synth.controls import Expression, Pose
from faceswap_core.synth.features import landmark_directions
from faceswap_core.synth.head import look_up, surface
from faceswap_core.synth.identity import identity
from faceswap_core.synth.march import head_box, march
from faceswap_core.synth.render import render

SIZE = {"width": 240, "height": 200, "face_px": 130}
POSES = [Pose(), Pose(yaw=0.5, pitch=-0.2, roll=0.3, x=0.3, y=0.1, scale=1.1), Pose(yaw=-0.6)]


def _march(seed, expression, pose):
    cam = camera(pose, **SIZE)
    shape = surface(identity(seed), expression)
    box = head_box(cam, float(shape.radius.max()), width=SIZE["width"], height=SIZE["height"])
    return cam, shape, box, march(shape.radius, cam, box)


@pytest.mark.parametrize("pose", POSES)
def test_hit_points_project_back_to_their_pixels(pose):
    cam, _, box, hits = _march(1, Expression(jaw=0.4), pose)
    points = np.stack([hits.x, hits.y, hits.z], -1).reshape(-1, 3).astype(np.float64)
    pixels, depth = cam.project(points)
    rows, columns = np.indices((box.height, box.width))
    expected = np.stack([columns + box.left, rows + box.top], -1).reshape(-1, 2)
    assert pixels == pytest.approx(expected, abs=0.02)
    assert depth == pytest.approx(hits.depth.ravel(), abs=1e-3)


@pytest.mark.parametrize("pose", POSES)
def test_hit_points_lie_on_the_surface(pose):
    _, shape, _, hits = _march(2, Expression(smile=0.8), pose)
    azimuth, elevation = np.arctan2(hits.x, hits.z), np.arctan2(hits.y, np.hypot(hits.x, hits.z))
    gap = np.sqrt(hits.x**2 + hits.y**2 + hits.z**2) - look_up(shape.radius, azimuth, elevation)
    gap = np.abs(gap[hits.alpha == 1])
    assert np.quantile(gap, 0.98) < 0.012
    assert gap.max() < 0.1  # strands of hair are steep


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pose", POSES)
def test_a_visible_landmark_shows_its_own_place_on_the_head(seed, pose):
    """The pixel next to a landmark looks at the landmark's direction, to within a pixel's width."""
    expression = Expression(jaw=0.5, smile=0.3, blink_left=0.5)
    cam, _, box, hits = _march(seed, expression, pose)
    frame = render(identity(seed), expression, pose, **SIZE)
    chosen = frame.landmark_visible.copy()
    chosen[:17] = False  # on the outline a pixel spans a wide angle
    column, row = (np.round(frame.landmarks[chosen]).astype(int) - (box.left, box.top)).T
    x, y, z = hits.x[row, column], hits.y[row, column], hits.z[row, column]
    seen = np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], -1)
    off = np.abs(seen - landmark_directions(identity(seed), expression)[chosen]).max(-1)
    assert chosen.sum() > 25
    assert np.median(off) < 0.6 / cam.pixels_per_unit
    assert np.quantile(off, 0.9) < 2.0 / cam.pixels_per_unit


def test_rotation_is_a_rotation():
    matrix = rotation(POSES[1])
    assert matrix @ matrix.T == pytest.approx(np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_a_head_outside_of_the_frame_has_an_empty_box():
    box = head_box(camera(Pose(x=40), **SIZE), 1.4, width=240, height=200)
    assert box.width == 0
