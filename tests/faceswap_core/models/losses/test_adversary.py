from dataclasses import replace

import numpy as np
import pytest
import torch

from faceswap_core.models.losses.adversary import Adversary


@pytest.fixture
def adversary():
    torch.manual_seed(0)
    return Adversary(4)


def test_full_size_is_that_of_the_source():
    with torch.device("meta"):
        one = Adversary(64).discriminators[0]
    assert sum(p.numel() for p in one.parameters()) == pytest.approx(0.75e6, rel=0.01)


def test_verdict_of_one_costs_the_network_nothing(adversary, pictures):
    for discriminator in adversary.discriminators:
        torch.nn.init.zeros_(discriminator[-1].weight)
        torch.nn.init.ones_(discriminator[-1].bias)
    assert adversary(pictures) == 0
    for discriminator in adversary.discriminators:
        torch.nn.init.constant_(discriminator[-1].bias, 3.0)
    assert adversary(pictures) == 2 * (3 - 1) ** 2  # as drawn, and composited


def test_share_of_real_is_what_a_discriminator_is_to_tell(adversary, pictures):
    step, side = 7, 1
    share = np.random.default_rng([step, side]).beta(0.2, 0.2)
    for discriminator in adversary.discriminators:
        torch.nn.init.zeros_(discriminator[-1].weight)
        torch.nn.init.constant_(discriminator[-1].bias, share)
    shown = replace(pictures, side=side)
    assert adversary.judged(shown, step).detach() == pytest.approx(0, abs=1e-12)
    assert adversary.judged(shown, step + 1) > 0


def test_each_person_has_a_discriminator(adversary, pictures):
    assert adversary(pictures) != adversary(replace(pictures, side=1))
    adversary(pictures).backward()
    grads = [sum(p.grad.abs().sum() for p in d.parameters() if p.grad is not None) for d in adversary.discriminators]
    assert grads[0] > 0
    assert grads[1] == 0


def test_alpha_learns_by_what_is_composited(adversary, pictures):
    alpha = torch.full_like(pictures.alpha, 0.5).requires_grad_()
    adversary(replace(pictures, alpha=alpha)).backward()
    assert alpha.grad.abs().sum() > 0


def test_learns_to_tell_real_from_drawn(adversary, pictures):
    optimizer = torch.optim.Adam(adversary.parameters(), 2e-3, (0.5, 0.999))
    for step in range(60):
        optimizer.zero_grad()
        (adversary.judged(pictures, step) + adversary.judged(replace(pictures, side=1), step)).backward()
        optimizer.step()
    real = replace(pictures, made=pictures.target)
    assert adversary(pictures) > 2 * adversary(real)
