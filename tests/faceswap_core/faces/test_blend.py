import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patches import SIDE, frame_to_patch

from faceswap_core.faces.blend import patch_rect, resized, sharpened
from faceswap_core.faces.geometry import apply, invert


class TestPatchRect:
    @given(st.floats(0, 200), st.floats(0, 150), st.floats(5, 120), st.floats(-180, 180))
    def test_holds_every_pixel_that_the_patch_covers(self, x, y, size, degrees):
        matrix = frame_to_patch(x, y, size, degrees)
        rect = patch_rect(matrix, SIDE, (200, 150))
        grid = np.stack(np.meshgrid(np.arange(200), np.arange(150)), -1).reshape(-1, 2).astype(float)
        there = apply(matrix, grid)
        covered = grid[((there > -0.5) & (there < SIDE - 0.5)).all(1)]
        if rect is None:
            assert not len(covered)
            return
        left, top, width, height = rect
        assert left >= 0
        assert top >= 0
        assert left + width <= 200
        assert top + height <= 150
        if len(covered):
            assert (covered >= [left, top]).all()
            assert (covered < [left + width, top + height]).all()

    def test_is_no_larger_than_needed(self):
        left, top, width, height = patch_rect(frame_to_patch(100, 70, 40, 0), SIDE, (200, 150))
        assert 40 <= width <= 42
        assert 40 <= height <= 42
        assert 79 <= left <= 80
        assert 49 <= top <= 50

    @pytest.mark.parametrize("place", [(-100, 50), (400, 50), (50, -100), (50, 400)])
    def test_patch_outside_the_frame_has_none(self, place):
        assert patch_rect(frame_to_patch(*place, 60), SIDE, (200, 150)) is None


class TestResized:
    def test_unchanged_settings_leave_the_place(self):
        np.testing.assert_allclose(resized(frame_to_patch(), SIDE, scale=1, shift_xy=(0, 0)), frame_to_patch())

    def test_centre_stays_and_everything_else_moves_out_by_the_scale(self):
        matrix, middle = frame_to_patch(), (SIDE - 1) / 2
        larger = resized(matrix, SIDE, scale=1.5, shift_xy=(0, 0))
        places = np.array([[middle, middle], [middle + 10, middle], [middle, middle - 4]])
        before, after = (apply(invert(m), places) for m in (matrix, larger))
        np.testing.assert_allclose(after[0], before[0])
        np.testing.assert_allclose(after - after[0], 1.5 * (before - before[0]))

    @pytest.mark.parametrize("shift_xy", [(0.1, 0), (0, -0.2)])
    def test_shift_is_a_share_of_the_patch(self, shift_xy):
        matrix = frame_to_patch(size=96, degrees=0)
        moved = resized(matrix, SIDE, scale=1, shift_xy=shift_xy)
        centre = np.array([[(SIDE - 1) / 2] * 2])
        step = apply(invert(moved), centre) - apply(invert(matrix), centre)
        np.testing.assert_allclose(step[0], 96 * np.array(shift_xy), atol=1e-9)


def test_sharpening_makes_edges_steeper_and_leaves_flat_parts():
    flat = np.full((64, 64, 3), 0.5, np.float32)
    np.testing.assert_allclose(sharpened(flat, 2.0), flat, atol=1e-6)
    edge = np.repeat(np.where(np.arange(64) < 32, 0.4, 0.6)[None, :, None], 64, 0).repeat(3, 2).astype(np.float32)
    steeper = sharpened(edge, 1.0)
    assert steeper[32, 32, 0] - steeper[32, 31, 0] > 0.25
    assert np.array_equal(sharpened(edge, 0.0), edge)
    assert steeper.min() >= 0
    assert steeper.max() <= 1
