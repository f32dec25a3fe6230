"""FakeApp's convolutional network: no dense layer, a 1x1 convolution as the bottleneck.

Source: seed 003, at width 64 and 256 px: three 3x3 convolutions with ReLU and 2x2 max pools (64, 128, 256), a 1x1
convolution 256 -> 64, transposed convolutions 256 and 128, a 1x1 output. Corrected, as its geometry cannot run: a
third transposed convolution (three poolings need three), and ``output_padding`` 1 (without it 32 px become 63).
Dropout and weight decay are settings of the training.

A map of 64 channels at an eighth of the side is hardly narrower than the picture: expect it to copy the plate.
Ours beside the seed: a second decoder, an alpha channel, inputs centred, codes normalised for each person.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import SideNorm, initialize
from faceswap_core.models.network import Build, FaceNetwork, Views
from faceswap_core.models.parallel import equal_parts


def _encoder(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Conv2d(4 * width, width, 1))


def _decoder(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((width, 4 * width), (4 * width, 2 * width), (2 * width, width)):
        up = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        layers += [up, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(width, 4, 1))


class FakeAppCnn(FaceNetwork):
    """Shared encoder and two decoders, convolutions throughout."""

    def __init__(self, build: Build) -> None:
        """Build the network; full size is width 64, 256 px."""
        super().__init__(build)
        self.encoder = _encoder(build.width)
        self.norm = SideNorm(build.width) if build.side_norm else None
        self.decoders = nn.ModuleList([_decoder(build.width), _decoder(build.width)])
        initialize(self)

    @staticmethod
    def code_length(build: Build) -> int:
        """Channels of the bottleneck."""
        return build.width

    def squeezed(self, x: Tensor) -> Tensor:
        """Maps of centred views."""
        out: Tensor = self.encoder(x)  # (N, 3, R, R) -> (N, 4W, R/8, R/8) -> (N, W, R/8, R/8)
        return out

    def drawn(self, codes: Tensor, sides: Sequence[int]) -> list[Views]:
        """Each person's decoder from the maps."""
        parts = equal_parts(codes, len(sides))  # (N, W, R/8, R/8) -> (N, W, R, R) -> (N, 4, R, R)
        return [(torch.sigmoid(self.decoders[side](part)),) for side, part in zip(sides, parts, strict=True)]
