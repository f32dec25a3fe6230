from dataclasses import replace

import cv2
import numpy as np
import pytest

from faceswap_core.faces.motion import flow_between
from faceswap_core.faces.smoothing import Moment, Steadiness, steady_patch, time_weights

HOW = Steadiness(strength=1.0, detail=1.0, radius=2, tolerance=0.04)
SIDE = 64


def texture(seed=0, side=SIDE * 2):
    """A face stand-in: soft blobs, (side, side, 3) 0..255."""
    noise = np.random.default_rng(seed).random((side, side, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip((soft - soft.mean()) * 700 + 128, 0, 255)


def cut(image, dx=0.0, dy=0.0):
    """The middle of a picture, moved by a fraction of a pixel."""
    matrix = np.array([[1, 0, dx - SIDE / 2], [0, 1, dy - SIDE / 2]], np.float64)
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def linked(patches, views):
    """A run of moments from float images."""
    padding = ((0, 0), (0, 0), (0, 1))
    moments = [Moment(p.astype(np.float32), np.pad(v, padding)) for p, v in zip(patches, views, strict=True)]
    as8 = [np.clip(np.rint(v), 0, 255).astype(np.uint8) for v in views]
    return [
        replace(m, ahead=flow_between(one, other), back=flow_between(other, one))
        for m, one, other in zip(moments, as8, as8[1:], strict=False)
    ] + moments[-1:]


def moving(count=9, noise=4.0, step=1.5, seed=0):
    """A plate that glides, a swap that glides with it and trembles on its own; and the swap without the noise."""
    rng = np.random.default_rng(seed)
    plate, face = texture(1), np.dstack([texture(2), np.full((SIDE * 2, SIDE * 2), 255, np.float32)])
    views = [cut(plate, step * t, 0.5 * step * t) for t in range(count)]
    clean = [cut(face, step * t, 0.5 * step * t) for t in range(count)]
    return views, [c + rng.normal(0, noise, c.shape) for c in clean], clean


INNER = (slice(12, -12), slice(12, -12), slice(0, 3))


def apart(one, other):
    return float(np.sqrt(((one[INNER].astype(float) - other[INNER]) ** 2).mean()))


@pytest.mark.parametrize("how", [{"strength": 0.0}, {"radius": 0}])
def test_switched_off_it_gives_the_patch_as_it_is(how):
    views, patches, _ = moving(5)
    patches = [np.clip(np.rint(p), 0, 255) for p in patches]
    out = steady_patch(linked(patches, views), 2, replace(HOW, **how))
    np.testing.assert_array_equal(out, patches[2])


def test_noise_of_a_moving_face_is_reduced_and_more_so_by_more_strength():
    views, patches, clean = moving()
    run = linked(patches, views)
    errors = [apart(steady_patch(run, 4, replace(HOW, strength=s)), clean[4]) for s in (0.0, 0.5, 1.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.75 * errors[0]


def test_without_its_motion_the_face_would_be_smeared():
    views, patches, clean = moving(noise=0, step=3)
    run = linked(patches, views)
    still = [
        replace(m, ahead=np.zeros((SIDE, SIDE, 2), np.float32), back=np.zeros((SIDE, SIDE, 2), np.float32)) for m in run
    ]
    compensated, smeared = (apart(steady_patch(r, 4, replace(HOW, tolerance=1.0)), clean[4]) for r in (run, still))
    assert compensated < 0.35 * smeared


def test_there_is_no_lag():
    """An error that ramps up and down passes unshifted: the result at its peak is highest there."""
    views, _, clean = moving(11)
    lift = [max(0, 4 - abs(t - 5)) * 8.0 for t in range(11)]
    run = linked([c + np.array([up, up, up, 0]) for c, up in zip(clean, lift, strict=True)], views)
    found = [float((steady_patch(run, t, HOW)[INNER] - clean[t][INNER]).mean()) for t in range(2, 9)]
    assert np.argmax(found) == 3
    np.testing.assert_allclose(found, found[::-1], atol=1.0)


def test_what_changes_in_the_plate_is_kept():
    """A blink: the plate's eye is shut in one frame, and so is the swap's."""
    views, patches, _ = moving(7, noise=0, step=0)
    views, patches = [v.copy() for v in views], [p.copy() for p in patches]
    views[3][24:40, 24:40] = 40
    patches[3][24:40, 24:40, :3] = 60
    out = steady_patch(linked(patches, views), 3, HOW)
    inner = (slice(28, 36), slice(28, 36), slice(0, 3))
    assert np.abs(out[inner].astype(float) - patches[3][inner]).mean() < 4
    following = steady_patch(linked(patches, views), 4, HOW)
    assert np.abs(following[inner].astype(float) - patches[4][inner]).mean() < 4


def test_a_change_of_light_is_carried_over():
    views, patches, _ = moving(7, noise=0, step=0)
    glow = [6.0 * t for t in range(7)]
    views = [v * 0.5 + 40 + g for v, g in zip(views, glow, strict=True)]
    patches = [p * 0.5 + 40 + np.array([g, g, g, 0]) for p, g in zip(patches, glow, strict=True)]
    patches[3][..., :3] += 8  # the network's own flicker
    out = steady_patch(linked(patches, views), 3, HOW)
    assert float((out[INNER] - (patches[3][INNER] - 8)).mean()) == pytest.approx(8 / time_weights(2).sum(), abs=1)


def test_detail_can_be_left_while_brightness_is_steadied():
    views, patches, clean = moving()
    patches[4] = patches[4] + np.array([12, 12, 12, 0])
    run = linked(patches, views)
    all_of_it, coarse = steady_patch(run, 4, HOW), steady_patch(run, 4, replace(HOW, detail=0.0))
    for out in (all_of_it, coarse):
        assert abs(float((out[INNER] - clean[4][INNER]).mean())) < 7
    fine = [
        o[INNER].astype(float) - cv2.GaussianBlur(o[INNER].astype(float), (0, 0), 2)
        for o in (patches[4], coarse, all_of_it)
    ]
    assert np.abs(fine[1] - fine[0]).mean() < 0.5 * np.abs(fine[2] - fine[0]).mean()


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_reach_ends_at_the_radius(radius):
    views, patches, _ = moving(9, step=0)
    out = steady_patch(linked(patches, views), 4, replace(HOW, radius=radius))
    for t in range(9):
        other = [p + 30 if i == t else p for i, p in enumerate(patches)]
        same = np.array_equal(steady_patch(linked(other, views), 4, replace(HOW, radius=radius)), out)
        assert same == (abs(t - 4) > radius), t


@pytest.mark.parametrize("center", [0, 1, 8])
def test_ends_of_a_run_use_what_there_is(center):
    views, patches, clean = moving()
    assert apart(steady_patch(linked(patches, views), center, HOW), clean[center]) < apart(
        patches[center], clean[center]
    )


def test_one_patch_alone_passes_unchanged():
    views, patches, _ = moving(1)
    patches = [np.clip(np.rint(patches[0]), 0, 255)]
    np.testing.assert_array_equal(steady_patch(linked(patches, views), 0, HOW), patches[0])


def test_alpha_is_steadied_with_the_colours():
    views, patches, clean = moving(step=0)
    for t, patch in enumerate(patches):
        patch[..., 3] = clean[t][..., 3] / 2 + patch[..., 3] - clean[t][..., 3]
    out = steady_patch(linked(patches, views), 4, HOW)[..., 3].astype(float)
    assert np.abs(out - 127.5).mean() < 0.7 * np.abs(patches[4][..., 3] - 127.5).mean()


@pytest.mark.parametrize("side", [64, 128])
def test_flow_says_where_each_pixel_went(side):
    picture = texture(3, side * 2)
    one, other = (np.roll(picture, 3 * i, axis=1)[:side, :side].astype(np.uint8) for i in range(2))
    flow = flow_between(one, other)[12:-12, 12:-12]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [3, 0], atol=0.15)
