import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patches import SIDE, disc, frame_to_patch, smooth_frame

from faceswap_core.faces.blend import patch_rect, placed
from faceswap_core.faces.blenders import BLENDERS
from faceswap_core.faces.blenders.poisson import harmonic
from faceswap_core.faces.edges import Edge, soft

COMPOSITES = ("direct", "feather", "learned")


def blended(mode, frame, patch, alpha, matrix):
    height, width = frame.shape[:2]
    rect = patch_rect(matrix, patch.shape[0], (width, height))
    x, y, w, h = rect
    out = frame.copy()
    out[y : y + h, x : x + w] = BLENDERS[mode].mix(frame[y : y + h, x : x + w], *placed(patch, alpha, matrix, rect))
    return out


@pytest.mark.parametrize("mode", BLENDERS)
class TestEveryBlender:
    def test_patch_cut_by_the_same_matrix_gives_the_frame_back(self, mode):
        frame, matrix = smooth_frame(), frame_to_patch(90, 80, 60, 12)
        patch = cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
        alpha = soft(disc(), Edge(0.1, 0))
        assert np.abs(blended(mode, frame, patch, alpha, matrix) - frame).max() < 0.02

    def test_pixels_without_alpha_keep_their_exact_value(self, mode):
        frame = np.random.default_rng(0).random((160, 200, 3)).astype(np.float32)
        matrix = frame_to_patch(90, 80, 60, 12)
        black, nowhere = np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.float32)
        out = blended(mode, frame, black, nowhere, matrix)
        assert out.tobytes() == frame.tobytes()
        alpha = soft(disc(radius=0.3), Edge(0.1, 0))
        out = blended(mode, frame, black, alpha, matrix)
        y, x = np.mgrid[:160, :200]
        far = np.hypot(x - 90, y - 80) > 0.3 * 60 + 2
        assert out[far].tobytes() == frame[far].tobytes()
        assert np.abs(out - frame).max() > 0.3

    def test_arguments_are_left_as_they_were(self, mode):
        frame, matrix = smooth_frame(), frame_to_patch()
        alpha, patch = soft(disc(), Edge(0.1, 0)), np.ones((SIDE, SIDE, 3), np.float32)
        before = [a.copy() for a in (frame, patch, alpha, matrix)]
        blended(mode, frame, patch, alpha, matrix)
        for was, now in zip(before, (frame, patch, alpha, matrix), strict=True):
            np.testing.assert_array_equal(was, now)

    @given(st.integers(9, 70), st.integers(9, 70), st.data())
    def test_an_image_onto_itself_stays_as_it_is_for_even_odd_and_border_boxes(self, mode, width, height, data):
        """Compared in 8 bit, as a video stores it."""
        left, top = data.draw(st.integers(0, width - 2)), data.draw(st.integers(0, height - 2))
        right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
        mask = np.zeros((height, width), np.float32)
        mask[top:bottom, left:right] = data.draw(st.sampled_from([1.0, 0.6]))
        image = np.random.default_rng(width * 100 + height).random((height, width, 3)).astype(np.float32)
        out = BLENDERS[mode].mix(image, image.copy(), mask)
        assert np.abs(np.rint(out * 255) - np.rint(image * 255)).max() <= 1

    @pytest.mark.parametrize("box", [(10, 40, 10, 50), (11, 40, 9, 52), (0, 30, 20, 64), (30, 61, 0, 64)])
    def test_content_is_never_shifted(self, mode, box):
        """A blob in the middle of the patch is where it was, to a tenth of a pixel, for even, odd and border boxes."""
        top, bottom, left, right = box
        y, x = np.mgrid[:61, :64].astype(np.float32)
        cy, cx = (top + bottom - 1) / 2, (left + right - 1) / 2
        blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 18)[..., None].repeat(3, 2)
        frame = np.full((61, 64, 3), 0.2, np.float32)
        weight = np.zeros((61, 64), np.float32)
        weight[top:bottom, left:right] = 1
        out = BLENDERS[mode].mix(frame, frame + 0.5 * blob, weight)[..., 0] - 0.2
        found = [(out * axis).sum() / out.sum() for axis in (y, x)]
        np.testing.assert_allclose(found, [cy, cx], atol=0.1)


