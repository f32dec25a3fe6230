"""What every network does: views -> codes that both people share -> views of either person."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import SideNorm, full

Views = tuple[Tensor, ...]
"""RGBA pictures (N, 4, r, r) 0..1 of one person, the full size R first, then any coarser ones."""


@dataclass(frozen=True)
class Build:
    """How a network is built; what it has no use for stays at its default."""

    resolution: int
    """Side R of a view in pixels, a multiple of 64."""
    width: int
    """Channels after the first convolution."""
    latent: int
    """Length of the code."""
    bottleneck: str = "dense"
    """``dense``, ``conv1x1`` or ``none``."""
    upsample: str = "pixelshuffle"
    """``pixelshuffle``, ``deconv`` or ``resize``."""
    side_norm: bool = True
    """Whether codes are normalised for each person apart."""

    @property
    def steps(self) -> int:
        """Halvings from the view to the innermost map."""
        return (self.resolution // 4).bit_length() - 1

    @property
    def innermost(self) -> int:
        """Side of the innermost map: 4 to 7 px."""
        return self.resolution >> self.steps


@dataclass(frozen=True)
class Redrawn:
    """Both people drawn from their own views."""

    a: Views
    """D_A(E(a))."""
    b: Views
    """D_B(E(b))."""
    codes: Tensor
    """All codes, those of A first, before dropout: (2N, latent) or (2N, C, h, w)."""
    raw: Tensor
    """The same before they were normalised."""


class FaceNetwork(nn.Module, ABC):
    """Base of the networks.

    A subclass gives ``squeezed`` and ``drawn``, and ``norm`` where it normalises its codes.
    """

    center: Tensor
    spread: Tensor
    norm: SideNorm | None

    def __init__(self, build: Build) -> None:
        """Keep the build; inputs are centred on mid-grey until `set_colors`."""
        super().__init__()
        self.build = build
        self.register_buffer("center", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("spread", torch.full((1, 3, 1, 1), 0.25))

    @staticmethod
    def code_length(build: Build) -> int:
        """Channels of a code, which dropout and normalisation go by."""
        return build.latent

    @abstractmethod
    def squeezed(self, x: Tensor) -> Tensor:
        """Codes of centred views (N, 3, R, R), before they are normalised."""

    @abstractmethod
    def drawn(self, codes: Tensor, sides: Sequence[int]) -> list[Views]:
        """Draw each equal part of the codes as the person that ``sides`` names for it."""

    def set_colors(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Centre inputs on the colours of the common space: three means and deviations, 0..1."""
        self.center.copy_(torch.tensor(mean).view_as(self.center))
        self.spread.copy_(torch.tensor(std).view_as(self.spread).clamp_min(0.02))

    def encode(self, x: Tensor, sides: Sequence[int]) -> Tensor:
        """Codes of views (N, 3, R, R) 0..1; ``sides`` names the person of each equal part of the batch."""
        return self._normalised(self.squeezed(self._centred(x)), sides)

    def decode(self, codes: Tensor, side: int) -> Tensor:
        """Draw codes as one person: (N, 4, R, R) RGBA 0..1."""
        (views,) = self.drawn(codes, [side])
        return views[0]

    def forward(self, x: Tensor, source: int, target: int) -> Tensor:
        """D_target(E(x)) for views of one person.

        Args:
            x: (N, 3, R, R) 0..1.
            source: side of the person in ``x``; 0 is A, 1 is B.
            target: side whose person is drawn.

        Returns:
            (N, 4, R, R) RGBA 0..1.
        """
        if not len(x):
            return x.new_zeros((0, 4, *x.shape[2:]))
        return self.decode(self.encode(x, [source]), target)

    def reconstruct(self, a: Tensor, b: Tensor, keep: Tensor | None = None) -> Redrawn:
        """Draw each person from their own views, with one pass of the encoder.

        Args:
            a: (N, 3, R, R) views of A, 0..1.
            b: as many of B.
            keep: (2N, C) factors on the codes' channels, for dropout; None leaves them.
        """
        raw = self.squeezed(self._centred(torch.cat([a, b])))
        codes = self._normalised(raw, [0, 1])
        kept = codes if keep is None else codes * keep.reshape(*keep.shape, *[1] * (codes.dim() - 2))
        of_a, of_b = self.drawn(kept, [0, 1])
        return Redrawn(of_a, of_b, codes, raw)

    @torch.no_grad()
    def settle(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure each side's statistics of the codes anew.

        Args:
            batches: views (N, 3, R, R) 0..1 of A and of B.
        """
        if self.norm is None:
            return
        raw: tuple[list[Tensor], list[Tensor]] = ([], [])
        for pair in batches:
            for found, x in zip(raw, pair, strict=True):
                found.append(full(self.squeezed(self._centred(x))))
        for side, found in enumerate(raw):
            self.norm.settle(torch.cat(found), side)

    def _normalised(self, raw: Tensor, sides: Sequence[int]) -> Tensor:
        if self.norm is None:
            return full(raw)
        out: Tensor = self.norm(raw, sides)
        return out

    def _centred(self, x: Tensor) -> Tensor:
        return (x - self.center) / self.spread
