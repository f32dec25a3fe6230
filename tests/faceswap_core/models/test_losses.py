import pytest
import torch

from faceswap_core.models.losses import masked_edges, masked_l1, rgba_loss


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.rand(2, 3, 8, 8, generator=generator) for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    return prediction, target, mask


EVEN = torch.ones(1, 1, 1, 1)


def test_pixels_outside_the_mask_do_not_count_at_full_mask_weight(views):
    prediction, target, mask = views
    before = masked_l1(prediction, target, mask, 1.0)
    other = torch.where(mask > 0, prediction, 1 - prediction)
    assert torch.equal(masked_l1(other, target, mask, 1.0), before)
    assert not torch.equal(masked_l1(other, target, mask, 0.9), before)


def test_is_the_mean_inside_the_mask(views):
    prediction, target, mask = views
    inside = (prediction - target).abs()[..., 2:6, 2:6].mean()
    torch.testing.assert_close(masked_l1(prediction, target, mask, 1.0), inside)


def test_without_mask_weight_it_is_plain_l1(views):
    prediction, target, mask = views
    plain = torch.nn.functional.l1_loss(prediction, target)
    torch.testing.assert_close(masked_l1(prediction, target, mask, 0.0), plain)


def test_weight_between_mixes_both(views):
    prediction, target, mask = views
    one, zero, between = (masked_l1(prediction, target, mask, w) for w in (1.0, 0.0, 0.3))
    torch.testing.assert_close(between, 0.3 * one + 0.7 * zero)


def test_equal_views_cost_nothing(views):
    prediction, _, mask = views
    assert masked_l1(prediction, prediction, mask, 0.5) == 0


def test_empty_mask_is_no_division_by_zero(views):
    prediction, target, mask = views
    assert masked_l1(prediction, target, torch.zeros_like(mask), 1.0) == 0


def test_edges_do_not_see_a_change_of_brightness(views):
    prediction, _, mask = views
    torch.testing.assert_close(masked_edges(prediction + 0.25, prediction, mask), torch.tensor(0.0), atol=1e-6, rtol=0)
    ramp = torch.linspace(0, 0.7, 8).expand(2, 3, 8, 8)
    torch.testing.assert_close(masked_edges(prediction + ramp, prediction, mask), torch.tensor(0.1))
    torch.testing.assert_close(masked_edges(prediction + ramp.mT, prediction, mask), torch.tensor(0.1))


def test_edges_outside_the_mask_do_not_count(views):
    prediction, target, mask = views
    before = masked_edges(prediction, target, mask)
    other = prediction.clone()
    other[..., 7, 7] = other[..., 0, 0] = 9
    assert torch.equal(masked_edges(other, target, mask), before)


def test_edges_count_by_their_weight(views):
    prediction, target, mask = views
    full, wanted = torch.cat([prediction, mask], 1), torch.cat([target, mask], 1)
    loss, image = rgba_loss(full, wanted, EVEN, mask_weight=1.0, edge_weight=2.0, alpha_weight=0.5)
    torch.testing.assert_close(loss, image + 2 * masked_edges(prediction, target, mask))


def test_alpha_is_judged_everywhere_and_reported_apart(views):
    prediction, target, mask = views
    full, wanted = torch.cat([prediction, mask], 1), torch.cat([target, mask], 1)
    loss, image = rgba_loss(full, wanted, EVEN, mask_weight=1.0, edge_weight=0.0, alpha_weight=0.5)
    torch.testing.assert_close(loss, image)
    wrong = torch.cat([prediction, 1 - mask], 1)
    loss, again = rgba_loss(wrong, wanted, EVEN, mask_weight=1.0, edge_weight=0.0, alpha_weight=0.5)
    torch.testing.assert_close(again, image)
    torch.testing.assert_close(loss, image + 0.5)


def test_important_pixels_count_more(views):
    prediction, target, mask = views
    full, wanted = torch.cat([prediction, mask], 1), torch.cat([target, mask], 1)
    heavy = torch.ones_like(mask[:1])
    heavy[..., :4, :] = 3
    _, even = rgba_loss(full, wanted, EVEN, mask_weight=1.0, edge_weight=0.0, alpha_weight=0.0)
    _, weighed = rgba_loss(full, wanted, heavy, mask_weight=1.0, edge_weight=0.0, alpha_weight=0.0)
    assert weighed == pytest.approx(float(masked_l1(prediction, target, mask * heavy, 1.0)))
    assert weighed != pytest.approx(float(even), abs=1e-6)
