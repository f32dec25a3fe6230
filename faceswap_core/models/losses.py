"""predictions + targets -> scalar losses."""

from __future__ import annotations

from torch import Tensor


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor, mask_weight: float) -> Tensor:
    """Mean absolute difference, the face counting more than what surrounds it.

    Args:
        prediction: (N, 3, R, R) 0..1.
        target: (N, 3, R, R) 0..1.
        mask: (N, 1, R, R) 0..1.
        mask_weight: share of the loss taken inside the mask; 0 is the seeds' plain L1.
    """
    difference = (prediction - target).abs()
    inside = (difference * mask).sum() / (mask.sum() * difference.shape[1]).clamp_min(1.0)
    return mask_weight * inside + (1 - mask_weight) * difference.mean()


def rgba_loss(prediction: Tensor, target: Tensor, *, mask_weight: float, alpha_weight: float) -> tuple[Tensor, Tensor]:
    """Loss of RGBA views (N, 4, R, R) against RGB plus face mask (N, 4, R, R).

    Returns:
        the loss to minimise, and its image part alone.
    """
    image = masked_l1(prediction[:, :3], target[:, :3], target[:, 3:], mask_weight)
    alpha = (prediction[:, 3:] - target[:, 3:]).abs().mean()
    return image + alpha_weight * alpha, image
