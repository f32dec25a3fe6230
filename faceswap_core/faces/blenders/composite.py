"""frame rectangle, patch and weight -> their mean by the weight."""

from __future__ import annotations

from faceswap_core.types import F32


def composite(rect: F32, over: F32, weight: F32) -> F32:
    """Alpha compositing.

    Args:
        rect: (H, W, 3) the frame's rectangle, any range.
        over: (H, W, 3) the patch in the same range.
        weight: (H, W) 0..1.

    Returns:
        (H, W, 3).
    """
    mixed = over - rect
    mixed *= weight[..., None]
    mixed += rect
    return mixed
