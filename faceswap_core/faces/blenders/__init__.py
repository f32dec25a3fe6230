"""Ways to lay a patch over a frame, by the name in ``blend.mode``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from faceswap_core.faces.blenders.composite import composite
from faceswap_core.faces.blenders.laplacian import laplacian
from faceswap_core.faces.blenders.poisson import poisson
from faceswap_core.faces.edges import Edge, as_drawn, hard, soft
from faceswap_core.types import F32, U8


@dataclass(frozen=True)
class Blender:
    """A way to lay a patch over a frame."""

    weigh: Callable[[U8, Edge], F32]
    """Mask (S, S) 0..255 of the patch -> its weight 0..1."""
    mix: Callable[[F32, F32, F32], F32]
    """Frame rectangle (H, W, 3), patch in its pixels, weight (H, W) -> blended rectangle."""


BLENDERS: dict[str, Blender] = {
    "direct": Blender(hard, composite),
    "feather": Blender(soft, composite),
    "laplacian": Blender(soft, laplacian),
    "poisson": Blender(soft, poisson),
    "learned": Blender(as_drawn, composite),
}
