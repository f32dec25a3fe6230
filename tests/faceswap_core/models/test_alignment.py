import pytest
import torch

from faceswap_core.models import alignment
from faceswap_core.models.alignment import LatentMatch


@pytest.fixture(autouse=True)
def few_remembered(monkeypatch):
    monkeypatch.setattr(alignment, "_REMEMBERED", 64)


def clouds(shift=0.0, stretch=1.0, count=8, seed=0):
    drawn = torch.randn(2, count, 6, generator=torch.Generator().manual_seed(seed))
    drawn[1] = drawn[1] * stretch + shift
    return drawn.view(2 * count, 6)


def distance(**how):
    match = LatentMatch(6)
    for step in range(8):
        assert match(clouds(**how, seed=step), step) == 0  # not enough remembered
    return float(match(clouds(**how, seed=99), 99))


def test_clouds_apart_or_of_another_shape_are_farther_than_equal_ones():
    alike = distance()
    assert distance(shift=1.0) > 2 * alike
    assert distance(stretch=3.0) > 2 * alike


def test_gradient_moves_the_clouds_together_and_not_what_is_remembered():
    match = LatentMatch(6)
    for step in range(8):
        match(clouds(shift=2.0, seed=step), step)
    z = clouds(shift=2.0, seed=8).requires_grad_()
    match(z, 8).backward()
    a, b = z.grad.view(2, 8, 6).mean(1)
    assert (a < 0).all()  # a step against the gradient takes A up and B down
    assert (b > 0).all()
    assert not match.recent.requires_grad
    torch.testing.assert_close(match.recent[:, :8], z.detach().view(2, 8, 6))


def test_gradient_of_one_vector_does_not_depend_on_how_many_are_remembered(monkeypatch):
    sizes = []
    for remembered in (64, 256):
        monkeypatch.setattr(alignment, "_REMEMBERED", remembered)
        match = LatentMatch(6)
        match.recent.copy_(torch.randn(2, remembered, 6, generator=torch.Generator().manual_seed(1)))
        match.recent[1] += 5.0
        match.filled.fill_(remembered)
        z = clouds(shift=5.0).requires_grad_()
        match(z, 0).backward()
        sizes.append(z.grad.norm())
    torch.testing.assert_close(sizes[0], sizes[1], rtol=0.05, atol=0)


def test_same_step_compares_along_the_same_directions():
    def once(step):
        match = LatentMatch(6)
        match.filled.fill_(64)
        return float(match(clouds(shift=1.0), step))

    assert once(4) == once(4)
    assert once(4) != once(5)
