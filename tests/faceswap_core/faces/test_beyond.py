import numpy as np
import pytest
from patches import SIDE, disc

from faceswap_core.faces.beyond import continued

SKIN = np.array([0.8, 0.6, 0.5], np.float32)


def skin_and_noise(alpha):
    """Skin where the network drew a face, noise elsewhere."""
    noise = np.random.default_rng(0).random((SIDE, SIDE, 3)).astype(np.float32)
    return np.where(alpha[..., None] > 0, SKIN, noise)


def test_skin_goes_on_where_nothing_was_drawn():
    alpha = disc(radius=0.3)
    out = continued(skin_and_noise(alpha), alpha)
    np.testing.assert_allclose(out, np.broadcast_to(SKIN, out.shape), atol=1e-3)


def test_the_drawn_face_stays_but_for_its_rim():
    alpha, patch = disc(radius=0.4), np.random.default_rng(1).random((SIDE, SIDE, 3)).astype(np.float32)
    inner = disc(radius=0.25) > 0
    np.testing.assert_allclose(continued(patch, alpha)[inner], patch[inner], atol=1e-2)


def test_a_face_that_fills_the_patch_has_no_rim():
    patch = np.random.default_rng(1).random((SIDE, SIDE, 3)).astype(np.float32)
    np.testing.assert_allclose(continued(patch, np.full((SIDE, SIDE), 255, np.uint8)), patch, atol=1e-5)


def test_dark_hair_at_the_rim_is_not_drawn_out():
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[:, : SIDE // 2] = 255
    patch = skin_and_noise(alpha)
    patch[10:16, SIDE // 2 - 8 : SIDE // 2] = 0.1
    beyond = continued(patch, alpha)[5:21, SIDE // 2 + 4 :]
    assert beyond.min() > 0.8 * SKIN.min()


@pytest.mark.parametrize("side", [16, 64, 256])
def test_colours_stay_in_range_and_an_empty_alpha_leaves_the_patch(side):
    patch = np.random.default_rng(2).random((side, side, 3)).astype(np.float32)
    for alpha in (disc(side), disc(side, radius=0.05)):
        out = continued(patch, alpha)
        assert out.dtype == np.float32
        assert out.min() >= -1e-6
        assert out.max() <= 1 + 1e-6
    np.testing.assert_array_equal(continued(patch, np.zeros((side, side), np.uint8)), patch)
