"""What every network must do, and the sizes that their sources give."""

from dataclasses import replace

import pytest
import torch

from faceswap_core.models import MODELS, Build
from faceswap_core.models.modulated import Modulated, doubled

SIZES = {"original": (64, 4, 8), "fakeapp": (64, 4, 8), "fakeapp_cnn": (64, 4, 8), "gan": (64, 2, 8)}
SIZES["modulated"] = (64, 4, 8)
FULL = {
    "original": (Build(64, 128, 1024), 82.06e6 + 2 * (64 * 25 + 1)),
    "gan": (Build(64, 64, 1024), 59.1e6 + 2 * 6.3e6),
}


def build(model, **changes):
    torch.manual_seed(0)
    return MODELS[model](replace(Build(*SIZES[model]), **changes))


def weights_of(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("model", FULL)
def test_full_size_is_that_of_the_source(model):
    built, wanted = FULL[model]
    with torch.device("meta"):
        assert weights_of(MODELS[model](built)) == pytest.approx(wanted, rel=2e-3)


def test_fakeapp_widens_to_the_4096_numbers_of_its_source():
    with torch.device("meta"):
        network = MODELS["fakeapp"](Build(64, 32, 100))
    assert network.encoder[-1].out_features == 100
    assert network.decoders[0][0].out_features == 4096
    assert network.decoders[0][1].unflattened_size == (256, 4, 4)


def test_convolutional_fakeapp_has_the_channels_of_its_source_and_comes_back_to_256_px():
    with torch.device("meta"):
        network = MODELS["fakeapp_cnn"](Build(256, 64, 64)).eval()
        drawn = network.reconstruct(*torch.rand(2, 1, 3, 256, 256))
    found = [m.out_channels for m in network.encoder if isinstance(m, torch.nn.Conv2d)]
    assert found == [64, 128, 256, 64]
    assert drawn.codes.shape == (2, 64, 32, 32)
    assert drawn.a[0].shape == (1, 4, 256, 256)


@pytest.mark.parametrize("model", MODELS)
class TestEveryModel:
    def test_draws_rgba_of_the_size_of_the_view(self, model):
        network = build(model).eval()
        for source, target in ((0, 1), (1, 1)):
            out = network(torch.rand(2, 3, 64, 64), source, target)
            assert out.shape == (2, 4, 64, 64)
            assert out.min() >= 0
            assert out.max() <= 1

    @pytest.mark.parametrize("resolution", [128, 192])
    def test_larger_views_come_back_at_their_size(self, model, resolution):
        with torch.device("meta"):
            network = build(model, resolution=resolution).eval()
            assert network(torch.rand(1, 3, resolution, resolution), 0, 1).shape == (1, 4, resolution, resolution)

    def test_each_person_is_drawn_in_their_own_way_from_the_same_code(self, model):
        network = build(model).eval()
        codes = network.encode(torch.rand(2, 3, 64, 64), [0])
        assert not torch.allclose(network.decode(codes, 0), network.decode(codes, 1))

    def test_one_pass_gives_what_two_give(self, model):
        network = build(model).eval()
        a, b = (torch.rand(2, 3, 64, 64) for _ in range(2))
        drawn = network.reconstruct(a, b)
        for found, wanted in zip((drawn.a, drawn.b), (network(a, 0, 0), network(b, 1, 1)), strict=True):
            torch.testing.assert_close(found[0], wanted, atol=1e-5, rtol=1e-4)
        assert drawn.codes.shape[:2] == (4, network.code_length(network.build))

    def test_view_is_drawn_alike_whatever_stands_beside_it_in_the_batch(self, model):
        network = build(model).eval()
        views = torch.rand(3, 3, 64, 64)
        torch.testing.assert_close(network(views, 0, 1)[:1], network(views[:1], 0, 1), atol=1e-5, rtol=1e-4)

    def test_gradients_reach_every_parameter(self, model):
        network = build(model)
        for parameter in network.parameters():
            if parameter.dim() == 0:
                parameter.data.fill_(0.1)  # attention is mixed in by 0 at first, and its inside learns nothing yet
        drawn = network.reconstruct(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
        weights = [torch.rand_like(v) for v in (*drawn.a, *drawn.b)]
        sum((v * w).sum() for v, w in zip((*drawn.a, *drawn.b), weights, strict=True)).backward()
        assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []

    def test_dropout_takes_whole_channels_of_the_code(self, model):
        network = build(model).eval()
        views = torch.rand(2, 3, 64, 64)
        keep = torch.ones(4, network.code_length(network.build))
        torch.testing.assert_close(network.reconstruct(views, views, keep).a[0], network.reconstruct(views, views).a[0])
        keep[0] = 0
        nothing = network.reconstruct(views, views, keep)
        assert not torch.allclose(nothing.a[0][0], network.reconstruct(views, views).a[0][0])
        codes = torch.zeros_like(nothing.codes[:1])
        torch.testing.assert_close(nothing.a[0][:1], network.decode(codes, 0), atol=1e-5, rtol=1e-4)

    def test_settled_codes_have_mean_0_and_deviation_1_for_each_person(self, model):
        network = build(model).eval()
        a, b = torch.rand(8, 3, 64, 64), torch.rand(8, 3, 64, 64) * 0.5
        network.settle([(a[:4], b[:4]), (a[4:], b[4:])])
        for side, views in enumerate((a, b)):
            codes = network.encode(views, [side]).transpose(0, 1).flatten(1)
            torch.testing.assert_close(codes.mean(1), torch.zeros(len(codes)), atol=1e-3, rtol=0)

    def test_no_view_gives_no_picture(self, model):
        assert build(model).eval()(torch.rand(0, 3, 64, 64), 0, 1).shape == (0, 4, 64, 64)


def test_exchanged_decoders_draw_the_other_person():
    network = build("gan").eval()
    codes = network.encode(torch.rand(1, 3, 64, 64), [0])
    before = [network.decode(codes, side) for side in (0, 1)]
    network.exchange_decoders()
    assert torch.equal(network.decode(codes, 0), before[1])
    assert torch.equal(network.decode(codes, 1), before[0])


class TestModulated:
    def test_draws_coarser_pictures_on_the_way(self):
        drawn = build("modulated").eval().reconstruct(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
        assert [v.shape[-1] for v in drawn.b] == [64, 32, 16]

    def test_only_scales_shifts_and_the_first_map_tell_people_apart(self):
        network = build("modulated").eval()
        codes = network.encode(torch.rand(1, 3, 64, 64), [0])
        own = [n for n, p in network.decoder.named_parameters() if n.endswith(("scale", "shift")) or n == "own"]
        for name, parameter in network.decoder.named_parameters():
            if name in own:
                parameter.data[1] = parameter.data[0]
        assert torch.equal(network.decode(codes, 0), network.decode(codes, 1))

    @pytest.mark.parametrize("resolution", [64, 128, 256, 512])
    def test_every_resolution_can_be_drawn(self, resolution):
        with torch.device("meta"):
            network = Modulated(Build(resolution, 8, 16)).eval()
            assert network(torch.rand(1, 3, resolution, resolution), 0, 1).shape[-1] == resolution


@pytest.mark.parametrize("side", [3, 16])
def test_coarse_pictures_are_doubled_bilinearly(side):
    x = torch.rand(2, 4, side, side, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    wanted = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(doubled(x), wanted, rtol=0, atol=1e-12)
