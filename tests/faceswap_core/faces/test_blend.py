import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceswap_core.faces.blend import BLENDERS, patch_rect, sharpened, soft_alpha
from faceswap_core.faces.geometry import apply, invert, similarity_matrix

SIDE = 48


def disc(side=SIDE, radius=0.4):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(np.hypot(x, y) < radius * side, 255, 0).astype(np.uint8)


def smooth_frame(height=160, width=200, seed=0):
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 5) * 4 - 1.5, 0, 1)


def frame_to_patch(x=60.0, y=50.0, size=80.0, degrees=10.0, side=SIDE):
    """Matrix frame px -> patch px of a turned square of ``size`` px about (x, y)."""
    turn = np.radians(degrees)
    scale = size / side
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    middle = (side - 1) / 2
    return invert(similarity_matrix([a, b, x - a * middle + b * middle, y - b * middle - a * middle]))


class TestSoftAlpha:
    @pytest.mark.parametrize("feather", [0, 0.05, 0.3])
    @pytest.mark.parametrize("erode", [0, 0.1])
    @pytest.mark.parametrize("alpha", [disc(), np.full((SIDE, SIDE), 255, np.uint8), disc(radius=0.8)])
    def test_border_of_the_patch_is_barely_touched_and_inside_is_full(self, alpha, erode, feather):
        soft = soft_alpha(alpha, erode=erode, feather=feather)
        assert soft.shape == alpha.shape
        assert soft.dtype == np.float32
        assert (soft[alpha < 128] == 0).all()
        assert soft.min() >= 0
        assert soft.max() <= 1
        if erode + feather < 0.35:
            assert soft[SIDE // 2, SIDE // 2] == 1

    def test_border_is_zero_where_the_mask_is_drawn_in(self):
        soft = soft_alpha(np.full((SIDE, SIDE), 255, np.uint8), erode=0.05, feather=0.1)
        assert np.concatenate([soft[0], soft[-1], soft[:, 0], soft[:, -1]]).max() == 0

    def test_edge_falls_steadily_over_the_feather(self):
        soft = soft_alpha(np.full((SIDE, SIDE), 255, np.uint8), erode=0.1, feather=0.25)
        ramp = soft[SIDE // 2, : SIDE // 2]
        assert (np.diff(ramp) >= -1e-6).all()
        inner = np.flatnonzero((ramp > 0) & (ramp < 1))
        assert inner[0] == pytest.approx(0.1 * SIDE, abs=1.5)
        assert inner[-1] == pytest.approx(0.35 * SIDE, abs=2)

    def test_more_erosion_and_more_feather_leave_less(self):
        sums = [soft_alpha(disc(), erode=e, feather=f).sum() for e, f in ((0, 0), (0, 0.1), (0.05, 0.1), (0.1, 0.2))]
        assert sums == sorted(sums, reverse=True)

    def test_empty_mask_stays_empty(self):
        assert soft_alpha(np.zeros((SIDE, SIDE), np.uint8), erode=0, feather=0.1).max() == 0


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


@pytest.mark.parametrize("mode", BLENDERS)
class TestEveryBlender:
    def blended(self, mode, frame, patch, alpha, matrix):
        height, width = frame.shape[:2]
        rect = patch_rect(matrix, patch.shape[0], (width, height))
        x, y, w, h = rect
        out = frame.copy()
        out[y : y + h, x : x + w] = BLENDERS[mode](frame[y : y + h, x : x + w], patch, alpha, matrix, rect)
        return out

    def test_patch_cut_by_the_same_matrix_gives_the_frame_back(self, mode):
        frame, matrix = smooth_frame(), frame_to_patch(90, 80, 60, 12)
        patch = cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
        alpha = soft_alpha(disc(), erode=0, feather=0.1)
        assert np.abs(self.blended(mode, frame, patch, alpha, matrix) - frame).max() < 0.02

    @pytest.mark.parametrize("place", [(90, 80), (3, 80), (90, 158), (199, 2)])
    def test_patch_lands_where_its_matrix_says_at_the_frames_edge_too(self, mode, place):
        frame, matrix = np.zeros((160, 200, 3), np.float32), frame_to_patch(*place, 60, 25)
        patch = np.ones((SIDE, SIDE, 3), np.float32)
        out = self.blended(mode, frame, patch, soft_alpha(disc(), erode=0, feather=0), matrix)[..., 0]
        y, x = np.mgrid[:160, :200]
        distance = np.hypot(x - place[0], y - place[1])
        assert (out[distance < 0.4 * 60 - 3] > 0.99).all()
        assert (out[distance > 0.4 * 60 + 2] == 0).all()

    def test_pixels_without_alpha_keep_their_exact_value(self, mode):
        frame = np.random.default_rng(0).random((160, 200, 3)).astype(np.float32)
        matrix = frame_to_patch(90, 80, 60, 12)
        black, nowhere = np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.float32)
        out = self.blended(mode, frame, black, nowhere, matrix)
        assert out.tobytes() == frame.tobytes()
        alpha = soft_alpha(disc(radius=0.3), erode=0, feather=0.1)
        out = self.blended(mode, frame, black, alpha, matrix)
        y, x = np.mgrid[:160, :200]
        far = np.hypot(x - 90, y - 80) > 0.3 * 60 + 2
        assert out[far].tobytes() == frame[far].tobytes()
        assert np.abs(out - frame).max() > 0.3

    def test_full_alpha_shows_the_patch_alone(self, mode):
        frame, matrix = smooth_frame(), frame_to_patch(90, 80, 60, 0)
        patch = np.full((SIDE, SIDE, 3), 0.25, np.float32)
        out = self.blended(mode, frame, patch, soft_alpha(disc(), erode=0, feather=0), matrix)
        np.testing.assert_allclose(out[70:90, 80:100], 0.25, atol=1e-4)

    def test_arguments_are_left_as_they_were(self, mode):
        frame, matrix = smooth_frame(), frame_to_patch()
        alpha, patch = soft_alpha(disc(), erode=0, feather=0.1), np.ones((SIDE, SIDE, 3), np.float32)
        before = [a.copy() for a in (frame, patch, alpha, matrix)]
        self.blended(mode, frame, patch, alpha, matrix)
        for was, now in zip(before, (frame, patch, alpha, matrix), strict=True):
            np.testing.assert_array_equal(was, now)


def test_sharpening_makes_edges_steeper_and_leaves_flat_parts():
    flat = np.full((64, 64, 3), 0.5, np.float32)
    np.testing.assert_allclose(sharpened(flat, 2.0), flat, atol=1e-6)
    edge = np.repeat(np.where(np.arange(64) < 32, 0.4, 0.6)[None, :, None], 64, 0).repeat(3, 2).astype(np.float32)
    steeper = sharpened(edge, 1.0)
    assert steeper[32, 32, 0] - steeper[32, 31, 0] > 0.25
    assert np.array_equal(sharpened(edge, 0.0), edge)
    assert steeper.min() >= 0
    assert steeper.max() <= 1
