"""Losses by the name in ``train.losses``."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from faceswap_core.models.alignment import LatentMatch
from faceswap_core.models.losses.adversary import Adversary
from faceswap_core.models.losses.arcface import Arcface
from faceswap_core.models.losses.perceptual import Vgg
from faceswap_core.models.losses.pixels import alpha, alpha_hinge, alpha_mean, alpha_variation, edge, l1, latent, mse
from faceswap_core.models.losses.shown import Shown
from faceswap_core.models.losses.structure import focal_frequency, laplacian, ms_ssim, ssim

__all__ = ["LOSSES", "NETWORK_LOSSES", "Shown"]

LOSSES: dict[str, Callable[[Shown], Tensor]] = {
    "l1": l1,
    "mse": mse,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "edge": edge,
    "laplacian": laplacian,
    "focal_frequency": focal_frequency,
    "alpha": alpha,
    "alpha_mean": alpha_mean,
    "alpha_hinge": alpha_hinge,
    "alpha_variation": alpha_variation,
    "latent": latent,
}
"""Losses that are functions of what is shown."""
NETWORK_LOSSES: dict[str, type[nn.Module]] = {
    "match": LatentMatch,
    "vgg": Vgg,
    "arcface": Arcface,
    "adversarial": Adversary,
}
"""Losses with a network or a memory of their own."""
