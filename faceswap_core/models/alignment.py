"""latent vectors of both people -> one loss that brings the two clouds of vectors over each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceswap_core.models.parallel import gathered

_REMEMBERED = 256
"""Vectors of either person that a batch is compared among: one batch alone says little of a distribution."""
_DIRECTIONS = 64


class LatentMatch(nn.Module):
    """Sliced Wasserstein distance between the latent vectors of A and of B, the latest batches counted in.

    An encoder that is free to may keep the two people in different regions of the latent space; a decoder then
    draws from vectors that it never met. Source: Bonneel et al. 2015 for the distance; that it serves to align
    two domains, Lee et al. 2019.
    """

    recent: Tensor
    filled: Tensor

    def __init__(self, latent: int) -> None:
        """Begin with no vectors remembered."""
        super().__init__()
        self.register_buffer("recent", torch.zeros(2, _REMEMBERED, latent))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def forward(self, z: Tensor, step: int) -> Tensor:
        """Distance of this batch, and remember it.

        Args:
            z: (2N, latent) normalised vectors, those of A first; those of other processes are joined in.
            step: number of the step, the seed of the directions compared along.

        Returns:
            the mean difference of equal quantiles over random directions, in units of the latent vectors and scaled
            so that its gradient on one vector does not depend on how many are remembered; 0 until enough are.
        """
        sides = torch.stack([gathered(side) for side in z.chunk(2)])
        count = sides.shape[1]
        clouds = torch.cat([sides, self.recent], dim=1)  # (2, N + remembered, latent)
        enough = int(self.filled) >= _REMEMBERED
        self.recent = clouds[:, :_REMEMBERED].detach()
        self.filled += count
        if not enough:
            return z.new_zeros(())
        drawn = torch.randn(z.shape[1], _DIRECTIONS, generator=torch.Generator().manual_seed(step))
        directions = (drawn / drawn.norm(dim=0)).to(z)
        quantiles = (clouds @ directions).sort(dim=1).values  # (2, N + remembered, directions)
        distance: Tensor = (quantiles[0] - quantiles[1]).abs().mean() * (clouds.shape[1] / count)
        return distance
