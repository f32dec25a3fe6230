"""What a loss is shown, and the mean that most of them take."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from faceswap_core.models.parallel import averaged


@dataclass(frozen=True)
class Shown:
    """One person's views at one size: what was drawn of them, and what should have been; values 0..1."""

    made: Tensor
    """(N, 3, r, r) colours drawn."""
    target: Tensor
    """(N, 3, r, r) colours wanted."""
    alpha: Tensor
    """(N, 1, r, r) alpha drawn."""
    face: Tensor
    """(N, 1, r, r) face mask."""
    weight: Tensor
    """(N, 1, r, r) face mask, features counting more."""
    mask_weight: float
    """Share of an image loss that is taken by ``weight``; the rest counts every pixel alike."""
    seen: Tensor
    """(N, 3, R, R) what the network was given."""
    raw: Tensor
    """(N, C) or (N, C, h, w) codes before they were normalised."""
    side: int
    """Whose they are."""
    hinge: float
    """Alpha that ``alpha_hinge`` asks for."""


def inside(difference: Tensor, weight: Tensor) -> Tensor:
    """Mean of (N, C, r, r) by weights (N, 1, r, r); the weight is that of the whole batch over all processes."""
    return (difference * weight).sum() / (averaged(weight.sum()) * difference.shape[1]).clamp_min(1.0)


def mean_of(difference: Tensor, shown: Shown) -> Tensor:
    """Mean of a picture of differences (N, C, r, r), by the face mask as far as ``mask_weight`` says."""
    return shown.mask_weight * inside(difference, shown.weight) + (1 - shown.mask_weight) * difference.mean()
