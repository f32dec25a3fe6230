import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceswap_core.quality.metrics import in_colours_of, landmark_nme, masked_l1, masked_ssim, transfer_and_residual


def faces(seed=0, side=32):
    """Plate, truth and mask."""
    rng = np.random.default_rng(seed)
    plate, truth = (rng.random((side, side, 3)).astype(np.float32) for _ in range(2))
    mask = np.zeros((side, side), np.float32)
    mask[4:-4, 4:-4] = 1
    return plate, truth, mask


def test_plate_itself_has_no_transfer_and_no_residual():
    plate, truth, mask = faces()
    assert transfer_and_residual(plate, plate, truth, mask) == (0, 0)


def test_truth_itself_has_full_transfer_and_no_residual():
    plate, truth, mask = faces()
    transfer, residual = transfer_and_residual(truth, plate, truth, mask)
    assert transfer == pytest.approx(1, abs=1e-5)
    assert residual == pytest.approx(0, abs=1e-5)


@given(st.floats(-1, 2), st.integers(0, 1000))
def test_mixture_of_both_has_its_share_as_transfer(share, seed):
    plate, truth, mask = faces(seed)
    made = (plate + np.float32(share) * (truth - plate)).astype(np.float32)
    transfer, residual = transfer_and_residual(made, plate, truth, mask)
    assert transfer == pytest.approx(share, abs=1e-4)
    assert residual == pytest.approx(0, abs=1e-3)


@given(st.integers(0, 1000))
def test_what_is_neither_is_residual_alone(seed):
    plate, truth, mask = faces(seed)
    d = (truth - plate) * mask[..., None]
    other = np.random.default_rng(seed + 1).normal(size=d.shape) * mask[..., None]
    other -= (other * d).sum() / (d * d).sum() * d
    other *= np.linalg.norm(d) / np.linalg.norm(other) * 0.7
    transfer, residual = transfer_and_residual((plate + other).astype(np.float32), plate, truth, mask)
    assert transfer == pytest.approx(0, abs=1e-4)
    assert residual == pytest.approx(0.7, abs=1e-3)


def test_pixels_outside_the_mask_do_not_count():
    plate, truth, mask = faces()
    made = np.where(mask[..., None] > 0, truth, 0).astype(np.float32)
    assert transfer_and_residual(made, plate, truth, mask)[0] == pytest.approx(1, abs=1e-5)
    assert masked_l1(made, truth, mask) == 0


def test_blurred_truth_keeps_residual():
    plate, truth, mask = faces(side=64)
    transfer, residual = transfer_and_residual(cv2.GaussianBlur(truth, (0, 0), 5), plate, truth, mask)
    assert residual > 0.4
    assert transfer < 1


def test_equal_plate_and_truth_give_finite_numbers():
    plate, _, mask = faces()
    assert np.isfinite(transfer_and_residual(plate, plate, plate, mask)).all()


def test_l1_is_the_mean_under_the_mask():
    one, other, mask = faces()
    assert masked_l1(one, other, mask) == pytest.approx(np.abs(one - other)[4:-4, 4:-4].mean(), rel=1e-5)
    assert masked_l1(one, other, mask / 2) == pytest.approx(masked_l1(one, other, mask), rel=1e-5)
    assert masked_l1(one, other, np.zeros_like(mask)) == 0


def test_nme_is_the_mean_distance_by_the_size_of_the_face():
    points = np.random.default_rng(0).random((5, 2)) * 100
    assert landmark_nme(points, points, 40) == 0
    assert landmark_nme(points + np.array([3, 4]), points, 40) == pytest.approx(5 / 40)
    one = points.copy()
    one[2] += [0, 10]
    assert landmark_nme(one, points, 40) == pytest.approx(10 / 5 / 40)


def test_an_image_takes_the_mean_colour_of_another_under_the_mask_and_keeps_its_detail():
    plate, truth, mask = faces()
    moved = in_colours_of(truth * 0.5, plate, mask)
    assert (moved * mask[..., None]).sum((0, 1)) == pytest.approx((plate * mask[..., None]).sum((0, 1)), rel=1e-4)
    assert np.ptp(moved - truth * 0.5, axis=(0, 1)) == pytest.approx(0, abs=1e-6)


def test_structure_is_judged_inside_the_mask_and_not_by_brightness_alone():
    _, truth, mask = faces()
    truth = cv2.GaussianBlur(truth, (0, 0), 1.5)
    assert masked_ssim(truth, truth, mask) == pytest.approx(1)
    beyond = np.where(mask[..., None] > 0, truth, 0).astype(np.float32)
    middle = np.zeros_like(mask)
    middle[12:-12, 12:-12] = 1
    assert masked_ssim(beyond, truth, middle) == pytest.approx(1, abs=1e-6)
    brighter, blurred = truth + np.float32(0.05), cv2.GaussianBlur(truth, (0, 0), 3)
    assert masked_l1(brighter, truth, mask) > masked_l1(blurred, truth, mask)
    assert masked_ssim(brighter, truth, mask) > masked_ssim(blurred, truth, mask)
    assert abs(masked_ssim(*faces()[:2], mask)) < 0.1
