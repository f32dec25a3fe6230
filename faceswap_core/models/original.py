"""The seeds' network: one shared encoder, one decoder a person, with an alpha head.

Source: seeds 002 (Oldpan's PyTorch code) and 004 (the first deepfakes code); at width 128, latent 1024 and
64 px these are their layers, with padding 2 where the published code relied on a convolution of its own.

Ours beside the seeds: an alpha channel trained on the face mask; inputs centred; and a latent vector that is
normalised for each person apart, so that both people fill the same region of the latent space and a decoder
meets there what it was trained on. Without it the swap keeps features of the plate's person (glasses, a bare
chin) although the reconstruction improves. `LatentMatch` brings the shape of the two regions together, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import Down, SideNorm, Up, full, initialize


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
        self.norm = SideNorm(latent)
        self.expand = nn.Linear(latent, deepest)
        self.unflatten = nn.Unflatten(1, (channels[-1], side, side))
        self.up = Up(channels[-1], width * 4)

    def squeezed(self, x: Tensor) -> Tensor:
        """Latent vectors (N, latent) of centred views, before they are normalised."""
        out: Tensor = self.squeeze(self.down(x).flatten(1))  # (N, 3, R, R) -> (N, 8W, 4, 4) -> (N, latent)
        return out

    def latents(self, x: Tensor, sides: Sequence[int]) -> Tensor:
        """Normalised latent vectors (N, latent) float32 of centred views (N, 3, R, R).

        ``sides`` names the person of each equal part of the batch, in order.
        """
        out: Tensor = self.norm(self.squeezed(x), sides)
        return out

    def features(self, z: Tensor) -> Tensor:
        """What the decoders draw from: (N, latent) -> (N, 4W, 8, 8) at 64 px."""
        out: Tensor = self.up(self.unflatten(self.expand(z)))  # -> (N, 8W, 4, 4) -> (N, 4W, 8, 8)
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

    center: Tensor
    spread: Tensor

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
        self.register_buffer("center", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("spread", torch.full((1, 3, 1, 1), 0.25))
        initialize(self)

    def set_colors(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Centre inputs on the colours of the common space: three means and deviations, 0..1."""
        self.center.copy_(torch.tensor(mean).view_as(self.center))
        self.spread.copy_(torch.tensor(std).view_as(self.spread).clamp_min(0.02))

    def forward(self, x: Tensor, source: int, target: int) -> Tensor:
        """D_target(E(x)) for views of one person.

        Args:
            x: (N, 3, R, R) 0..1.
            source: side of the person in ``x``; 0 is A, 1 is B.
            target: side whose decoder draws.

        Returns:
            (N, 4, R, R) RGBA 0..1.
        """
        z = self.encoder.latents(self._centred(x), [source])
        out: Tensor = self.decoders[target](self.encoder.features(z))
        return out

    def _centred(self, x: Tensor) -> Tensor:
        return (x - self.center) / self.spread

    @torch.no_grad()
    def settle(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure each side's latent statistics anew.

        Args:
            batches: views (N, 3, R, R) 0..1 of A and of B.
        """
        raw: tuple[list[Tensor], list[Tensor]] = ([], [])
        for pair in batches:
            for found, x in zip(raw, pair, strict=True):
                found.append(full(self.encoder.squeezed(self._centred(x))))
        for side, found in enumerate(raw):
            self.encoder.norm.settle(torch.cat(found), side)

    def reconstruct(self, a: Tensor, b: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Draw each person from their own views, with one pass of the encoder.

        Args:
            a: (N, 3, R, R) views of A, 0..1.
            b: as many of B.
            keep: (2N, latent) factors on the latent vectors, for dropout; None leaves them.

        Returns:
            D_A(E(a)) and D_B(E(b)), (N, 4, R, R) RGBA, and all latent vectors (2N, latent) before dropout.
        """
        z = self.encoder.latents(self._centred(torch.cat([a, b])), [0, 1])
        features = self.encoder.features(z if keep is None else z * keep)
        return self.decoders[0](features[: len(a)]), self.decoders[1](features[len(a) :]), z
