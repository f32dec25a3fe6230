import numpy as np
import pytest

from faceswap_core.faces.smoothing import smooth_patch

HOW = {"radius": 2, "strength": 1.0, "tolerance": 0.06}


def still(count=7, side=32, noise=4.0, seed=0):
    """RGBA patches of one unmoving picture with noise of its own in every frame."""
    rng = np.random.default_rng(seed)
    base = np.kron(rng.integers(60, 200, (side // 8, side // 8, 4)), np.ones((8, 8, 1)))
    return np.clip(np.round(base + rng.normal(0, noise, (count, side, side, 4))), 0, 255).astype(np.uint8), base


@pytest.mark.parametrize("how", [{"strength": 0.0}, {"radius": 0}])
def test_switched_off_it_gives_the_patch_as_it_is(how):
    patches, _ = still()
    out = smooth_patch(patches, 3, **{**HOW, **how})
    np.testing.assert_array_equal(out, patches[3])
    out[:] = 0
    assert patches[3].any(), "a copy, not the input itself"


def test_noise_of_a_still_picture_is_reduced_and_more_so_by_more_strength():
    patches, base = still()
    errors = [np.abs(smooth_patch(patches, 3, **{**HOW, "strength": s}) - base).mean() for s in (0.0, 0.5, 1.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.7 * errors[0]


def test_equal_patches_pass_unchanged():
    patches = np.repeat(still()[0][:1], 5, axis=0)
    np.testing.assert_array_equal(smooth_patch(patches, 2, **HOW), patches[2])


def test_what_moved_is_kept_while_the_rest_is_steadied():
    patches, base = still(side=64)
    patches[3, 20:44, 20:44, :3] = 255 - patches[3, 20:44, 20:44, :3] // 4
    out = smooth_patch(patches, 3, **HOW)
    inner = (slice(26, 38), slice(26, 38), slice(0, 3))
    assert np.abs(out[inner].astype(int) - patches[3][inner]).max() <= 2, "an opened mouth is not smeared"
    quiet = (slice(0, 8), slice(0, 64))
    assert np.abs(out[quiet] - base[quiet]).mean() < 0.7 * np.abs(patches[3][quiet] - base[quiet]).mean()


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_reach_ends_at_the_radius(radius):
    patches, _ = still(9)
    out = smooth_patch(patches, 4, **{**HOW, "radius": radius})
    for t in range(9):
        other = patches.copy()
        other[t] = still(9, seed=5)[0][t] // 16 + patches[t] - 8
        same = np.array_equal(smooth_patch(other, 4, **{**HOW, "radius": radius}), out)
        assert same == (abs(t - 4) > radius), t


@pytest.mark.parametrize("center", [0, 1, 6])
def test_ends_of_a_track_use_what_there_is(center):
    patches, base = still()
    out = smooth_patch(patches, center, **HOW)
    assert np.abs(out - base).mean() < np.abs(patches[center] - base).mean()


def test_one_patch_alone_passes_unchanged():
    patches, _ = still(1)
    np.testing.assert_array_equal(smooth_patch(patches, 0, **HOW), patches[0])


def test_time_runs_alike_both_ways():
    patches, _ = still()
    forth, back = smooth_patch(patches, 3, **HOW), smooth_patch(patches[::-1], 3, **HOW)
    assert np.abs(forth.astype(int) - back).max() <= 1


def test_alpha_is_steadied_with_the_colours():
    patches, base = still()
    out = smooth_patch(patches, 3, **HOW)
    assert np.abs(out[..., 3] - base[..., 3]).mean() < np.abs(patches[3][..., 3] - base[..., 3]).mean()
