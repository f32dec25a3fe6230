"""images of one face -> numbers that judge a swap against its truth."""

from __future__ import annotations

import numpy as np

from faceswap_core.types import F32


def masked_l1(one: F32, other: F32, mask: F32) -> float:
    """Mean absolute difference inside a mask.

    Args:
        one: (H, W, 3) 0..1.
        other: (H, W, 3) 0..1.
        mask: (H, W) 0..1.
    """
    return float((np.abs(one - other) * mask[..., None]).sum() / max(float(mask.sum()) * 3, 1e-9))


def transfer_and_residual(made: F32, plate: F32, truth: F32, mask: F32) -> tuple[float, float]:
    """How far a swap went from the plate to the truth, and how much of it is neither.

    With d = truth - plate inside the mask: transfer = <made - plate, d> / <d, d>, 0 where the swap is still the
    plate and 1 where it is the truth; residual = |made - plate - transfer d| / |d|. A face with the wrong
    expression has transfer near 1 and residual above 1.

    Args:
        made: (H, W, 3) 0..1, the swap.
        plate: (H, W, 3) 0..1, the colour-normalised plate.
        truth: (H, W, 3) 0..1.
        mask: (H, W) 0..1, weight of each pixel.
    """
    root = np.sqrt(mask)[..., None]
    moved, wanted = (made - plate) * root, (truth - plate) * root
    square = max(float((wanted**2).sum()), 1e-12)
    transfer = float((moved * wanted).sum()) / square
    residual = float(np.sqrt(((moved - transfer * wanted) ** 2).sum() / square))
    return transfer, residual
