"""shown views -> how well they pass for real: one discriminator of patches for each person.

Source: faceswap-GAN v2.2 (project 2 of seed 004), least squares (Mao et al. 2017) with mixup (Zhang et al. 2018),
self-attention (Zhang et al. 2019). A discriminator is shown six channels, the picture and the disturbed view that
the network was given. Judged are the colours as drawn, and composited: alpha colours + (1 - alpha) view.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import SelfAttention, initialize
from faceswap_core.models.losses.shown import Shown

_MIXUP = 0.2


def _discriminator(width: int) -> nn.Sequential:
    """(N, 6, R, R) -> map of verdicts (N, 1, R / 8 - 1, R / 8 - 1), 1 for real; .75 M parameters at width 64."""

    def halve(inputs: int, outputs: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        return [conv, nn.LeakyReLU(0.2), nn.InstanceNorm2d(outputs, affine=True)]

    first = [nn.Conv2d(6, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    layers = [*first, *halve(width, 2 * width), *halve(2 * width, 4 * width), SelfAttention(4 * width)]
    return nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, padding=1))


class Adversary(nn.Module):
    """Both discriminators."""

    def __init__(self, width: int) -> None:
        """Build them; full size is width 64."""
        super().__init__()
        self.discriminators = nn.ModuleList([_discriminator(width), _discriminator(width)])
        initialize(self)

    def forward(self, shown: Shown) -> Tensor:
        """How far the drawn views are from being taken for real: least squares of the verdicts to 1."""
        return torch.stack([(self._verdict(made, shown) - 1).square().mean() for made in self._drawn(shown)]).sum()

    def judged(self, shown: Shown, step: int) -> Tensor:
        """What the discriminator minimises: a mixture of real and drawn is to be told by its share of real.

        Args:
            shown: views without gradients.
            step: seed of the share, drawn from Beta(.2, .2).
        """
        share = float(np.random.default_rng([step, shown.side]).beta(_MIXUP, _MIXUP))
        mixed = [share * shown.target + (1 - share) * made for made in self._drawn(shown)]
        return torch.stack([(self._verdict(m, shown) - share).square().mean() for m in mixed]).sum()

    def _drawn(self, shown: Shown) -> tuple[Tensor, Tensor]:
        return shown.alpha * shown.made + (1 - shown.alpha) * shown.seen, shown.made

    def _verdict(self, picture: Tensor, shown: Shown) -> Tensor:
        out: Tensor = self.discriminators[shown.side](torch.cat([picture, shown.seen], 1) * 2 - 1)
        return out.float()
