"""Every setting of [blend] on one grey frame."""

import numpy as np
import pytest
from av.video.frame import VideoFrame

from faceswap_core.config import BlendSettings
from faceswap_core.faces.border import SIDE
from faceswap_core.faces.color_transfer import measure_colors
from faceswap_core.schemas import NO_APART
from faceswap_core.stages.images import pack
from faceswap_core.stages.paste import paste_all, ready_patch

BARE = ("no_face", "nobody here")
MASK = np.full((32, 32), 255, np.uint8)


def noisy(seed, mean, spread, channels=3):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(mean, spread, (32, 32, channels)), 0, 255).astype(np.uint8)


PATCH, VIEW = noisy(0, [170, 120, 100], 12), noisy(1, [90, 100, 110], 6)


def row(**change):
    given = {
        "frame_index": 3,
        "face_index": -2,  # an interpolated face
        "patch": pack(np.dstack([PATCH, MASK])),
        "view": pack(VIEW),
        "matrix": [1.0, 0, -20, 0, 1.0, -10],
        "mask": pack(MASK),
        "opacity": 1.0,
        "motion": [0.0, 0.0],
        "patch_colors": measure_colors(PATCH, MASK).flat(),
        "view_colors": measure_colors(VIEW, MASK).flat(),
        "apart": pack(np.full((SIDE, SIDE, 3), NO_APART, np.uint8)),
    }
    return given | change


def frame(pix_fmt="yuv444p", noise=0.0):
    grey = np.random.default_rng(2).normal(90, noise, (48, 64, 1)).repeat(3, 2)
    return VideoFrame.from_ndarray(grey.astype(np.uint8), "rgb24").reformat(format=pix_fmt)


def pasted(given=None, noise=0.0, **blend):
    """RGB of the plate, and of the frame with the patch."""
    picture = frame(noise=noise)
    before = picture.to_ndarray(format="rgb24").astype(int)
    state = paste_all(picture, [given or row()], False, BlendSettings(**{"color": "none", **blend}), BARE)
    assert state == ("swapped", "")
    return before, picture.to_ndarray(format="rgb24").astype(int)


INNER = (slice(20, 32), slice(30, 42))


@pytest.mark.parametrize("mode", ["direct", "feather", "laplacian", "poisson", "learned"])
@pytest.mark.parametrize("linear_light", [False, True])
def test_every_mode_shows_the_patch_and_leaves_the_rest(mode, linear_light):
    before, after = pasted(mode=mode, linear_light=linear_light, sharpen=0)
    assert np.abs(after[INNER] - before[INNER]).mean() > 4
    outside = np.ones((48, 64), bool)
    outside[10:42, 20:52] = False
    np.testing.assert_array_equal(after[outside], before[outside])


@pytest.mark.parametrize("color", ["mean", "border", "reinhard", "histogram", "mkl", "detail"])
def test_every_colour_rule_brings_the_plates_colours(color):
    _, plain = pasted(sharpen=0)
    _, after = pasted(color=color, sharpen=0)
    wanted = VIEW.reshape(-1, 3).mean(0)
    assert np.abs(plain[INNER].mean((0, 1)) - wanted).max() > 15
    np.testing.assert_allclose(after[INNER].mean((0, 1)), wanted, atol=7)


def test_the_border_takes_the_plates_skin_and_the_middle_stays():
    apart = np.full((SIDE, SIDE, 3), NO_APART + 10, np.uint8)
    _, means = pasted(color="mean", sharpen=0)
    _, joined = pasted(row(apart=pack(apart)), color="border", sharpen=0)
    more = (joined - means).mean(-1)
    edge = more[14:38, 22:25].mean()  # where half of the patch is seen
    assert edge > 2
    assert abs(more[24:28, 34:38].mean()) < 0.6 * edge


def test_opacity_mixes_frame_and_patch():
    before, full = pasted(sharpen=0)
    _, half = pasted(row(opacity=0.5), sharpen=0)
    np.testing.assert_allclose(half[INNER], (before[INNER] + full[INNER]) / 2, atol=2)


