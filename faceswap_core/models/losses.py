"""predictions + targets -> scalar losses."""

from __future__ import annotations

from torch import Tensor

from faceswap_core.models.parallel import averaged


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor, mask_weight: float) -> Tensor:
    """Mean absolute difference, the face counting more than what surrounds it.

    Args:
        prediction: (N, 3, R, R) 0..1.
        target: (N, 3, R, R) 0..1.
        mask: (N, 1, R, R) 0..1.
        mask_weight: share of the loss taken inside the mask; 0 is the seeds' plain L1.
    """
    difference = (prediction - target).abs()
    inside = (difference * mask).sum() / (averaged(mask.sum()) * difference.shape[1]).clamp_min(1.0)
    return mask_weight * inside + (1 - mask_weight) * difference.mean()


def masked_edges(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels' steps inside the mask, both directions added.

    Source: the edge loss of seed 004 (faceswap-GAN). It draws out eyes and brows, which L1 alone leaves blurred.
    """
    difference = prediction - target
    across = (difference[..., 1:] - difference[..., :-1]).abs() * mask[..., 1:]
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * mask[..., 1:, :]
    return (across.sum() + down.sum()) / (averaged(mask.sum()) * difference.shape[1]).clamp_min(1.0)


def rgba_loss(
    prediction: Tensor,
    target: Tensor,
    importance: Tensor,
    *,
    mask_weight: float,
    edge_weight: float,
    alpha_weight: float,
) -> tuple[Tensor, Tensor]:
    """Loss of RGBA views (N, 4, R, R) against RGB plus face mask (N, 4, R, R).

    Args:
        prediction: RGBA.
        target: RGB and mask.
        importance: (1, 1, R, R) weight of each pixel of the image losses.
        mask_weight: share of the L1 loss taken inside the mask.
        edge_weight: weight of the edge loss.
        alpha_weight: weight of the alpha channel's loss.

    Returns:
        the loss to minimise, and its L1 part alone.
    """
    colors, mask = target[:, :3], target[:, 3:] * importance
    image = masked_l1(prediction[:, :3], colors, mask, mask_weight)
    edges = masked_edges(prediction[:, :3], colors, mask) if edge_weight else image.new_zeros(())
    alpha = (prediction[:, 3:] - target[:, 3:]).abs().mean()
    return image + edge_weight * edges + alpha_weight * alpha, image
