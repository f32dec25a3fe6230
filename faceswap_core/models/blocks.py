"""Building blocks that the networks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceswap_core.models.conv import Conv
from faceswap_core.models.parallel import equal_parts, gathered, own_part

Network = TypeVar("Network", bound=nn.Module)
_WHOLE_ATTENTION_SIDE = 32
"""Largest map in pixels of which every place is looked at."""


def channels_last(network: Network) -> Network:
    """Lay the weights out as (N, H, W, C) in memory, which is faster for small widths; values are unchanged."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


class Down(nn.Module):
    """Halve the side: 5x5 convolution of stride 2, leaky ReLU .1. Source: seeds 002 and 004."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = Conv(inputs, outputs, 5, stride=2, padding=2)
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
        self.conv = Conv(inputs, outputs * 4, 3, padding=1)
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


class UpDeconv(nn.Module):
    """Double the side: transposed 3x3 convolution of stride 2, leaky ReLU .1. Source: seed 004, as what fails."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        out: Tensor = self.act(self.conv(x))
        return out


class UpResize(nn.Module):
    """Double the side: nearest neighbours, then 3x3 convolution, leaky ReLU .1. Source: seed 004, as what fails."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        out: Tensor = self.act(self.conv(functional.interpolate(x, scale_factor=2.0)))
        return out


UPSAMPLERS: dict[str, Callable[[int, int], nn.Module]] = {"pixelshuffle": Up, "deconv": UpDeconv, "resize": UpResize}


class SelfAttention(nn.Module):
    """Every place looks at every other: x + gamma softmax(q k) v. Source: SAGAN (Zhang et al. 2019), gamma 0 at first.

    Query and key have an eighth of the channels. Of maps beyond 32 px, keys and values are the largest of 2x2
    places, as in the paper's own code: a quarter of the cost.
    """

    def __init__(self, channels: int) -> None:
        """Set the channel count."""
        super().__init__()
        narrow = max(channels // 8, 1)
        self.query = nn.Conv2d(channels, narrow, 1)
        self.key = nn.Conv2d(channels, narrow, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Mix (N, C, H, W) over its places."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        if x.shape[-1] > _WHOLE_ATTENTION_SIDE:
            key, value = functional.max_pool2d(key, 2), functional.max_pool2d(value, 2)
        # zeros beside query and key make all three as long as the value, which the fast kernels ask for
        missing = (0, 0, 0, 0, 0, x.shape[1] - query.shape[1])
        query, key = functional.pad(query, missing), functional.pad(key, missing)
        query, key, value = (t.flatten(2).transpose(1, 2)[:, None] for t in (query, key, value))  # (N, 1, places, C)
        mixed = _attended(query, key, value)
        return x + self.gamma * mixed[:, 0].transpose(1, 2).reshape(x.shape)


def full(x: Tensor) -> Tensor:
    """The tensor in float32, or wider where it is: what losses and statistics are taken in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k) v of (N, 1, places, C); on a CPU in full precision, where the fused kernel is twice as fast."""
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, scale=1.0)
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(full(query), full(key), full(value), scale=1.0)


class SideNorm(nn.Module):
    """Normalise codes to mean 0 and variance 1 for each person apart (batch statistics kept by side).

    Source: domain-specific batch normalisation (Chang et al. 2019), here with two people as the domains. The
    statistics are those of the whole batch, whichever process draws how much of it.
    """

    def __init__(self, length: int) -> None:
        """Set the codes' length, or their channels where they are maps."""
        super().__init__()
        self.sides = nn.ModuleList(nn.BatchNorm1d(length, affine=False, momentum=0.02) for _ in range(2))

    def forward(self, x: Tensor, sides: Sequence[int]) -> Tensor:
        """Normalise (N, C) or (N, C, h, w) to float32; ``sides`` names the person of each equal part, in order."""
        flat = full(x)
        parts = equal_parts(flat if x.dim() == 2 else flat.flatten(2), len(sides))
        pairs = [(self.sides[side], part) for side, part in zip(sides, parts, strict=True)]
        if self.training:
            return torch.cat([own_part(norm(gathered(part))) for norm, part in pairs]).view(x.shape)
        return torch.cat([norm(part) for norm, part in pairs]).view(x.shape)  # one process may draw alone

    def settle(self, x: Tensor, side: int) -> None:
        """Take mean and variance of codes (N, C) or (N, C, h, w), of all processes, as those of one person."""
        x = gathered(code_vectors(x))
        norm = self.sides[side]
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(x.mean(0))
        norm.running_var.copy_(x.var(0))


def code_vectors(codes: Tensor) -> Tensor:
    """Codes (N, C) as they are; maps (N, C, h, w) as the vectors of their places (N h w, C)."""
    return codes if codes.dim() == 2 else codes.permute(0, 2, 3, 1).flatten(0, 2)


def initialize(network: nn.Module) -> None:
    """Draw initial weights: He et al. 2015 for convolutions, orthogonal for dense layers, small at the output.

    Torch's own default is smaller and leaves the plateau of the mean face later.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.1, nonlinearity="leaky_relu")
            if module.out_channels <= 4:
                module.weight.data *= 0.2
        elif isinstance(module, nn.ConvTranspose2d):
            # each output place sees kernel / stride^2 of the weights
            taps = module.in_channels * module.kernel_size[0] * module.kernel_size[1] / module.stride[0] ** 2
            nn.init.normal_(module.weight, 0.0, (2 / taps) ** 0.5)
        elif isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
