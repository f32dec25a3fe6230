from dataclasses import replace

import pytest
import torch

from faceswap_core.models.losses import Shown


def shown_of(made, target, weight=None, **changes):
    """What a loss is shown, all else plain."""
    ones = torch.ones(len(made), 1, *made.shape[-2:], dtype=made.dtype)
    plain = {"alpha": ones, "face": ones, "mask_weight": 1.0, "seen": target, "side": 0, "hinge": 0.5}
    plain |= {"raw": torch.zeros(len(made), 4), "weight": ones if weight is None else weight}
    return Shown(made=made, target=target, **{**plain, **changes})


@pytest.fixture
def views():
    """Two different views of 8 px with a mask in the middle."""
    generator = torch.Generator().manual_seed(0)
    made, target = (torch.rand(2, 3, 8, 8, generator=generator) for _ in range(2))
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    return shown_of(made, target, mask)


@pytest.fixture
def pictures():
    """Two different views of 48 px, soft as pictures are."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 2, 3, 12, 12, generator=generator)
    made, target = (torch.nn.functional.interpolate(c, scale_factor=4, mode="bilinear") for c in coarse)
    return shown_of(made, target)


@pytest.fixture
def turned():
    """Exchange what was drawn and what was wanted."""
    return lambda shown: replace(shown, made=shown.target, target=shown.made)
