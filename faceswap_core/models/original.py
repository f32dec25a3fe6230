"""The seeds' network: one shared encoder, one decoder a person, with an alpha head.

Source: seeds 002 (Oldpan's PyTorch code) and 004 (the first deepfakes code); at width 128, latent 1024 and
64 px these are their layers, with padding 2 where the published code relied on a convolution of its own.
The alpha head is ours: a fourth output, trained on the face mask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import Down, Up


class Encoder(nn.Module):
    """View -> shared features, through a narrow dense bottleneck."""

    def __init__(self, resolution: int, width: int, latent: int) -> None:
        """Set sizes; the innermost side is 4 (to 7) px."""
        super().__init__()
        steps = (resolution // 4).bit_length() - 1
        side = resolution >> steps
        channels = [min(width << i, width * 8) for i in range(steps)]
        self.down = nn.Sequential(*(Down(i, o) for i, o in zip([3, *channels], channels, strict=False)))
        deepest = channels[-1] * side * side
        self.squeeze = nn.Linear(deepest, latent)
        self.expand = nn.Linear(latent, deepest)
        self.unflatten = nn.Unflatten(1, (channels[-1], side, side))
        self.up = Up(channels[-1], width * 4)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a view."""
        x = self.down(x)  # (N, 3, R, R) -> (N, 8W, 4, 4)
        x = self.expand(self.squeeze(x.flatten(1)))  # (N, 128W) -> (N, latent) -> (N, 128W)
        out: Tensor = self.up(self.unflatten(x))  # (N, 8W, 4, 4) -> (N, 4W, 8, 8)
        return out


class Decoder(nn.Module):
    """Shared features -> RGBA view of one person."""

    def __init__(self, resolution: int, width: int) -> None:
        """Set sizes."""
        super().__init__()
        steps = (resolution // 4).bit_length() - 2
        channels = [max(width * 2 >> i, width // 2, 4) for i in range(steps)]
        self.up = nn.Sequential(*(Up(i, o) for i, o in zip([width * 4, *channels], channels, strict=False)))
        self.rgba = nn.Conv2d(channels[-1], 4, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Decode features; all four channels 0..1."""
        x = self.up(x)  # (N, 4W, 8, 8) -> (N, W/2, R, R)
        return torch.sigmoid(self.rgba(x))  # -> (N, 4, R, R)


class Original(nn.Module):
    """Shared encoder E and decoders D_A, D_B."""

    def __init__(self, *, resolution: int, width: int, latent: int) -> None:
        """Build the network.

        Args:
            resolution: side of the view in pixels, a multiple of 64.
            width: channels after the first convolution.
            latent: length of the bottleneck.
        """
        super().__init__()
        self.encoder = Encoder(resolution, width, latent)
        self.decoders = nn.ModuleList([Decoder(resolution, width), Decoder(resolution, width)])

    def forward(self, x: Tensor, side: int) -> Tensor:
        """D_side(E(x)): (N, 3, R, R) 0..1 -> (N, 4, R, R) RGBA 0..1; side 0 is A, 1 is B."""
        out: Tensor = self.decoders[side](self.encoder(x))
        return out

    def reconstruct(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """D_A(E(a)) and D_B(E(b)) with one pass of the encoder."""
        features = self.encoder(torch.cat([a, b]))
        return self.decoders[0](features[: len(a)]), self.decoders[1](features[len(a) :])
