"""shown views -> losses of pixels, of the alpha head, and of the code."""

from __future__ import annotations

from torch import Tensor

from faceswap_core.models.blocks import code_vectors
from faceswap_core.models.losses.shown import Shown, mean_of
from faceswap_core.models.parallel import averaged


def l1(shown: Shown) -> Tensor:
    """Mean absolute difference. Source: seeds 002 and 004."""
    return mean_of((shown.made - shown.target).abs(), shown)


def mse(shown: Shown) -> Tensor:
    """Mean squared difference. Source: seeds 000 and 003."""
    return mean_of((shown.made - shown.target) ** 2, shown)


def edge(shown: Shown) -> Tensor:
    """Mean absolute difference of neighbouring pixels' steps inside the mask, both directions added.

    Source: the edge loss of seed 004 (faceswap-GAN). It draws out eyes and brows, which L1 alone leaves blurred.
    """
    difference, weight = shown.made - shown.target, shown.weight
    across = (difference[..., 1:] - difference[..., :-1]).abs() * weight[..., 1:]
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
    return (across.sum() + down.sum()) / (averaged(weight.sum()) * difference.shape[1]).clamp_min(1.0)


def alpha(shown: Shown) -> Tensor:
    """Mean absolute difference of the alpha head from the face mask. Ours."""
    return (shown.alpha - shown.face).abs().mean()


def alpha_mean(shown: Shown) -> Tensor:
    """Mean of the alpha head: draw as little as serves. Source: faceswap-GAN v2.2, weight .01."""
    return shown.alpha.abs().mean()


def alpha_hinge(shown: Shown) -> Tensor:
    """How far the alpha head stays below a level, on average. Source: faceswap-GAN v2.2, weight .1, levels by stage."""
    return (shown.hinge - shown.alpha).clamp_min(0).mean()


def alpha_variation(shown: Shown) -> Tensor:
    """Total variation of the alpha head, a pixel. Source: faceswap-GAN v2.2, weight .1."""
    across = (shown.alpha[..., 1:] - shown.alpha[..., :-1]).abs().mean()
    return across + (shown.alpha[..., 1:, :] - shown.alpha[..., :-1, :]).abs().mean()


def latent(shown: Shown) -> Tensor:
    """Squared length |z|^2 of the codes before they are normalised, on average. Source: seed 000."""
    return (code_vectors(shown.raw).float() ** 2).sum(1).mean()
