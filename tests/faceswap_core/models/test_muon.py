import pytest
import torch
from torch import nn

from faceswap_core.models.muon import Muon, in_blocks, orthogonal


def spread(matrices):
    """Smallest and largest singular value."""
    values = torch.linalg.svdvals(matrices)
    return float(values.min()), float(values.max())


def rounds(x):
    """The polynomial round by round, as published."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / x.norm(dim=(-2, -1), keepdim=True)
    for _ in range(5):
        product = x @ x.mT
        x = a * x + (b * product + c * product @ product) @ x
    return x


class TestOrthogonal:
    @pytest.mark.parametrize("shape", [(1, 16, 75), (4, 32, 576), (2, 200, 64), (1, 64, 64)])
    def test_singular_values_come_near_one_and_vectors_stay(self, shape):
        given = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        found = orthogonal(given)
        low, high = spread(found)
        assert low > (0.3 if shape[1] == shape[2] else 0.6)  # a square one has values near 0
        assert high < 1.25
        u, _, v = torch.linalg.svd(given, full_matrices=False)
        inner = u.mT @ found @ v.mT
        torch.testing.assert_close(inner, torch.diag_embed(inner.diagonal(dim1=-2, dim2=-1)), atol=1e-3, rtol=0)

    def test_equals_the_polynomial_applied_round_by_round(self):
        given = torch.randn(3, 24, 100, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        torch.testing.assert_close(orthogonal(given), rounds(given), atol=1e-9, rtol=0)

    @pytest.mark.parametrize(("shape", "rank"), [((1, 64, 576), 1), ((1, 128, 1152), 16), ((1, 128, 128), 4)])
    def test_few_directions_as_of_a_small_batch_stay_few(self, shape, rank):
        """A product whose rounding makes a singular value negative (half precision) is blown up a thousandfold."""
        random = torch.Generator().manual_seed(1)
        one, other = torch.randn(1, shape[1], rank, generator=random), torch.randn(1, rank, shape[2], generator=random)
        assert torch.linalg.svdvals(orthogonal(one * 0.5 ** torch.arange(rank) @ other)).max() < 1.3

    def test_zeros_stay_zeros(self):
        assert not orthogonal(torch.zeros(2, 3, 5)).any()

    def test_size_of_what_is_given_does_not_count(self):
        given = torch.randn(1, 8, 20, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(orthogonal(given * 1e-6), orthogonal(given))


@pytest.mark.parametrize(
    ("shape", "blocks"),
    [((128, 1600), (1, 128, 1600)), ((256, 1152), (2, 128, 1152)), ((2048, 128), (1, 2048, 128)),
     ((130, 131), (2, 65, 131)), ((129, 999), (1, 129, 999))],
)  # fmt: skip
def test_long_matrices_are_taken_in_blocks_of_rows(shape, blocks):
    matrix = torch.arange(shape[0] * shape[1]).view(shape)
    assert in_blocks(matrix).shape == blocks
    assert torch.equal(in_blocks(matrix).reshape(shape), matrix)


class TestMuon:
    def stepped(self, parameter, gradient, **how):
        """The parameter's first step."""
        before = parameter.detach().clone()
        parameter.grad = gradient
        Muon([parameter], 0.01, (0.5, 0.999), **how).step()
        return parameter.detach() - before

    def test_matrices_step_against_the_gradient_by_one_size(self):
        gradient = torch.randn(8, 6, 3, 3, generator=torch.Generator().manual_seed(4))
        step = self.stepped(nn.Parameter(torch.zeros(8, 6, 3, 3)), gradient)
        assert float((step * gradient).sum()) < 0
        assert float(step.pow(2).mean().sqrt()) == pytest.approx(0.01 * 0.2, rel=0.25)
        torch.testing.assert_close(step, -0.01 * 0.2 * 54**0.5 * orthogonal(gradient.flatten(1)[None]).view_as(step))

    @pytest.mark.parametrize("shape", [(8,), (4, 8, 5, 5)])
    def test_vectors_and_the_layer_of_pixels_step_as_adam(self, shape):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(5))
        ours, theirs = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
        adam = torch.optim.Adam([theirs], 0.01, (0.5, 0.999))
        muon = Muon([ours], 0.01, (0.5, 0.999))
        for scale in (1.0, -0.3, 2.0):
            ours.grad, theirs.grad = gradient * scale, gradient * scale
            muon.step()
            adam.step()
        torch.testing.assert_close(ours, theirs)

    def test_decay_shrinks_the_weights_whatever_the_gradient(self):
        step = self.stepped(nn.Parameter(torch.ones(8, 8)), torch.zeros(8, 8), weight_decay=0.5)
        torch.testing.assert_close(step, torch.full((8, 8), -0.005))

    def test_what_has_no_gradient_stays(self):
        assert not self.stepped(nn.Parameter(torch.ones(8, 8)), None, weight_decay=0.5).any()
