import cv2
import numpy as np
import pytest

from faceswap_core.faces.border import SIDE, border_field, colors_apart

SKIN, PALER = np.array([150, 110, 90], np.float32), np.array([18, 12, -6], np.float32)
DRAWN = 255


def disc(side, share=0.36, feather=0.13):
    """Weight of a round mask that falls softly to 0 at its edge."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    t = np.clip((share * side - np.hypot(x, y)) / (feather * side), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def faces(side=64, beard=70):
    """A patch whose beard drags its mean down, and a plate without; the skin of both is the same."""
    skin = np.broadcast_to(SKIN, (side, side, 3)).copy()
    patch = skin.copy()
    middle = slice(side * 7 // 16, side * 10 // 16)
    patch[middle, middle] -= beard
    return np.dstack([patch, np.full((side, side), DRAWN)]).astype(np.uint8), skin.astype(np.uint8)


def shift_of(patch, view):
    return (view.reshape(-1, 3).mean(0) - patch[..., :3].reshape(-1, 3).mean(0)).astype(np.float64)


def field_of(patch, view, weight):
    return border_field(colors_apart(patch, view, shift_of(patch, view)) / np.float32(255), weight) * 255


def across(weight):
    """The zone where the weight is about a half: the border that is seen."""
    return np.abs(weight - 0.5) < 0.25


@pytest.mark.parametrize("side", [24, 64, 128])
def test_a_beard_does_not_pale_the_skin_at_the_border(side):
    patch, view = faces(side)
    weight, shift = disc(side), shift_of(patch, view)
    step = patch[..., :3] + shift - view  # what a shift by means leaves
    assert np.abs(step[across(weight)]).mean() > 2
    joined = step + field_of(patch, view, weight)
    assert np.abs(joined[across(weight)]).mean() < 0.25 * np.abs(step[across(weight)]).mean()


def test_a_face_laid_onto_itself_is_left():
    patch, view = faces(beard=0)
    np.testing.assert_array_equal(field_of(patch, view, disc(64)), 0)


def test_the_middle_of_the_face_keeps_its_colours():
    patch, view = faces(128)
    field = field_of(patch, view, disc(128, share=0.48))
    assert np.abs(field[60:68, 60:68]).max() < 0.1 * np.abs(field).max()


def test_hair_and_glasses_at_the_border_have_no_say():
    patch, view = faces()
    paler = (view + PALER).clip(0, 255).astype(np.uint8)
    weight, hair = disc(64), paler.copy()
    hair[:20] = 20
    cv2.line(hair, (0, 34), (63, 34), (10, 10, 10), 2)
    shift = shift_of(patch, paler)
    plain, covered = (
        border_field(colors_apart(patch, one, shift) / np.float32(255), weight) * 255 for one in (paler, hair)
    )
    seen = across(weight)
    off = np.abs(covered - plain)
    assert off[seen].mean() < 2
    assert np.abs(colors_apart(patch, hair, shift) - colors_apart(patch, paler, shift)).max() > 100


def test_a_mask_without_a_border_asks_for_nothing():
    apart = np.full((SIDE, SIDE, 3), 0.1, np.float32)
    for weight in (np.zeros((64, 64), np.float32), np.zeros((5, 5), np.float32)):
        np.testing.assert_array_equal(border_field(apart, weight), np.zeros((*weight.shape, 3)))


def test_skin_is_compared_where_the_network_drew_none():
    patch, view = faces(beard=0)
    patch[40:, :, :3], patch[40:, :, 3] = 0, 0
    apart = colors_apart(patch, view, np.zeros(3))
    assert np.abs(apart).max() < 12
