import pytest
import torch

from faceswap_core.models import MODELS, Original


def weights_of(network):
    return sum(p.numel() for p in network.parameters())


def convolution(inputs, outputs, side):
    return inputs * outputs * side * side + outputs


def test_size_is_that_of_the_seeds_apart_from_the_alpha_head():
    with torch.device("meta"):
        network = Original(resolution=64, width=128, latent=1024)
    alpha_head = 2 * (64 * 5 * 5 + 1)
    assert weights_of(network) - alpha_head == pytest.approx(82.06e6, rel=1e-3)
    down = [(3, 128), (128, 256), (256, 512), (512, 1024)]
    up = [(512, 256), (256, 128), (128, 64)]
    encoder = sum(convolution(i, o, 5) for i, o in down) + convolution(1024, 512 * 4, 3)
    dense = 1024 * 16 * 1024 + 1024 + 1024 * 1024 * 16 + 1024 * 16
    decoder = sum(convolution(i, o * 4, 3) for i, o in up) + convolution(64, 3, 5)
    assert weights_of(network) == encoder + dense + 2 * decoder + alpha_head


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("resolution", [64, 128, 192])
@pytest.mark.parametrize("width", [4, 6])
class TestEveryModel:
    def build(self, model, resolution, width):
        torch.manual_seed(0)
        return MODELS[model](resolution=resolution, width=width, latent=8).eval().requires_grad_(False)

    def test_gives_rgba_of_the_size_of_the_view(self, model, resolution, width):
        network = self.build(model, resolution, width)
        for source, target in ((0, 0), (0, 1), (1, 0), (1, 1)):
            out = network(torch.rand(2, 3, resolution, resolution), source, target)
            assert out.shape == (2, 4, resolution, resolution)
            assert out.min() >= 0
            assert out.max() <= 1

    def test_sides_share_the_encoder_and_have_decoders_of_their_own(self, model, resolution, width):
        network = self.build(model, resolution, width)
        view = torch.rand(1, 3, resolution, resolution)
        a, b = network(view, 0, 0), network(view, 0, 1)
        assert not torch.allclose(a, b)
        network.decoders[1].load_state_dict(network.decoders[0].state_dict())
        assert torch.equal(network(view, 0, 1), a)

    def test_one_pass_gives_what_two_give(self, model, resolution, width):
        network = self.build(model, resolution, width)
        a, b = (torch.rand(2, 3, resolution, resolution) for _ in range(2))
        *made, latents = network.reconstruct(a, b)
        for found, wanted in zip(made, (network(a, 0, 0), network(b, 1, 1)), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
        assert latents.shape == (4, network.encoder.squeeze.out_features)

    def test_a_view_is_drawn_alike_whatever_stands_beside_it_in_the_batch(self, model, resolution, width):
        network = self.build(model, resolution, width)
        views = torch.rand(3, 3, resolution, resolution)
        torch.testing.assert_close(network(views, 0, 1)[:1], network(views[:1], 0, 1), atol=1e-5, rtol=1e-4)

    def test_no_view_gives_no_picture(self, model, resolution, width):
        network = self.build(model, resolution, width)
        assert network(torch.rand(0, 3, resolution, resolution), 0, 1).shape == (0, 4, resolution, resolution)


def test_training_normalises_each_person_apart():
    torch.manual_seed(0)
    network = Original(resolution=64, width=4, latent=8)
    a, b = torch.rand(4, 3, 64, 64), torch.rand(4, 3, 64, 64) * 0.3
    alone = network.reconstruct(a, a)[0]
    torch.testing.assert_close(network.reconstruct(a, b)[0], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(network.reconstruct(a, 1 - b)[0], alone, atol=1e-5, rtol=1e-4)
