import pytest
import torch
from torch import nn

from faceswap_core.models.blocks import SideNorm, bridge_between, shuffled
from faceswap_core.models.original import Original


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
        settled = norm.settle(x, 1)
        torch.testing.assert_close(settled.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(settled.std(0), torch.ones(4), atol=1e-3, rtol=0)
        assert (norm(x, [1]) == settled).all()
        assert (norm(x, [0]) != settled).any()


class TestBridge:
    def test_clouds_of_one_shape_need_no_bridge(self):
        cloud = torch.randn(500, 6)
        torch.testing.assert_close(bridge_between(cloud, cloud), torch.eye(6))

    def test_it_turns_the_drawn_covariance_of_one_cloud_into_that_of_the_other(self):
        one, two = torch.randn(500, 4) @ torch.randn(4, 4), torch.randn(500, 4) @ torch.randn(4, 4)
        bridge = bridge_between(one, two)
        drawn = [torch.cov(z.T) + torch.eye(4) for z in (one, two)]
        torch.testing.assert_close(bridge.T @ drawn[0] @ bridge, drawn[1], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(bridge, bridge.T)  # least displacement: no turning on the way

    def test_it_leads_back_too(self):
        one, two = torch.randn(500, 4), torch.randn(500, 4) @ torch.randn(4, 4)
        there, back = bridge_between(one, two), bridge_between(two, one)
        torch.testing.assert_close(there @ back, torch.eye(4), atol=1e-4, rtol=0)


def test_a_bridge_is_crossed_at_the_swap_alone():
    network = Original(resolution=64, width=4, latent=8).eval()
    x = torch.rand(2, 3, 64, 64)
    before = [network(x, 0, target) for target in (0, 1)]
    network.settle((torch.rand(8, 3, 64, 64), torch.rand(8, 3, 64, 64) ** 3) for _ in range(2))
    network.encoder.norm = SideNorm(8).eval()  # as before: what is left of settling are the bridges
    after = [network(x, 0, target) for target in (0, 1)]
    assert (before[0] == after[0]).all()
    assert not torch.allclose(before[1], after[1])
