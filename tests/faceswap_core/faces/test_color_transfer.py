import cv2
import numpy as np
import pytest

from faceswap_core.faces.border import SIDE as BORDER_SIDE
from faceswap_core.faces.color_transfer import (
    COLOR_TRANSFERS,
    FLAT_LENGTH,
    ColorStats,
    Look,
    averaged,
    centred,
    measure_colors,
)

SIDE = 48
FULL = np.full((SIDE, SIDE), 255, np.uint8)
MATCHING = [name for name in COLOR_TRANSFERS if name not in ("none", "detail")]


def skin(seed, mean, spread):
    """Correlated colours of a soft texture, (S, S, 3) uint8."""
    noise = np.random.default_rng(seed).random((SIDE, SIDE, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2) - 0.5
    mixed = soft @ np.array([[1, 0.6, 0.3], [0.2, 1, 0.4], [0.1, 0.3, 1]], np.float32)
    return np.clip(mean + mixed / mixed.std((0, 1)) * spread, 0, 255).astype(np.uint8)


PATCH, PLATE = skin(0, [150, 110, 90], [18, 14, 12]), skin(1, [110, 95, 100], [10, 16, 9])


def look(patch=PATCH, plate=PLATE, mask=FULL):
    return Look(
        patch=measure_colors(patch, mask),
        plate=measure_colors(plate, mask),
        view=lambda: plate.astype(np.float32) / 255,
        mask=mask.astype(np.float32) / 255,
        weight=mask.astype(np.float32) / 255,
        apart=lambda: np.zeros((BORDER_SIDE, BORDER_SIDE, 3), np.float32),
    )


def moved(name, patch=PATCH, **how):
    return COLOR_TRANSFERS[name](patch.astype(np.float32) / 255, look(patch, **how))


@pytest.mark.parametrize("name", COLOR_TRANSFERS)
class TestEveryTransfer:
    def test_colours_that_agree_are_left(self, name):
        np.testing.assert_allclose(moved(name, plate=PATCH), PATCH / 255, atol=2 / 255)

    def test_one_flat_colour_becomes_no_nonsense(self, name):
        flat = np.full((SIDE, SIDE, 3), 100, np.uint8)
        for patch, plate in ((flat, PLATE), (PATCH, flat), (flat, flat)):
            out = moved(name, patch, plate=plate)
            assert np.isfinite(out).all()
            assert -0.5 < out.min() <= out.max() < 1.5

    def test_arguments_are_left_as_they_were(self, name):
        given, other = PATCH.astype(np.float32) / 255, look()
        before = given.copy()
        COLOR_TRANSFERS[name](given, other)
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("name", MATCHING)
def test_mean_becomes_that_of_the_plate(name):
    np.testing.assert_allclose(moved(name).mean((0, 1)) * 255, PLATE.mean((0, 1)), atol=2)


@pytest.mark.parametrize("name", ["histogram", "mkl"])
def test_deviation_becomes_that_of_the_plate(name):
    np.testing.assert_allclose(moved(name).std((0, 1)) * 255, PLATE.std((0, 1)), atol=1.5)


def test_reinhard_works_on_lightness_and_chroma():
    lab = cv2.cvtColor(moved("reinhard").astype(np.float32), cv2.COLOR_RGB2LAB)
    stats = measure_colors(PLATE, FULL)
    np.testing.assert_allclose(lab.std((0, 1)), stats.lab_std, atol=0.3)


def test_linear_map_brings_the_whole_covariance():
    out = moved("mkl").reshape(-1, 3) * 255
    np.testing.assert_allclose(np.cov(out, rowvar=False), measure_colors(PLATE, FULL).covariance, rtol=0.05, atol=2)


def test_none_returns_the_patch():
    np.testing.assert_array_equal(moved("none"), PATCH.astype(np.float32) / 255)


def test_detail_has_the_plates_brightness_and_the_patchs_edges():
    y, x = np.mgrid[:SIDE, :SIDE]
    plate = np.clip(60 + 2 * x, 0, 255)[..., None].repeat(3, 2).astype(np.uint8)
    patch = (120 + 30 * ((x + y) % 2))[..., None].repeat(3, 2).astype(np.uint8)
    out = moved("detail", patch, plate=plate)[12:-12, 12:-12, 0] * 255
    np.testing.assert_allclose(cv2.blur(out, (9, 9))[8:-8, 8:-8], plate[20:-20, 20:-20, 0], atol=4)
    assert np.abs(np.diff(out, axis=1)).mean() > 25


def test_only_what_lies_under_the_mask_is_counted():
    half = FULL.copy()
    half[:, : SIDE // 2] = 0
    other = PATCH.copy()
    other[:, : SIDE // 2] = 255
    np.testing.assert_array_equal(measure_colors(other, half).flat(), measure_colors(PATCH, half).flat())
    assert measure_colors(PATCH, np.zeros_like(FULL)) is None


def test_statistics_survive_as_a_row_of_numbers():
    stats = measure_colors(PATCH, FULL)
    assert len(stats.flat()) == FLAT_LENGTH
    np.testing.assert_array_equal(ColorStats.from_flat(stats.flat()).flat(), stats.flat())


def test_average_weighs_frames():
    one, other = measure_colors(PATCH, FULL), measure_colors(PLATE, FULL)
    mixed = ColorStats.from_flat(averaged([one.flat(), other.flat()], [3, 1]))
    np.testing.assert_allclose(mixed.mean, (3 * one.mean + other.mean) / 4)
    np.testing.assert_allclose(mixed.quantiles, (3 * one.quantiles + other.quantiles) / 4)


def test_figures_are_those_of_plain_statistics():
    pixels = PATCH.reshape(-1, 3).astype(float)
    stats = measure_colors(PATCH, FULL)
    np.testing.assert_allclose(stats.mean, pixels.mean(0))
    np.testing.assert_allclose(stats.covariance, np.cov(pixels, rowvar=False, bias=True))
    np.testing.assert_allclose(stats.quantiles, np.quantile(pixels, np.linspace(0, 1, 17), axis=0).T)
    lab = cv2.cvtColor(PATCH.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    np.testing.assert_allclose(stats.lab_mean, lab.mean(0), rtol=1e-4)
    np.testing.assert_allclose(stats.lab_std, lab.std(0), rtol=1e-4)


def test_a_single_pixel_has_its_own_colour_as_every_quantile():
    mask = np.zeros_like(FULL)
    mask[5, 7] = 255
    np.testing.assert_array_equal(measure_colors(PATCH, mask).quantiles, PATCH[5, 7][:, None].repeat(17, 1))


def test_statistics_moved_to_another_mean_keep_their_spread():
    here, there = measure_colors(PATCH, FULL), measure_colors(PLATE, FULL)
    moved = ColorStats.from_flat(centred(here.flat(), PLATE, FULL))
    np.testing.assert_allclose(moved.mean, there.mean)
    np.testing.assert_allclose(moved.lab_mean, there.lab_mean, rtol=1e-4)
    np.testing.assert_allclose(moved.quantiles - moved.mean[:, None], here.quantiles - here.mean[:, None])
    for name in ("covariance", "lab_std"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(here, name))
    assert centred(here.flat(), PLATE, np.zeros_like(FULL)) is None
