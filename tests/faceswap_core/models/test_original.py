import pytest
import torch

from faceswap_core.models import Build
from faceswap_core.models.original import Original


def weights_of(network):
    return sum(p.numel() for p in network.parameters())


def convolution(inputs, outputs, side):
    return inputs * outputs * side * side + outputs


def test_size_is_that_of_the_seeds_apart_from_the_alpha_head():
    with torch.device("meta"):
        network = Original(Build(resolution=64, width=128, latent=1024, side_norm=False))
    alpha_head = 2 * (64 * 5 * 5 + 1)
    assert weights_of(network) - alpha_head == pytest.approx(82.06e6, rel=1e-3)
    down = [(3, 128), (128, 256), (256, 512), (512, 1024)]
    up = [(512, 256), (256, 128), (128, 64)]
    encoder = sum(convolution(i, o, 5) for i, o in down) + convolution(1024, 512 * 4, 3)
    dense = 1024 * 16 * 1024 + 1024 + 1024 * 1024 * 16 + 1024 * 16
    decoder = sum(convolution(i, o * 4, 3) for i, o in up) + convolution(64, 3, 5)
    assert weights_of(network) == encoder + dense + 2 * decoder + alpha_head


def test_pair_of_1x1_convolutions_is_that_of_the_seed():
    with torch.device("meta"):
        dense, pair, none = (
            Original(Build(64, 128, 1024, bottleneck=kind, side_norm=False)) for kind in ("dense", "conv1x1", "none")
        )
    assert weights_of(pair) - weights_of(none) == 2 * 1024 * 128
    assert weights_of(dense) - weights_of(none) == 1024 * 16 * 1024 + 1024 + 1024 * 1024 * 16 + 1024 * 16


@pytest.mark.parametrize("bottleneck", ["dense", "conv1x1", "none"])
@pytest.mark.parametrize("upsample", ["pixelshuffle", "deconv", "resize"])
@pytest.mark.parametrize("resolution", [64, 192])
def test_every_bottleneck_and_upsampling_draws_the_whole_view(bottleneck, upsample, resolution):
    torch.manual_seed(0)
    network = Original(Build(resolution, 4, 16, bottleneck, upsample)).eval()
    drawn = network.reconstruct(*torch.rand(2, 2, 3, resolution, resolution))
    assert drawn.a[0].shape == drawn.b[0].shape == (2, 4, resolution, resolution)
    channels = Original.code_length(network.build)
    side = network.build.innermost
    assert drawn.codes.shape == ((4, channels) if bottleneck == "dense" else (4, channels, side, side))


def test_training_normalises_each_person_apart():
    torch.manual_seed(0)
    network = Original(Build(resolution=64, width=4, latent=8))
    a, b = torch.rand(4, 3, 64, 64), torch.rand(4, 3, 64, 64) * 0.3
    alone = network.reconstruct(a, a).a[0]
    torch.testing.assert_close(network.reconstruct(a, b).a[0], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(network.reconstruct(a, 1 - b).a[0], alone, atol=1e-5, rtol=1e-4)


def test_without_normalisation_codes_are_left_as_they_are():
    torch.manual_seed(0)
    network = Original(Build(resolution=64, width=4, latent=8, side_norm=False))
    drawn = network.reconstruct(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    assert torch.equal(drawn.codes, drawn.raw)
    assert [n for n, _ in network.named_buffers()] == ["center", "spread"]
