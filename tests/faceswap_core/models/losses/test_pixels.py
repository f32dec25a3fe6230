from dataclasses import replace

import pytest
import torch

from faceswap_core.models.losses.pixels import alpha, alpha_hinge, alpha_mean, alpha_variation, edge, l1, latent, mse
from faceswap_core.models.losses.shown import inside


def test_pixels_outside_the_mask_do_not_count_at_full_mask_weight(views):
    other = replace(views, made=torch.where(views.weight > 0, views.made, 1 - views.made))
    for loss in (l1, mse):
        assert torch.equal(loss(other), loss(views))
        assert not torch.equal(loss(replace(other, mask_weight=0.9)), loss(replace(views, mask_weight=0.9)))


def test_is_the_mean_inside_the_mask(views):
    difference = (views.made - views.target)[..., 2:6, 2:6]
    torch.testing.assert_close(l1(views), difference.abs().mean())
    torch.testing.assert_close(mse(views), difference.square().mean())


def test_without_mask_weight_it_is_the_plain_loss(views):
    plain = replace(views, mask_weight=0.0)
    torch.testing.assert_close(l1(plain), torch.nn.functional.l1_loss(views.made, views.target))
    torch.testing.assert_close(mse(plain), torch.nn.functional.mse_loss(views.made, views.target))


def test_weight_between_mixes_both(views):
    one, zero, between = (l1(replace(views, mask_weight=w)) for w in (1.0, 0.0, 0.3))
    torch.testing.assert_close(between, 0.3 * one + 0.7 * zero)


def test_empty_mask_is_no_division_by_zero(views):
    assert l1(replace(views, weight=torch.zeros_like(views.weight))) == 0


def test_important_pixels_count_more(views):
    heavy = views.weight.clone()
    heavy[..., :4, :] *= 3
    wanted = ((views.made - views.target).abs() * heavy).sum() / (heavy.sum() * 3)
    torch.testing.assert_close(l1(replace(views, weight=heavy)), wanted)
    assert l1(replace(views, weight=heavy)) != pytest.approx(float(l1(views)), abs=1e-6)


def test_a_mask_counts_by_its_share(views):
    half = torch.full_like(views.weight, 0.5)
    torch.testing.assert_close(inside(views.made, half), views.made.mean())


def test_edges_do_not_see_a_change_of_brightness(views):
    brighter = replace(views, target=views.made, made=views.made + 0.25)
    torch.testing.assert_close(edge(brighter), torch.tensor(0.0), atol=1e-6, rtol=0)
    ramp = torch.linspace(0, 0.7, 8).expand(2, 3, 8, 8)
    for slope in (ramp, ramp.mT):
        sloped = replace(views, target=views.made, made=views.made + slope)
        torch.testing.assert_close(edge(sloped), torch.tensor(0.1))


def test_edges_outside_the_mask_do_not_count(views):
    other = views.made.clone()
    other[..., 7, 7] = other[..., 0, 0] = 9
    assert torch.equal(edge(replace(views, made=other)), edge(views))


def test_alpha_is_judged_everywhere(views):
    face = views.weight
    assert alpha(replace(views, face=face, alpha=face)) == 0
    assert alpha(replace(views, face=face, alpha=1 - face)) == 1
    half = replace(views, face=face, alpha=torch.full_like(face, 0.5))
    assert alpha(half) == 0.5


def test_alpha_terms_of_the_gan_are_those_counted_by_hand(views):
    drawn = torch.zeros_like(views.weight)
    drawn[..., 4:] = 0.8
    shown = replace(views, alpha=drawn, hinge=0.5)
    torch.testing.assert_close(alpha_mean(shown), torch.tensor(0.4))
    torch.testing.assert_close(alpha_hinge(shown), torch.tensor(0.25))
    torch.testing.assert_close(alpha_variation(shown), torch.tensor(0.8 / 7))


def test_code_costs_its_squared_length(views):
    vectors = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert latent(replace(views, raw=vectors)) == 13
    maps = vectors[:, :, None, None].expand(2, 2, 3, 3)
    assert latent(replace(views, raw=maps)) == 13
