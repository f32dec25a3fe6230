"""Our network: one encoder, ONE decoder, and each person a set of scales and shifts.

What two people share (how a face turns, moves and takes the light) is learned once, from the footage of both; what
tells them apart is a scale and a shift for every channel of every layer of the decoder, and a small map of their own
that the decoder begins with. A further person adds a few thousand numbers, not a network.

Source: modulation as in FiLM (Perez et al. 2018) and style-based generators (Karras et al. 2019), from which the
sum of pictures over the scales comes, too (Karras et al. 2020). A code normalised for each person (``side_norm``)
matters more here than with two decoders: what a code tells of its person, one decoder would draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceswap_core.models.blocks import Down, SideNorm, initialize, shuffled
from faceswap_core.models.network import Build, FaceNetwork, Views
from faceswap_core.models.parallel import equal_parts

PEOPLE = 2
_COARSE_SIDE = 16
"""Smallest picture that is drawn on the way."""
_RESIDUAL_SIDE = 32
"""Largest map that residual blocks refine; beyond it they cost more than they give."""


class Identity(nn.Module):
    """Scale and shift of each channel, by person."""

    def __init__(self, channels: int) -> None:
        """Begin with people nearly alike."""
        super().__init__()
        self.scale = nn.Parameter(1 + 0.1 * torch.randn(PEOPLE, channels))
        self.shift = nn.Parameter(0.1 * torch.randn(PEOPLE, channels))

    def forward(self, x: Tensor, people: Tensor) -> Tensor:
        """Change (N, C, H, W) to what the person (N,) of each item makes of it."""
        shift, scale = (own[people].to(x.dtype)[..., None, None] for own in (self.shift, self.scale))
        return torch.addcmul(shift, x, scale)


class Double(nn.Module):
    """Double the side: 3x3 convolution, the person's scale and shift, leaky ReLU .1, sub-pixel shuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * 4, 3, padding=1, bias=False)
        self.identity = Identity(outputs * 4)

    def forward(self, x: Tensor, people: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        return shuffled(functional.leaky_relu(self.identity(self.conv(x), people), 0.1, inplace=True))


class Refine(nn.Module):
    """x + convolution of the person's own scale and shift of a convolution of x."""

    def __init__(self, channels: int) -> None:
        """Set the channel count."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.identity = Identity(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, people: Tensor) -> Tensor:
        """Refine (N, C, H, W)."""
        inner = functional.leaky_relu(self.identity(self.first(x), people), 0.1, inplace=True)
        out: Tensor = x + self.second(inner)
        return out


class Decoder(nn.Module):
    """Code and person -> RGBA views at several sizes."""

    def __init__(self, build: Build) -> None:
        """Set sizes."""
        super().__init__()
        width, side = build.width, build.innermost
        deep = min(width << (build.steps - 1), width * 8)
        channels = [max(width * 4 >> i, width // 2, 4) for i in range(build.steps)]
        self.expand = nn.Linear(build.latent, deep * side * side)
        self.own = nn.Parameter(0.1 * torch.randn(PEOPLE, deep, side, side))
        self.unflatten = nn.Unflatten(1, (deep, side, side))
        self.ups = nn.ModuleList(Double(i, o) for i, o in zip([deep, *channels], channels, strict=False))
        self.refine, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for number, count in enumerate(channels):
            side *= 2
            if side <= _RESIDUAL_SIDE:
                self.refine[str(number)] = Refine(count)
            if side >= _COARSE_SIDE:
                self.heads[str(number)] = nn.Conv2d(count, 4, 5 if side == build.resolution else 3, padding="same")

    def forward(self, z: Tensor, people: Tensor) -> Views:
        """Decode codes (N, latent) as the person (N,) of each; all channels 0..1, the finest first."""
        x = self.unflatten(self.expand(z)) + self.own[people]  # (N, latent) -> (N, 8W, 4, 4)
        drawn: list[Tensor] = []
        for number, up in enumerate(self.ups):
            x = up(x, people)  # (N, 8W, 4, 4) -> ... -> (N, W/2, R, R)
            if str(number) in self.refine:
                x = self.refine[str(number)](x, people)
            if str(number) in self.heads:
                made = self.heads[str(number)](x)
                # each size adds its detail to what the coarser one drew
                coarser = doubled(drawn[-1]) if drawn else 0.0
                drawn.append(made + coarser)
        return tuple(torch.sigmoid(x) for x in reversed(drawn))


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, H) -> (N, C, 2H, 2H), bilinear.

    As two products: of so few channels a third of the time of ``interpolate`` on a CPU.
    """
    side = x.shape[-1]
    place = ((torch.arange(2 * side, device=x.device) - 0.5) / 2).clamp(0, side - 1)  # of each new row, in rows of x
    weights = (1 - (place - torch.arange(side, device=x.device)[:, None]).abs()).clamp_min(0).to(x.dtype)
    wide = (x.reshape(-1, side) @ weights).view(*x.shape[:-1], 2 * side)
    return (wide.mT.reshape(-1, side) @ weights).view(*x.shape[:-2], 2 * side, 2 * side).mT


class Modulated(FaceNetwork):
    """Shared encoder and shared decoder; a person is a row of numbers."""

    def __init__(self, build: Build) -> None:
        """Build the network; 64 to 512 px."""
        super().__init__(build)
        channels = [min(build.width << i, build.width * 8) for i in range(build.steps)]
        down = [Down(i, o) for i, o in zip([3, *channels], channels, strict=False)]
        deep = channels[-1] * build.innermost**2
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(deep, build.latent))
        self.norm = SideNorm(build.latent) if build.side_norm else None
        self.decoder = Decoder(build)
        initialize(self)

    def squeezed(self, x: Tensor) -> Tensor:
        """Codes of centred views."""
        out: Tensor = self.encoder(x)  # (N, 3, R, R) -> (N, 8W, 4, 4) -> (N, latent)
        return out

    def drawn(self, codes: Tensor, sides: Sequence[int]) -> list[Views]:
        """One pass of the one decoder for everybody."""
        parts = zip(sides, equal_parts(codes, len(sides)), strict=True)
        people = torch.cat([part.new_full((len(part),), side, dtype=torch.int64) for side, part in parts])
        views = self.decoder(codes, people)
        return list(zip(*(equal_parts(v, len(sides)) for v in views), strict=True))
