from dataclasses import replace

import pytest
import torch
from skimage.metrics import structural_similarity

from faceswap_core.models.losses import LOSSES
from faceswap_core.models.losses.structure import focal_frequency, laplacian, ms_ssim, similarity, ssim

PICTURE_LOSSES = ["l1", "mse", "ssim", "ms_ssim", "edge", "laplacian", "focal_frequency"]


@pytest.mark.parametrize("name", PICTURE_LOSSES)
class TestEveryPictureLoss:
    def test_equal_views_cost_nothing(self, name, pictures):
        assert LOSSES[name](replace(pictures, made=pictures.target)) == pytest.approx(0.0, abs=1e-5)

    def test_both_directions_cost_the_same(self, name, pictures, turned):
        found = LOSSES[name](pictures)
        assert found > 1e-3
        assert LOSSES[name](turned(pictures)) == pytest.approx(float(found), rel=1e-4)

    def test_nearer_is_cheaper(self, name, pictures):
        near = replace(pictures, made=pictures.target + 0.2 * (pictures.made - pictures.target))
        assert LOSSES[name](near) < LOSSES[name](pictures)

    def test_outside_of_the_mask_does_not_count(self, name, pictures):
        mask = torch.zeros(2, 1, 48, 48)
        mask[..., 16:32, 16:32] = 1
        far = torch.ones(48, 48, dtype=torch.bool)
        far[2:46, 2:46] = False  # further away than every window but those of coarse scales reaches
        shown = replace(pictures, weight=mask)
        other = replace(shown, made=torch.where(far, 1 - pictures.made, pictures.made))
        found, again = float(LOSSES[name](shown)), float(LOSSES[name](other))
        assert again == pytest.approx(found, rel=0.1 if name in ("ms_ssim", "laplacian") else 1e-5)

    def test_a_step_against_the_gradient_is_a_step_to_the_target(self, name, pictures):
        made = pictures.made.clone().requires_grad_()
        LOSSES[name](replace(pictures, made=made)).backward()
        assert (made.grad * (pictures.made - pictures.target)).sum() > 0


def test_similarity_is_that_of_scikit_image(pictures):
    for one, other in zip(pictures.made, pictures.target, strict=True):
        wanted = structural_similarity(
            one.numpy(), other.numpy(), channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert similarity(one[None], other[None])[0].mean() == pytest.approx(float(wanted), abs=1e-4)
    assert ssim(pictures) == pytest.approx(1 - float(similarity(pictures.made, pictures.target)[0].mean()), abs=1e-6)


def test_over_one_scale_it_is_plain_similarity_to_the_exponents_sum(pictures):
    small = replace(
        pictures, **{k: getattr(pictures, k)[..., :16, :16] for k in ("made", "target", "alpha", "face", "weight")}
    )
    whole = 1 - ssim(small)
    assert ms_ssim(small) == pytest.approx(1 - float(whole) ** (0.0448 + 0.2856 + 0.3001 + 0.2363 + 0.1333), abs=1e-5)


def test_pyramid_sees_a_change_of_brightness_only_where_it_is_coarsest(pictures):
    brighter = replace(pictures, made=pictures.target + 0.25)
    assert laplacian(brighter) == pytest.approx(0.25, abs=1e-5)


def test_one_wave_costs_the_mean_square_of_its_frequency(pictures):
    x = torch.arange(48) / 48
    wave = (0.1 * torch.cos(2 * torch.pi * 6 * x)).expand(2, 3, 48, 48)
    found = focal_frequency(replace(pictures, made=pictures.target + wave))
    # two frequencies of amplitude .1 / 2 * 48 by the orthonormal transform, at full focus, of 48 x 48 in all
    assert found == pytest.approx(2 * (0.05 * 48) ** 2 / 48**2, rel=1e-3)


def test_weak_frequencies_count_less_than_their_share(pictures):
    x = torch.arange(48) / 48

    def wave(size, count):
        return (size * torch.cos(2 * torch.pi * count * x)).expand(2, 3, 48, 48)

    def cost(difference):
        return float(focal_frequency(replace(pictures, made=pictures.target + difference)))

    assert cost(wave(0.1, 6) + wave(0.02, 9)) - cost(wave(0.1, 6)) == pytest.approx(0.2 * cost(wave(0.02, 9)), rel=0.01)
