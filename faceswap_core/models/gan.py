"""faceswap-GAN's network: normalised convolutions with self-attention, a colour and an alpha head each.

Source: seed 004 names it as its second project; layers of faceswap-GAN v2.2, whose full size is width 64, latent
1024, 64 px: 59.1 M parameters in the encoder, 6.3 M in each decoder. The discriminators and their losses stand in
``losses/adversary.py``, the schedule in ``stages.py``.

    encoder  conv 5x5 W | conv 3x3 /2 2W | 4W norm, attention | 8W norm, attention | 16W norm | ... to 4x4
             dense latent | dense | up 8W
    decoder  up 4W | up 2W | attention | up W, residual, attention | beyond 64 px: up and conv for each doubling
             alpha = sigmoid(conv 5x5), colours = tanh(conv 5x5), here mapped to 0..1

Ours beside the source: the latent vector normalised for each person (``side_norm``), inputs centred.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceswap_core.models.blocks import SelfAttention, SideNorm, initialize, shuffled
from faceswap_core.models.network import Build, FaceNetwork, Views
from faceswap_core.models.parallel import equal_parts

_ATTENTION_SIDE = 64
"""Largest map that looks at itself; the cost grows with the fourth power of the side."""


class Halve(nn.Module):
    """3x3 convolution of stride 2, ReLU, then instance normalisation where there is one."""

    def __init__(self, inputs: int, outputs: int, normed: bool) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm = nn.InstanceNorm2d(outputs, affine=True) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Reduce (N, C, H, W) to (N, C', H/2, W/2)."""
        out: Tensor = self.norm(functional.relu(self.conv(x)))
        return out


class Double(nn.Module):
    """3x3 convolution, leaky ReLU .2, instance normalisation, sub-pixel shuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * 4, 3, padding=1)
        self.norm = nn.InstanceNorm2d(outputs * 4, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        return shuffled(self.norm(functional.leaky_relu(self.conv(x), 0.2)))


class Residual(nn.Module):
    """x + two 3x3 convolutions, leaky ReLU .2 between and after."""

    def __init__(self, channels: int) -> None:
        """Set the channel count."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (N, C, H, W)."""
        return functional.leaky_relu(x + self.second(functional.leaky_relu(self.first(x), 0.2)), 0.2)


def _encoder(build: Build) -> nn.Sequential:
    width, side = build.width, build.resolution
    layers: list[nn.Module] = [nn.Conv2d(3, width, 5, padding=2, bias=False)]
    channels = [min(width << i, width * 16) for i in range(build.steps + 1)]
    for number, (inputs, outputs) in enumerate(pairwise(channels), 1):
        layers.append(Halve(inputs, outputs, normed=number > 1))
        side //= 2
        if number in (2, 3) and side <= _ATTENTION_SIDE:
            layers.append(SelfAttention(outputs))
    deep = channels[-1] * build.innermost**2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(deep, build.latent))


def _shared(build: Build) -> nn.Sequential:
    deep = min(build.width << build.steps, build.width * 16)
    side = build.innermost
    return nn.Sequential(
        nn.Linear(build.latent, deep * side * side), nn.Unflatten(1, (deep, side, side)), Double(deep, build.width * 8)
    )


class Decoder(nn.Module):
    """Shared features -> RGBA view of one person."""

    def __init__(self, build: Build) -> None:
        """Set sizes."""
        super().__init__()
        width = build.width
        middle: list[nn.Module] = [Double(width * 8, width * 4), Double(width * 4, width * 2)]
        middle += [SelfAttention(width * 2), Double(width * 2, width), Residual(width), SelfAttention(width)]
        for _ in range(build.steps - 4):
            middle += [Double(width, width), nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2)]
        self.up = nn.Sequential(*middle)
        self.alpha = nn.Conv2d(width, 1, 5, padding=2)
        self.colors = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Decode features; all four channels 0..1."""
        x = self.up(x)  # (N, 8W, 8, 8) -> (N, W, R, R)
        return torch.cat([torch.tanh(self.colors(x)) / 2 + 0.5, torch.sigmoid(self.alpha(x))], 1)  # -> (N, 4, R, R)


class Gan(FaceNetwork):
    """Shared encoder and two decoders with heads for colours and alpha."""

    def __init__(self, build: Build) -> None:
        """Build the network."""
        super().__init__(build)
        self.encoder = _encoder(build)
        self.norm = SideNorm(build.latent) if build.side_norm else None
        self.shared = _shared(build)
        self.decoders = nn.ModuleList([Decoder(build), Decoder(build)])
        initialize(self)

    def squeezed(self, x: Tensor) -> Tensor:
        """Latent vectors of centred views."""
        out: Tensor = self.encoder(x)  # (N, 3, 64, 64) -> (N, 16W, 4, 4) -> (N, latent)
        return out

    def drawn(self, codes: Tensor, sides: Sequence[int]) -> list[Views]:
        """One pass up from the codes, then each person's decoder."""
        parts = equal_parts(self.shared(codes), len(sides))  # (N, latent) -> (N, 16W, 4, 4) -> (N, 8W, 8, 8)
        return [(self.decoders[side](part),) for side, part in zip(sides, parts, strict=True)]

    @torch.no_grad()
    def exchange_decoders(self) -> None:
        """Give each person the other's decoder."""
        one, other = ({k: v.clone() for k, v in d.state_dict().items()} for d in self.decoders)
        self.decoders[0].load_state_dict(other)
        self.decoders[1].load_state_dict(one)