@pytest.mark.parametrize("mode", COMPOSITES)
class TestComposites:
    @pytest.mark.parametrize("place", [(90, 80), (3, 80), (90, 158), (199, 2)])
    def test_patch_lands_where_its_matrix_says_at_the_frames_edge_too(self, mode, place):
        frame, matrix = np.zeros((160, 200, 3), np.float32), frame_to_patch(*place, 60, 25)
        patch = np.ones((SIDE, SIDE, 3), np.float32)
        out = blended(mode, frame, patch, soft(disc(), Edge(0, 0)), matrix)[..., 0]
        y, x = np.mgrid[:160, :200]
        distance = np.hypot(x - place[0], y - place[1])
        assert (out[distance < 0.4 * 60 - 3] > 0.99).all()
        assert (out[distance > 0.4 * 60 + 2] == 0).all()

    def test_full_alpha_shows_the_patch_alone(self, mode):
        frame, matrix = smooth_frame(), frame_to_patch(90, 80, 60, 0)
        patch = np.full((SIDE, SIDE, 3), 0.25, np.float32)
        out = blended(mode, frame, patch, soft(disc(), Edge(0, 0)), matrix)
        np.testing.assert_allclose(out[70:90, 80:100], 0.25, atol=1e-4)


@pytest.mark.parametrize("mode", COMPOSITES)
def test_full_weight_shows_the_patch_alone(mode):
    frame, over = smooth_frame(), np.full((160, 200, 3), 0.25, np.float32)
    np.testing.assert_allclose(BLENDERS[mode].mix(frame, over, np.ones((160, 200), np.float32)), over, atol=1e-6)


class TestLaplacian:
    def test_coarse_structure_passes_over_more_softly_than_fine(self):
        side = 128
        weight = np.zeros((side, side), np.float32)
        weight[24:-24, 24:-24] = 1
        frame = np.full((side, side, 3), 0.4, np.float32)
        brighter = frame + 0.2
        stripes = frame + np.where(np.arange(side) % 2, 0.1, -0.1)[None, :, None].astype(np.float32)
        plain = BLENDERS["laplacian"].mix(frame, brighter, weight)[side // 2, :, 0] - 0.4
        fine = BLENDERS["laplacian"].mix(frame, stripes, weight)[side // 2, :, 0] - 0.4
        assert plain[28] < 0.1 < plain[side // 2], "the step of brightness is spread"
        assert np.abs(fine[28:100]).min() > 0.08, "the stripes are there at once"


class TestPoisson:
    def box(self, top, bottom, left, right, shape=(40, 47)):
        weight = np.zeros(shape, np.float32)
        weight[top:bottom, left:right] = 1
        return weight

    @pytest.mark.parametrize("box", [(5, 30, 6, 40), (0, 30, 6, 40), (5, 40, 0, 47)])
    def test_another_brightness_of_the_same_image_vanishes(self, box):
        image = smooth_frame(40, 47)
        out = BLENDERS["poisson"].mix(image, image + np.float32(0.2), self.box(*box))
        np.testing.assert_allclose(out, image, atol=1e-5)

    def test_membrane_is_harmonic(self):
        """x, y and x^2 - y^2 are: known around a box, they are found again inside."""
        y, x = np.mgrid[:60, :71] / np.float32(60)
        wanted = np.stack([x, y, x**2 - y**2], axis=-1).astype(np.float32)
        known = np.ones((60, 71), bool)
        known[8:50, 9:66] = False
        found = harmonic(np.where(known[..., None], wanted, 7), known)
        np.testing.assert_allclose(found, wanted, atol=0.03)

    def test_nothing_known_is_zero(self):
        assert not harmonic(np.ones((5, 6, 3), np.float32), np.zeros((5, 6), bool)).any()

    def test_patch_keeps_its_detail_and_takes_the_colour_around(self):
        frame = np.full((48, 48, 3), 0.3, np.float32)
        over = np.full((48, 48, 3), 0.7, np.float32)
        over[24, 24] = 0.9
        out = BLENDERS["poisson"].mix(frame, over, self.box(8, 40, 8, 40, (48, 48)))
        assert out[24, 24, 0] == pytest.approx(0.5, abs=0.01)
        assert out[16, 16, 0] == pytest.approx(0.3, abs=0.01)
