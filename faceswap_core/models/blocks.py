"""Building blocks that the networks share."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

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
        self.act = nn.LeakyReLU(0.1)

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
        self.act = nn.LeakyReLU(0.1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        out: Tensor = self.shuffle(self.act(self.conv(x)))
        return out
