import numpy as np
import pytest

from faceswap_core.faces.geometry import apply, invert, template5, template_to_chip
from faceswap_core.faces.masks import face_mask, outline

SIZE = 128
TO_CHIP = template_to_chip(SIZE, 0.47, 0.625)


def turned(yaw):
    """Template points of a head turned so far that the nose is ``yaw`` eye distances off the middle."""
    points = template5()
    points[2, 0] += yaw
    return points


def inside(mask, template_points):
    x, y = np.round(apply(TO_CHIP, template_points)).astype(int).T
    return mask[y, x]


def test_mask_is_full_on_the_face_and_empty_at_the_border():
    mask = face_mask(template5(), TO_CHIP, SIZE)
    assert mask.shape == (SIZE, SIZE)
    assert mask.dtype == np.uint8
    assert (inside(mask, template5()) == 255).all(), "eyes, nose and mouth are swapped"
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert (border == 0).all()
    assert 0.15 < (mask > 127).mean() < 0.6


def test_mask_reaches_from_brows_to_chin():
    rows = np.flatnonzero((face_mask(template5(), TO_CHIP, SIZE) > 127).any(1))
    top, bottom = (apply(invert(TO_CHIP), np.array([[0.0, row]]))[0, 1] for row in (rows[0], rows[-1]))
    assert -0.9 < top < -0.5  # the brows lie at about -0.45
    assert 1.3 < bottom < 1.7


def test_mask_of_the_middle_is_symmetric():
    points = template5()
    points[:, 0] = [-0.5, 0.5, 0, -0.4, 0.4]
    points[:, 1] = [0, 0, 0.57, 1.15, 1.15]
    mask = face_mask(points, TO_CHIP, SIZE).astype(int)
    assert np.abs(mask - mask[:, ::-1]).mean() < 2


def test_edge_is_soft_to_less_than_a_pixel():
    mask = face_mask(template5(), TO_CHIP, SIZE)
    assert ((mask > 0) & (mask < 255)).sum() > 50


@pytest.mark.parametrize("yaw", [0.1, 0.25])
def test_mask_moves_against_the_nose_of_a_turned_head(yaw):
    def centre(points):
        return outline(points)[:, 0].mean()

    assert centre(turned(yaw)) < centre(turned(0)) < centre(turned(-yaw))


def test_outline_follows_the_width_of_the_face():
    narrow = template5() * [0.6, 1]
    assert np.ptp(outline(narrow)[:, 0]) == pytest.approx(0.6 * np.ptp(outline(template5())[:, 0]), rel=0.02)
    assert outline(template5()).shape == (64, 2)


def test_mask_scales_with_the_chip():
    small = face_mask(template5(), TO_CHIP, SIZE)
    large = face_mask(template5(), template_to_chip(2 * SIZE, 0.47, 0.625), 2 * SIZE)
    halved = large.reshape(SIZE, 2, SIZE, 2).mean((1, 3))
    assert np.abs(halved - small).mean() < 2


def test_points_are_left_as_they_were():
    points = template5()
    face_mask(points, TO_CHIP, SIZE)
    np.testing.assert_array_equal(points, template5())
