from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from faceswap_core.models.augment import (
    Augmentation,
    chip_grids,
    pixel_maps,
    plain_views,
    random_light,
    random_maps,
    sample_pairs,
    sample_pairs_on,
)
from faceswap_core.models.faces import Chips

NOTHING = Augmentation(rotation=0, zoom=0, shift=0, flip=0, warp=0, light=0, color=0)
FULL = Augmentation(rotation=10, zoom=0.05, shift=0.05, flip=0.4, warp=0.03, light=0.2, color=0.1)


def chips(count=5, size=96, seed=0, channels=4):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, size // 8, size // 8, channels), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))


def pairs(how, seed=0, resolution=64, coverage=0.625, of=None):
    of = chips() if of is None else of
    grids = grids_of(how, of, seed, coverage)
    both = sample_pairs(Chips.of(of), np.arange(len(of)), grids, resolution)[0].astype(np.float32)
    return both[:, :resolution], both[:, resolution:]


def grids_of(how, of, seed=0, coverage=0.625):
    maps = random_maps(np.random.default_rng(seed), len(of), how)
    return chip_grids(maps, size=of.shape[1], coverage=coverage)


@pytest.mark.parametrize(("resolution", "coverage"), [(64, 0.625), (128, 0.625), (64, 0.5)])
def test_without_any_change_both_views_are_the_plain_ones(resolution, coverage):
    warped, target = pairs(NOTHING, resolution=resolution, coverage=coverage)
    plain = plain_views(chips(), resolution=resolution, coverage=coverage)
    # fixed-point interpolation in OpenCV: 5 bits of place, so a step of 255 may differ by 255 / 32
    for views in (warped, target):
        assert np.abs(views - plain).max() <= 8
        assert np.abs(views - plain).mean() < 0.5


def test_views_are_of_the_wanted_size():
    for views in pairs(FULL, resolution=128):
        assert views.shape == (5, 128, 128, 4)
        assert 0 <= views.min() < views.max() <= 255


def test_chosen_chips_are_the_ones_drawn():
    of = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.full((1, 96, 96, 4), 40, np.uint8)
    both, _ = sample_pairs(Chips.of(of), np.array([5, 0, 5]), grids_of(FULL, of[:3]), 64)
    assert both[:, 30, 30, 0].tolist() == [200, 0, 200]


@pytest.mark.parametrize(("resolution", "coverage"), [(64, 0.625), (128, 0.9)])
def test_both_ways_to_draw_give_the_same_views(resolution, coverage):
    """Where OpenCV places samples to 1/32 pixel, a chip of steps may differ by a few of its 255."""
    smooth = cv2.GaussianBlur(chips(4, channels=6).transpose(1, 2, 0, 3).reshape(96, 96, 24), (0, 0), 3)
    of = Chips.of(smooth.reshape(96, 96, 4, 6).transpose(2, 0, 1, 3))
    chosen, grids = np.array([3, 0, 2, 2, 1]), grids_of(FULL, chips(5), coverage=coverage)
    colors, features = sample_pairs(of, chosen, grids, resolution)
    sent = torch.from_numpy(of.colors), torch.from_numpy(of.features)
    on_device = sample_pairs_on(sent, torch.from_numpy(chosen), torch.from_numpy(grids), resolution)
    assert features.shape == (5, 2, resolution, resolution)
    for one, other in zip((colors.transpose(0, 3, 1, 2), features), on_device, strict=True):
        assert np.abs(one - other.numpy()).max() <= 1.6
        assert np.abs(one - other.numpy()).mean() < 0.35


def test_target_map_is_the_similarity_itself():
    maps = random_maps(np.random.default_rng(0), 3, FULL)
    found = pixel_maps(chip_grids(maps, size=96, coverage=0.625), 64)
    axis = (np.arange(64) + 0.5) / 32 - 1
    place = axis[None, :] + 1j * axis[:, None]
    for (x, y), (factor, shift), flip in zip(found[:, :, 64:], *maps[1:], strict=True):
        wanted = factor * place + shift
        np.testing.assert_allclose(x, wanted.real * flip * 30 + 47.5, atol=1e-4)
        np.testing.assert_allclose(y, wanted.imag * 30 + 47.5, atol=1e-4)


