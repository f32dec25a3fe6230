import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceswap_core.faces import mesh
from faceswap_core.faces.mesh import Region, five_of_mesh, region_of_detection, region_of_mesh, steadied

angles = st.floats(-3.1, 3.1)


def face(*, at=(100.0, 80.0), size=50.0, angle=0.0):
    """A made-up mesh whose eyes lie level before it is turned."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (mesh.POINTS, 2))
    points[:4] = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    for eye, x in zip(mesh._EYES, (-0.5, 0.5), strict=True):
        points[list(eye)] = [x, -0.4]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T * size + at


@given(angles)
def test_region_turns_with_the_face_and_holds_it_with_a_margin(angle):
    region = region_of_mesh(face(angle=angle))
    np.testing.assert_allclose(region.centre, (100.5, 80.5), atol=1e-9)  # counted from the frame's edge
    assert region.side == pytest.approx(1.5 * 100)
    assert np.exp(1j * region.angle) == pytest.approx(np.exp(1j * angle))


def test_region_of_a_detection_is_level_with_its_eyes():
    region = region_of_detection(np.array([10, 20, 50, 80.0]), np.array([[20, 40], [40, 60], [0, 0], [0, 0], [0, 0]]))
    assert region == Region((30.0, 50.0), 90.0, pytest.approx(np.pi / 4))


@given(angles, angles)
def test_region_at_rest_goes_half_the_way_the_short_way_round(before, turn):
    turn = turn * 0.01
    old = Region((10, 10), 100, before)
    new = steadied(Region((12, 6), 104, before + turn + 2 * np.pi), old)
    np.testing.assert_allclose(new.centre, (11, 8))
    assert new.side == 102
    assert new.angle == pytest.approx(before + turn / 2)


@pytest.mark.parametrize("fast", [Region((17, 10), 100, 0), Region((10, 10), 107, 0), Region((10, 10), 100, 0.07)])
def test_region_of_a_fast_face_follows_at_once(fast):
    assert steadied(fast, Region((10, 10), 100, 0)) == fast


@given(angles, st.floats(60, 900))
def test_crop_shows_what_its_matrix_says(angle, side):
    """A picture whose values are its own columns and rows tells where each pixel of a crop came from."""
    y, x = np.mgrid[:400, :400]
    image = np.stack([x * 0.6, y * 0.6, np.zeros_like(x)], -1).astype(np.uint8)
    crop, matrix = mesh._cut(image, Region((200.0, 190.0), side, angle))
    v, u = np.mgrid[60:132:8, 60:132:8]
    expected = np.stack([u + 0.5, v + 0.5], -1) @ matrix[:, :2].T + matrix[:, 2] - 0.5
    inside = ((expected > 8) & (expected < 391)).all(-1)
    seen = crop[v, u, :2] / 0.6
    assert np.abs(seen - expected)[inside].max(initial=0) < 3  # steps of 1 / 0.6, and halves of them


@pytest.mark.parametrize("centre", [(-500.0, 5.0), (5.0, 900.0), (63.0, 47.0)])
def test_crop_beyond_the_frame_is_black(centre):
    crop, _ = mesh._cut(np.full((48, 64, 3), 255, np.uint8), Region(centre, 40.0, 0.3))
    assert crop.shape == (192, 192, 3)
    assert crop[0, -1].max() == 0 or centre == (63.0, 47.0)
    assert (crop == 0).any()


def test_five_points_are_eyes_nose_and_mouth():
    points = np.zeros((mesh.POINTS, 2))
    points[[33, 133, 159, 145]] = [[1, 0], [3, 0], [2, 1], [2, -1]]
    points[[263, 362, 386, 374]] = [[7, 0], [5, 0], [6, 1], [6, -1]]
    points[[4, 61, 291]] = [[4, 3], [3, 5], [5, 5]]
    np.testing.assert_allclose(five_of_mesh(points), [[2, 0], [6, 0], [4, 3], [3, 5], [5, 5]])
