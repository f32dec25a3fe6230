import cv2
import numpy as np
import pytest

from faceswap_core.quality.metrics import background_leak, seam_ratio, sharpness
from faceswap_core.quality.temporal import (
    correlation,
    flicker,
    flickers,
    lab_apart,
    motion_between,
    residual_jitter,
    trembles,
    warping_error,
    warping_errors,
    without_noise,
)

HEIGHT, WIDTH, FRAMES = 60, 72, 8
MASK = np.zeros((HEIGHT, WIDTH), np.float32)
MASK[15:45, 18:54] = 1
MASKS = np.repeat(MASK[None], FRAMES, axis=0)


def picture(seed=0, side=160):
    noise = np.random.default_rng(seed).random((side, side, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip((soft - soft.mean()) * 700 + 128, 0, 255)


def clip(step=1.5, tremble=0.0, shade=0.0, blur=0.0, seed=0):
    """A gliding picture; trembling and changes of brightness are new in every frame."""
    rng, image, frames = np.random.default_rng(7), picture(seed), []
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    for t in range(FRAMES):
        x, y = 40 - step * t + rng.normal(0, tremble or 1e-9), 40 + rng.normal(0, tremble or 1e-9)
        matrix = np.array([[1, 0, -x], [0, 1, -y]])
        frames.append(cv2.warpAffine(image, matrix, (WIDTH, HEIGHT)) + rng.normal(0, shade or 1e-9))
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def test_jitter_counts_what_trembles_against_the_plate_alone():
    t = np.arange(50.0)[:, None, None]
    moving = np.sin(t / 3) * np.ones((1, 5, 2)) * 8
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.5, moving.shape)
    assert residual_jitter(moving, moving, 40) == 0
    found = residual_jitter(moving + noise, moving, 40)
    assert found == pytest.approx(0.5 * np.sqrt(6 * 2) / 40, rel=0.15)
    assert residual_jitter(moving + noise, moving, 80) == pytest.approx(found / 2)
    assert residual_jitter(moving[:2], moving[:2], 40) == 0


def test_noise_is_taken_off_in_squares():
    assert without_noise(5.0, 3.0) == pytest.approx(4.0)
    assert without_noise(1.0, 3.0) == 0


def test_flicker_sees_brightness_and_not_motion():
    plate = clip()
    quiet, shaded = flicker(clip(seed=0), plate, MASKS), flicker(clip(shade=6), plate, MASKS)
    assert quiet == 0
    assert shaded > 2
    assert flicker(clip(shade=12), plate, MASKS) > 1.5 * shaded


def test_warping_error_sees_trembling_and_flicker_and_is_fooled_by_blur():
    plate = clip()
    own = warping_errors(plate, plate, MASKS)
    assert own[0] == own[1]
    trembling, shaded, blurred = (
        warping_errors(clip(**how), plate, MASKS)[0] for how in ({"tremble": 1.0}, {"shade": 8}, {"blur": 4})
    )
    assert trembling > 3 * own[1]
    assert shaded > 3 * own[1]
    assert blurred < own[1], "so that it is judged together with sharpness"


def test_blur_is_seen_by_sharpness():
    sharp, soft = clip()[0], clip(blur=4)[0]
    assert sharpness(soft, MASK) < 0.6 * sharpness(sharp, MASK)
    assert sharpness(sharp, np.zeros_like(MASK)) == 0


def test_seam_grows_with_the_step_and_shrinks_with_a_soft_edge():
    plate = clip()[0]
    soft = cv2.GaussianBlur(MASK, (0, 0), 4)

    def laid(step, weight):
        return np.clip(plate + step * weight[..., None], 0, 255).astype(np.uint8)

    ratios = [seam_ratio(laid(step, MASK), plate, MASK) for step in (0, 15, 40)]
    assert ratios[0] == 1
    assert ratios == sorted(ratios)
    assert ratios[2] > 1.2
    assert seam_ratio(laid(40, soft), plate, MASK) < ratios[2]
    assert seam_ratio(plate, plate, np.zeros_like(MASK)) == 1


def test_leak_is_what_changed_outside_the_mask():
    plate = clip()[0]
    made = plate.copy()
    made[15:45, 18:54] ^= 64
    assert background_leak(made, plate, MASK) == 0
    made[5, 5, 1] ^= 3
    assert background_leak(made, plate, MASK) in (1, 3)
    assert background_leak(plate, plate, np.ones_like(MASK)) == 0
    dark = np.zeros((HEIGHT, WIDTH), np.uint16)
    bright = dark.copy()
    bright[5, 5] = 65535
    assert background_leak(bright, dark, MASK) == 65535


def test_the_frame_that_trembles_is_known():
    still = np.tile(np.arange(10.0).reshape(1, 5, 2), (9, 1, 1))
    moved = still.copy()
    moved[4] += [3, 0]
    found = trembles(moved, still, 10)
    assert found.tolist() == pytest.approx([0, 0, 0.3, 0.6, 0.3, 0, 0])


def test_the_frame_that_flickers_is_known():
    plate = clip()
    made = plate.copy()
    made[4] = np.clip(made[4].astype(int) + 12, 0, 255)
    found = flickers(np.array([lab_apart(*three) for three in zip(made, plate, MASKS, strict=True)]))
    assert int(found.argmax()) == 3
    assert found[3] == pytest.approx(2 * found[2], rel=1e-6)
    assert found[3] > 4
    assert found[0] == 0


def test_warping_error_of_one_pair_is_that_of_the_difference_and_none_without_a_mask():
    plate = clip(step=0)
    motion = motion_between(plate[0], plate[1])
    brighter = np.full_like(plate[0], 51)
    assert warping_error(np.zeros_like(brighter), brighter, motion, MASK) == pytest.approx(0.04, rel=1e-3)
    assert warping_error(plate[0], plate[1], motion, np.zeros_like(MASK)) is None


def test_what_moves_together_correlates():
    t = np.arange(20.0)
    assert correlation(np.sin(t), 3 * np.sin(t) + 1) == pytest.approx(1)
    assert correlation(np.sin(t), -np.sin(t)) == pytest.approx(-1)
    assert correlation(np.sin(t), np.ones(20)) is None
    assert correlation(np.zeros(0), np.zeros(0)) is None
