import pytest
import torch
from torch import nn

from faceswap_core.models.blocks import SideNorm, shuffled


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
