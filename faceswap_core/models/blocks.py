"""Building blocks that the networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from faceswap_core.models.parallel import gathered, own_part

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """Lay the weights out as (N, H, W, C) in memory, which is faster for small widths; values are unchanged."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


class Down(nn.Module):
    """Halve the side: 5x5 convolution of stride 2, leaky ReLU .1. Source: seeds 002 and 004."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce (N, C, H, W) to (N, C', H/2, W/2)."""
        out: Tensor = self.act(self.conv(x))
        return out


class Up(nn.Module):
    """Double the side: 3x3 convolution, leaky ReLU .1, sub-pixel shuffle (Shi et al. 2016). Source: seeds 002, 004."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * 4, 3, padding=1)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        return shuffled(self.act(self.conv(x)))


def shuffled(x: Tensor) -> Tensor:
    """Sub-pixel shuffle of (N, 4C, H, W) to (N, C, 2H, 2W); channels stand in the order row, column, C.

    That order, unlike the one of ``nn.PixelShuffle``, moves whole runs of memory when channels come last: half
    the time on a CPU. To the network they are the same, for its channels have no order of their own.
    """
    count, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(count, height, width, 2, channels // 2).transpose(2, 3)
    return rows.reshape(count, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)


def full(x: Tensor) -> Tensor:
    """The tensor in float32, or wider where it is: what losses and statistics are taken in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class SideNorm(nn.Module):
    """Normalise vectors to mean 0 and variance 1 for each person apart (batch statistics kept by side).

    Source: domain-specific batch normalisation (Chang et al. 2019), here with two people as the domains. The
    statistics are those of the whole batch, whichever process draws how much of it.
    """

    def __init__(self, length: int) -> None:
        """Set the vectors' length."""
        super().__init__()
        self.sides = nn.ModuleList(nn.BatchNorm1d(length, affine=False, momentum=0.02) for _ in range(2))

    def forward(self, x: Tensor, sides: Sequence[int]) -> Tensor:
        """Normalise (N, C) float32; ``sides`` names the person of each equal part of the batch, in order."""
        parts = full(x).chunk(len(sides))
        return torch.cat([own_part(self.sides[side](gathered(p))) for side, p in zip(sides, parts, strict=True)])

    def settle(self, x: Tensor, side: int) -> None:
        """Take mean and variance of (N, C) vectors, those of all processes, as those of one person."""
        x = gathered(x)
        norm = self.sides[side]
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(x.mean(0))
        norm.running_var.copy_(x.var(0))


def initialize(network: nn.Module) -> None:
    """Draw initial weights: He et al. 2015 for convolutions, orthogonal for dense layers, small at the output.

    Torch's own default is smaller and leaves the plateau of the mean face later.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.1, nonlinearity="leaky_relu")
            if module.out_channels <= 4:
                module.weight.data *= 0.2
        elif isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
