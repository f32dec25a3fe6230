"""FakeApp's autoencoder: pooled convolutions to a dense latent vector, transposed convolutions back.

Source: seed 000. Four convolutions with ReLU, each with a 2x2 max pool; a dense layer to 100 numbers; 4096 numbers
as 4x4x256; transposed convolutions; four convolutions. Its loss is the squared error plus lambda |z|^2. The text
gives no widths before 256 and names one decoder, which could swap nobody: here they are 32 to 256, and two.
Beyond 64 px there is one more pooling, and one more transposed convolution, a doubling.

Ours beside the seed: an alpha channel; inputs centred; latent vectors normalised for each person (``side_norm``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import SideNorm, initialize
from faceswap_core.models.network import Build, FaceNetwork, Views
from faceswap_core.models.parallel import equal_parts


def _channels(build: Build) -> list[int]:
    """Channels after each pooling: W, 2W, 4W, 8W."""
    return [min(build.width << i, build.width * 8) for i in range(build.steps)]


def _encoder(build: Build) -> nn.Sequential:
    channels, layers = _channels(build), []
    for inputs, outputs in zip([3, *channels], channels, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    deep = channels[-1] * build.innermost**2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(deep, build.latent))


def _decoder(build: Build) -> nn.Sequential:
    down, side = _channels(build), build.innermost
    layers: list[nn.Module] = [nn.Linear(build.latent, down[-1] * side * side), nn.Unflatten(1, (down[-1], side, side))]
    up = [*down[-2::-1], build.width]
    for inputs, outputs in zip([down[-1], *up], up, strict=False):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
    for _ in range(3):
        layers += [nn.Conv2d(build.width, build.width, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(build.width, 4, 3, padding=1))


class FakeApp(FaceNetwork):
    """Shared encoder and two decoders."""

    def __init__(self, build: Build) -> None:
        """Build the network; full size is width 32, latent 100, 64 px."""
        super().__init__(build)
        self.encoder = _encoder(build)
        self.norm = SideNorm(build.latent) if build.side_norm else None
        self.decoders = nn.ModuleList([_decoder(build), _decoder(build)])
        initialize(self)

    def squeezed(self, x: Tensor) -> Tensor:
        """Latent vectors of centred views."""
        out: Tensor = self.encoder(x)  # (N, 3, 64, 64) -> (N, 8W, 4, 4) -> (N, latent)
        return out

    def drawn(self, codes: Tensor, sides: Sequence[int]) -> list[Views]:
        """Each person's decoder from the latent vectors."""
        parts = equal_parts(codes, len(sides))  # (N, latent) -> (N, 8W, 4, 4) -> (N, W, 64, 64) -> (N, 4, 64, 64)
        return [(torch.sigmoid(self.decoders[side](part)),) for side, part in zip(sides, parts, strict=True)]
