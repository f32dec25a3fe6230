import pytest
import torch
from torch import nn

from faceswap_core.models.blocks import UPSAMPLERS, SelfAttention, SideNorm, initialize, shuffled


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_shuffle_is_that_of_the_paper_with_the_channels_in_another_order(memory):
    x = torch.randn(2, 12, 3, 5)
    by_channel = x.reshape(2, 2, 2, 3, 3, 5).permute(0, 3, 1, 2, 4, 5).reshape(2, 12, 3, 5)
    made = shuffled(x.to(memory_format=memory))
    assert (made == nn.functional.pixel_shuffle(by_channel, 2)).all()


class TestSideNorm:
    def test_in_training_each_side_of_the_batch_is_normalised(self):
        out = SideNorm(4)(torch.cat([torch.randn(16, 4) * 5 + 3, torch.randn(16, 4)]), [0, 1])
        for part in out.chunk(2):
            torch.testing.assert_close(part.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
            torch.testing.assert_close(part.std(0, correction=0), torch.ones(4), atol=1e-3, rtol=0)

    def test_settled_it_normalises_by_what_it_was_shown(self):
        norm, x = SideNorm(4).eval(), torch.randn(64, 4) * 5 + 3
        norm.settle(x, 1)
        settled = norm(x, [1])
        torch.testing.assert_close(settled.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(settled.std(0), torch.ones(4), atol=1e-3, rtol=0)
        assert (norm(x, [0]) != settled).any()

    def test_maps_are_normalised_by_channel_over_all_places(self):
        norm, x = SideNorm(3).eval(), torch.randn(8, 3, 4, 4) * 5 + 3
        norm.settle(x, 0)
        channels = norm(x, [0]).transpose(0, 1).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(channels.std(1), torch.ones(3), atol=1e-2, rtol=0)


class TestSelfAttention:
    def test_is_left_out_at_first(self):
        x = torch.randn(2, 16, 8, 8)
        assert torch.equal(SelfAttention(16)(x), x)

    def test_mixes_places_by_the_softmax_of_their_products(self):
        torch.manual_seed(0)
        attention, x = SelfAttention(16), torch.randn(2, 16, 6, 6)
        attention.gamma.data.fill_(0.5)
        query, key, value = (f(x).flatten(2) for f in (attention.query, attention.key, attention.value))
        share = torch.softmax(torch.einsum("ncq,nck->nqk", query, key), -1)
        wanted = x + 0.5 * torch.einsum("nqk,nck->ncq", share, value).reshape(x.shape)
        torch.testing.assert_close(attention(x), wanted, atol=1e-5, rtol=1e-4)

    def test_large_maps_keep_their_size(self):
        attention = SelfAttention(8)
        attention.gamma.data.fill_(1.0)
        assert attention(torch.randn(1, 8, 64, 64)).shape == (1, 8, 64, 64)


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_way_up_doubles_the_side_and_keeps_the_variance_at_first(name):
    torch.manual_seed(0)
    up = UPSAMPLERS[name](32, 16)
    initialize(up)
    out = up(torch.randn(4, 32, 16, 16))
    assert out.shape == (4, 16, 32, 32)
    assert 0.5 < float(out.detach().square().mean()) < 2.0