def test_linear_light_is_brighter_than_a_mix_of_code_values():
    white = row(patch=pack(np.full((32, 32, 4), 255, np.uint8)), opacity=0.5)
    _, codes = pasted(white)
    _, light = pasted(white, linear_light=True)
    assert codes[INNER].mean() == pytest.approx((255 + 90) / 2, abs=3)
    wanted = ((1 + (90 / 255) ** 2.4) / 2) ** (1 / 2.4) * 255
    assert light[INNER].mean() == pytest.approx(wanted, abs=3)


def test_the_plates_mask_is_used_where_asked():
    half = MASK.copy()
    half[:, :16] = 0
    before, after = pasted(row(mask=pack(half)), mask="both", sharpen=0)
    assert (after[:, :36] == before[:, :36]).all()
    assert np.abs(after[20:32, 40:46] - before[20:32, 40:46]).mean() > 4


def test_what_the_network_left_out_of_the_plates_face_is_covered_with_its_skin():
    """The network drew skin at the left and left out the right, where A has lashes and its own colours are noise."""
    alpha, drawn = MASK.copy(), PATCH.copy()
    alpha[:, 16:] = 0
    drawn[:, 16:] = noisy(5, 60, 90)[:, 16:]
    given = row(patch=pack(np.dstack([drawn, alpha])), mask=pack(MASK))
    before, narrow = pasted(given, mask="learned", sharpen=0)
    assert (narrow[:, 36:] == before[:, 36:]).all()
    _, after = pasted(given, sharpen=0)
    covered = after[20:32, 38:46]
    np.testing.assert_allclose(covered.mean((0, 1)), PATCH[:, :16].mean((0, 1)), atol=12)
    assert covered.std((0, 1)).max() < 8


@pytest.mark.parametrize("source", ["plate", "either", "both"])
def test_a_missing_mask_fails_the_frame_and_says_why(source):
    picture = frame()
    state, reason = paste_all(picture, [row(mask=None)], False, BlendSettings(mask=source), BARE)
    assert state == "failed"
    assert "blend.mask" in reason


@pytest.mark.parametrize(
    ("side", "part"), [("top", (slice(10, 18), slice(24, 48))), ("left", (slice(14, 38), slice(20, 28)))]
)
def test_single_sides_are_drawn_in(side, part):
    before, after = pasted(**{f"erode_{side}": 0.25}, feather=0)
    np.testing.assert_array_equal(after[part], before[part])


def test_grain_of_the_plate_is_given_to_a_clean_patch():
    clean = row(patch=pack(np.full((32, 32, 4), 128, np.uint8)))
    before, without = pasted(clean, noise=6.0)
    _, after = pasted(clean, noise=6.0, grain=1.0)
    _, again = pasted(clean, noise=6.0, grain=1.0)
    np.testing.assert_array_equal(after, again)
    assert without[INNER].std() < 1
    assert after[INNER].mean(-1).std() == pytest.approx(before[INNER].mean(-1).std(), rel=0.35)


def test_a_sharp_patch_is_softened_to_its_plate():
    """The plate is a flat grey with one soft edge, the patch noise: nothing of it may stay as sharp as it was."""
    y, x = np.mgrid[:48, :64]
    soft = (90 + 60 / (1 + np.exp(-(x + y - 60) / 6)))[..., None].repeat(3, 2).astype(np.uint8)
    results = []
    for soften in (0.0, 1.0):
        picture = VideoFrame.from_ndarray(soft, "rgb24").reformat(format="yuv444p")
        assert paste_all(picture, [row()], False, BlendSettings(sharpen=0, soften=soften), BARE)[0] == "swapped"
        results.append(picture.to_ndarray(format="rgb24").astype(int)[INNER])
    plain, after = (np.diff(r, axis=1).std() for r in results)
    assert after < 0.5 * plain


def test_face_can_be_larger_and_elsewhere():
    normal = ready_patch(row(), BlendSettings())
    larger = ready_patch(row(), BlendSettings(scale=1.5, shift_x=0.25))
    assert larger.rect((640, 480))[2] > 1.4 * normal.rect((640, 480))[2]
    before, after = pasted(shift_x=0.5)
    assert (after[:, 20:36] == before[:, 20:36]).all()
