import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceswap_core.faces.color import ColorMap, ColorSums, color_map, missed_light, sum_colors

seeds = st.integers(0, 2**31)


def picture(seed, low=0, high=256, shape=(12, 10)):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (*shape, 3), dtype=np.uint8), rng.integers(0, 256, shape, dtype=np.uint8)


@given(seeds)
def test_mean_and_deviation_are_those_of_the_weighted_pixels(seed):
    image, mask = picture(seed)
    sums = sum_colors(image, mask)
    colors, weights = image.reshape(-1, 3).astype(float), mask.ravel().astype(float)
    mean = np.average(colors, axis=0, weights=weights)
    np.testing.assert_allclose(sums.mean, mean)
    np.testing.assert_allclose(sums.std, np.sqrt(np.average((colors - mean) ** 2, axis=0, weights=weights)))
    assert sums.weight == pytest.approx(weights.sum() / 255)


def test_pixels_outside_the_mask_do_not_count():
    image, mask = picture(0)
    mask[:6] = 0
    other = image.copy()
    other[:6] = 255 - other[:6]
    np.testing.assert_array_equal(sum_colors(image, mask).total, sum_colors(other, mask).total)


@given(seeds, seeds)
def test_sums_of_two_pictures_are_those_of_both_together(one, two):
    first, second = picture(one), picture(two)
    added = sum_colors(*first) + sum_colors(*second)
    both = sum_colors(np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]]))
    np.testing.assert_allclose(added.mean, both.mean)
    np.testing.assert_allclose(added.std, both.std)
    assert added.weight == pytest.approx(both.weight)


def test_empty_sums_are_zero_and_not_nan():
    empty = ColorSums(np.zeros(3), np.zeros(3), 0.0)
    assert empty.mean.tolist() == empty.std.tolist() == [0, 0, 0]


def mapped(found, image, mask):
    """Mean and deviation of the mapped, unclipped colours."""
    colors = found.apply(image).reshape(-1, 3).astype(float)
    mean = np.average(colors, axis=0, weights=mask.ravel())
    return mean, np.sqrt(np.average((colors - mean) ** 2, axis=0, weights=mask.ravel()))


@given(seeds, seeds)
def test_mean_rule_brings_the_mean_of_a_exactly_to_that_of_b(one, two):
    a, b = picture(one, 0, 120), picture(two, 100, 256)
    before = sum_colors(*a)
    found = color_map("mean", before, sum_colors(*b))
    mean, std = mapped(found, *a)
    np.testing.assert_allclose(mean, sum_colors(*b).mean, atol=1e-3)
    np.testing.assert_allclose(std, before.std, atol=1e-3)


@given(seeds, seeds)
def test_std_rule_brings_mean_and_deviation_of_a_to_those_of_b(one, two):
    a, b = picture(one, 30, 150), picture(two, 60, 256)
    mean, std = mapped(color_map("std", sum_colors(*a), sum_colors(*b)), *a)
    np.testing.assert_allclose(mean, sum_colors(*b).mean, atol=1e-3)
    np.testing.assert_allclose(std, sum_colors(*b).std, atol=1e-3)


@pytest.mark.parametrize(("a", "b", "factor"), [((0, 256), (128, 132), 1 / 3), ((128, 132), (0, 256), 3)])
def test_std_rule_stretches_at_most_threefold_and_still_meets_the_mean(a, b, factor):
    a, b = picture(1, *a), picture(2, *b)
    found = color_map("std", sum_colors(*a), sum_colors(*b))
    np.testing.assert_allclose(found.scale, factor)
    np.testing.assert_allclose(mapped(found, *a)[0], sum_colors(*b).mean, atol=1e-3)


def test_std_rule_of_a_flat_face_is_finite():
    flat = np.full((4, 4, 3), 90, np.uint8), np.full((4, 4), 255, np.uint8)
    found = color_map("std", sum_colors(*flat), sum_colors(*picture(0)))
    assert np.isfinite(found.scale).all()
    assert np.isfinite(found.inverse().scale).all()


def test_rule_none_changes_nothing():
    image, mask = picture(3)
    found = color_map("none", sum_colors(image, mask), sum_colors(*picture(4)))
    np.testing.assert_array_equal(found.apply(image), image)


@given(seeds, seeds)
def test_inverse_brings_the_colours_back(one, two):
    a, b = picture(one, 30, 150), picture(two, 60, 256)
    found = color_map("std", sum_colors(*a), sum_colors(*b))
    np.testing.assert_allclose(found.inverse().apply(found.apply(a[0])), a[0], atol=1e-3)


def test_colours_are_not_clipped_by_the_map():
    out = ColorMap(np.full(3, 2.0), np.zeros(3)).apply(np.full((1, 1, 3), 200, np.uint8))
    assert out.dtype == np.float32
    assert out.tolist() == [[[400, 400, 400]]]


class TestMissedLight:
    """A face of noise, drawn again without the light that falls on it."""

    AXIS = np.linspace(-1, 1, 16, dtype=np.float32)

    def views(self, light):
        face = np.random.default_rng(1).uniform(90, 160, (2, 16, 16, 3)).astype(np.float32)
        return face + light, face

    def test_level_and_slope_come_back(self):
        light = np.float32(5) + 8 * self.AXIS[None, None, :, None] - 4 * self.AXIS[None, :, None, None]
        light = light * np.array([1, 0.5, -1], np.float32)
        views, again = self.views(light)
        found = missed_light(views, again, np.ones((2, 16, 16), np.float32))
        np.testing.assert_allclose(found, np.broadcast_to(light, found.shape), atol=0.1)

    def test_only_the_mask_counts(self):
        views, again = self.views(np.zeros(3, np.float32))
        views[:, :8] += 20
        masks = np.ones((2, 16, 16), np.float32)
        masks[:, :8] = 0
        np.testing.assert_allclose(missed_light(views, again, masks), 0, atol=0.1)

    def test_what_is_no_light_moves_it_little(self):
        views, again = self.views(np.zeros(3, np.float32))
        views[:, 4:12, 2:6] = 255  # a white hand over an eighth of the view
        found = missed_light(views, again, np.ones((2, 16, 16), np.float32))
        assert np.abs(found).max() < 25 / 2

    def test_without_a_mask_there_is_no_light(self):
        views, again = self.views(np.full(3, 9, np.float32))
        np.testing.assert_array_equal(missed_light(views, again, np.zeros((2, 16, 16), np.float32)), 0)