def test_crop_never_leaves_the_view_and_cuts_off_no_more_than_asked():
    _, similarity, _ = random_maps(np.random.default_rng(0), 3000, replace(NOTHING, crop=0.2))
    size, place = np.abs(similarity[:, 0]), similarity[:, 1]
    assert 0.8 <= size.min() < 0.81
    assert 0.99 < size.max() <= 1
    assert (np.abs(place.real) + size <= 1 + 1e-9).all()
    assert (np.abs(place.imag) + size <= 1 + 1e-9).all()


def test_same_numbers_give_the_same_views_and_others_do_not():
    for one, two, other in zip(pairs(FULL, 1), pairs(FULL, 1), pairs(FULL, 2), strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.abs(one - other).mean() > 1


def test_full_flip_mirrors_every_view():
    flipped, _ = pairs(replace(NOTHING, flip=1.0))
    plain, _ = pairs(NOTHING)
    assert np.abs(flipped - plain[:, :, ::-1]).mean() < 0.5


def test_only_the_warp_tells_input_from_target():
    warped, target = pairs(replace(FULL, warp=0))
    assert np.abs(warped - target).max() <= 8
    warped, target = pairs(FULL)
    assert np.abs(warped - target).mean() > 1


def test_share_of_mirrored_samples_is_the_chance_of_a_flip():
    _, _, flips = random_maps(np.random.default_rng(0), 4000, replace(NOTHING, flip=0.3))
    assert (flips < 0).mean() == pytest.approx(0.3, abs=0.03)


def test_target_is_the_similarity_that_fits_the_disturbed_grid_best():
    grids, similarity, _ = random_maps(np.random.default_rng(0), 20, replace(FULL, warp=0.1))
    axis = np.linspace(-1, 1, 5)
    regular = (axis[None, :] + 1j * axis[:, None]).ravel()
    for grid, (factor, shift) in zip(grids.reshape(20, -1), similarity, strict=True):
        solution, *_ = np.linalg.lstsq(np.stack([regular, np.ones(25)], 1), grid, rcond=None)
        np.testing.assert_allclose([factor, shift], solution, atol=1e-9)


def test_amounts_stay_within_what_was_asked():
    how = replace(FULL, warp=0)
    _, similarity, _ = random_maps(np.random.default_rng(0), 2000, how)
    factor, shift = similarity.T
    angle, size = np.degrees(np.angle(factor)), np.abs(factor)
    assert 9 < np.abs(angle).max() <= 10
    assert 1.045 < size.max() <= 1.05
    assert 0.95 <= size.min() < 0.955
    # the view spans -1..1, so a share of .05 of its side is .1
    assert 0.095 < np.abs(shift.real).max() <= 0.1
    assert 0.095 < np.abs(shift.imag).max() <= 0.1


def test_warp_is_the_deviation_of_the_grid_as_a_share_of_the_side():
    grids, _, _ = random_maps(np.random.default_rng(0), 2000, replace(NOTHING, warp=0.03125))
    axis = np.linspace(-1, 1, 5)
    noise = grids - (axis[None, :] + 1j * axis[:, None])
    assert noise.real.std() / 2 == pytest.approx(0.03125, rel=0.05)
    assert noise.imag.std() / 2 == pytest.approx(0.03125, rel=0.05)


def test_plain_view_is_the_inner_square_pixel_for_pixel_where_sizes_allow():
    view = plain_views(chips(size=128), resolution=64, coverage=0.5)
    np.testing.assert_array_equal(view, chips(size=128)[:, 32:96, 32:96])


def test_no_chips_give_no_views():
    none = np.empty((0, 96, 96, 4), np.uint8)
    for views in (plain_views(none, resolution=64, coverage=0.625), *pairs(FULL, of=none)):
        assert views.shape == (0, 64, 64, 4)


def test_no_light_and_no_colour_draw_nothing():
    gains, slopes = random_light(np.random.default_rng(0), 3, NOTHING)
    assert (gains == 1).all()
    assert (slopes == 0).all()


def test_light_is_a_slope_about_a_gain_of_the_whole_view():
    gains, slopes = random_light(np.random.default_rng(0), 6000, replace(FULL, light=0.2, color=0.1))
    gains = np.log(gains)
    assert gains.mean(-1).std() == pytest.approx(np.hypot(0.1, 0.05 / np.sqrt(3)), rel=0.1)
    assert (gains - gains.mean(-1, keepdims=True)).std() == pytest.approx(0.05 * np.sqrt(2 / 3), rel=0.1)
    assert slopes.std(0) == pytest.approx([0.2, 0.2], rel=0.1)


def test_chips_are_left_as_they_were():
    given = chips()
    pairs(FULL, of=given)
    np.testing.assert_array_equal(given, chips())
