"""The seeds' network: one shared encoder, one decoder a person, with an alpha head.

Source: seeds 002 (Oldpan's PyTorch code) and 004 (the first deepfakes code); at width 128, latent 1024 and
64 px these are their layers, with padding 2 where the published code relied on a convolution of its own.

Ours beside the seeds: an alpha channel trained on the face mask; inputs centred; and (``side_norm``) a latent
vector that is normalised for each person apart, so that both people fill the same region of the latent space and
a decoder meets there what it was trained on. Without it the swap keeps features of the plate's person (glasses, a
bare chin) although the reconstruction improves. `LatentMatch` brings the shape of the two regions together, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import UPSAMPLERS, Down, SideNorm, initialize
from faceswap_core.models.network import Build, FaceNetwork, Views
from faceswap_core.models.parallel import equal_parts

_CONV1X1_SHARE = 8
"""The pair of 1x1 convolutions narrows to this share of the dense code's length: 128 of 1024 in seed 002."""


def _channels(build: Build) -> list[int]:
    """Channels after each halving."""
    return [min(build.width << i, build.width * 8) for i in range(build.steps)]


class Encoder(nn.Module):
    """View -> shared features, through a narrow bottleneck."""

    norm: SideNorm | None

    def __init__(self, build: Build) -> None:
        """Set sizes; the innermost side is 4 (to 7) px."""
        super().__init__()
        channels = _channels(build)
        deep, side = channels[-1], build.innermost
        self.down = nn.Sequential(*(Down(i, o) for i, o in zip([3, *channels], channels, strict=False)))
        length = Original.code_length(build)
        self.flatten = nn.Flatten() if build.bottleneck == "dense" else nn.Identity()
        self.squeeze = _narrow(build, deep, deep * side * side, length)
        self.norm = SideNorm(length) if build.side_norm else None
        self.expand = _widen(build.bottleneck, deep, deep * side * side, length)
        self.unflatten = nn.Unflatten(1, (deep, side, side)) if build.bottleneck == "dense" else nn.Identity()
        self.up = UPSAMPLERS[build.upsample](deep, build.width * 4)

    def squeezed(self, x: Tensor) -> Tensor:
        """Codes of centred views, before they are normalised."""
        out: Tensor = self.squeeze(self.flatten(self.down(x)))  # (N, 3, R, R) -> (N, 8W, 4, 4) -> (N, latent)
        return out

    def features(self, z: Tensor) -> Tensor:
        """What the decoders draw from: (N, latent) -> (N, 4W, 8, 8) at 64 px."""
        out: Tensor = self.up(self.unflatten(self.expand(z)))  # -> (N, 8W, 4, 4) -> (N, 4W, 8, 8)
        return out


def _narrow(build: Build, channels: int, flat: int, length: int) -> nn.Module:
    if build.bottleneck == "dense":
        return nn.Linear(flat, length, bias=not build.side_norm)  # the norm would take a bias away again
    return nn.Conv2d(channels, length, 1, bias=False) if build.bottleneck == "conv1x1" else nn.Identity()


def _widen(bottleneck: str, channels: int, flat: int, length: int) -> nn.Module:
    if bottleneck == "dense":
        return nn.Linear(length, flat)
    return nn.Conv2d(length, channels, 1, bias=False) if bottleneck == "conv1x1" else nn.Identity()


class Decoder(nn.Module):
    """Shared features -> RGBA view of one person."""

    def __init__(self, build: Build) -> None:
        """Set sizes."""
        super().__init__()
        width, up = build.width, UPSAMPLERS[build.upsample]
        channels = [max(width * 2 >> i, width // 2, 4) for i in range(build.steps - 1)]
        self.up = nn.Sequential(*(up(i, o) for i, o in zip([width * 4, *channels], channels, strict=False)))
        self.rgba = nn.Conv2d(channels[-1], 4, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Decode features; all four channels 0..1."""
        x = self.up(x)  # (N, 4W, 8, 8) -> (N, W/2, R, R)
        return torch.sigmoid(self.rgba(x))  # -> (N, 4, R, R)


class Original(FaceNetwork):
    """Shared encoder E and decoders D_A, D_B."""

    def __init__(self, build: Build) -> None:
        """Build the network; at least 64 px."""
        super().__init__(build)
        self.encoder = Encoder(build)
        self.decoders = nn.ModuleList([Decoder(build), Decoder(build)])
        initialize(self)

    @staticmethod
    def code_length(build: Build) -> int:
        """Length of the dense code; channels of the maps without one."""
        narrowed = max(build.latent // _CONV1X1_SHARE, 1)
        return {"dense": build.latent, "conv1x1": narrowed, "none": _channels(build)[-1]}[build.bottleneck]

    @property
    def norm(self) -> SideNorm | None:  # type: ignore[override]
        """The encoder's."""
        return self.encoder.norm

    def squeezed(self, x: Tensor) -> Tensor:
        """Codes of centred views: (N, latent), or (N, C, 4, 4) without a dense layer."""
        return self.encoder.squeezed(x)

    def drawn(self, codes: Tensor, sides: Sequence[int]) -> list[Views]:
        """One pass up from the codes, then each person's decoder."""
        parts = equal_parts(self.encoder.features(codes), len(sides))
        return [(self.decoders[side](part),) for side, part in zip(sides, parts, strict=True)]
