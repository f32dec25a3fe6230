"""network + faces that it never learns from -> how good its swap is, by figures that need no truth.

Redrawing alone does not tell: a network without a bottleneck redraws best and swaps worst. Two figures are added up to
choose by (`LogRow.score`): what is lost of A's face where it is drawn as B and drawn back as A (the cycle of Zhu et al.
2017), which a face of B that does not move fails; and how far the face drawn is from the nearest that B ever showed,
which a face that keeps A's features fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from faceswap_core.models.augment import LOOK_UP, plain_views
from faceswap_core.models.chips import Sampler, spread_over, to_network
from faceswap_core.models.faces import Side
from faceswap_core.models.losses.shown import inside
from faceswap_core.models.network import FaceNetwork
from faceswap_core.models.parallel import averaged
from faceswap_core.types import F32, U8

Look: TypeAlias = Callable[[U8, U8], dict[str, float]]
"""Chips of A (M, S, S, 3) RGB as they are, and with the swap laid in -> ``landmarks`` and ``identity`` of `LogRow`."""
SWAPPED = 64
"""Most held-out faces of a side that are drawn."""
LOOKED_AT = 16
"""Most of them that a detector looks at."""
_KNOWN = 256
"""Most faces of B that the swap is compared with."""
_SIDE = 32
"""Side, in px, at which it is: what a face looks like, not its grain."""


class Validation:
    """Held-out faces of both sides, and what is known of B."""

    def __init__(self, sampler: Sampler, look: Look | None, device: torch.device, dtype: torch.dtype) -> None:
        """Keep the faces in main memory; they are on the device while it is judged.

        Args:
            sampler: both sides.
            look: detector that is shown the swap; None measures neither landmarks nor identity.
            device: where networks lie.
            dtype: type of their weights.
        """
        self._side, self._look = sampler.a, look
        self._coverage, self._device, self._dtype = sampler.coverage, device, dtype
        self._held_out = [sampler.held_out(side, SWAPPED) for side in (sampler.a, sampler.b)]
        known = to_network(_views(sampler.b, sampler), sampler.b.scale, sampler.b.shift)
        mask = functional.interpolate(known[:, 3:4].mean(0, keepdim=True), (_SIDE, _SIDE), mode="area")
        self._mask = mask.to(device, dtype)
        self._known = (_small(known) * mask).flatten(1).to(device, dtype)

    @torch.no_grad()
    def judge(self, network: FaceNetwork) -> dict[str, float]:
        """Figures of a network whose latent statistics are settled, by their names in `LogRow`."""
        found = {}
        a, b = (views.to(self._device, self._dtype, memory_format=torch.channels_last) for views in self._held_out)
        for name, views, side in (("validation_a", a, 0), ("validation_b", b, 1)):
            if len(views):
                made = network(views[:, :3], side, side)[:, :3]
                found[name] = _shared(inside((made - views[:, :3].clamp(0, 1)).abs(), views[:, 3:4]))
        if not len(a):
            return found
        seen, mask = a[:, :3].clamp(0, 1), a[:, 3:4]
        drawn = network(a[:, :3], 0, 1)[:, :3]
        laid = torch.lerp(seen, drawn, mask).contiguous(memory_format=torch.channels_last)
        found["cycle"] = _shared(inside((network(laid, 1, 0)[:, :3] - seen).abs(), mask))
        looks = (_small(drawn) * self._mask).flatten(1)
        apart = torch.cdist(looks, self._known, p=1).amin(1) / (3 * self._mask.sum()).clamp_min(1.0)
        found["likeness"] = _shared(apart.mean())
        return found | (self._look(*self._chips(drawn)) if self._look else {})

    def _chips(self, drawn: Tensor) -> tuple[U8, U8]:
        """Some of A's chips, in A's own colours, as they are and with the swap laid in."""
        some = spread_over(len(drawn), LOOKED_AT)
        chosen = spread_over(len(self._side.held_out), SWAPPED)[some]
        chips = self._side.held_out.colors[chosen]
        colors = drawn[torch.from_numpy(some).to(drawn.device)].permute(0, 2, 3, 1).double().cpu().numpy()
        own = np.clip((colors * 255 - self._side.shift) / self._side.scale, 0, 255).astype(np.float32)
        size, resolution = chips.shape[1], own.shape[1]
        scale = resolution / (self._coverage * size)
        offset = (resolution - 1) / 2 - scale * (size - 1) / 2
        matrix = np.array([[scale, 0, offset], [0, scale, offset]])  # chip px -> view px
        edge = round((1 - self._coverage) / 2 * size)
        within = slice(edge, size - edge)
        laid = chips[..., :3].copy()
        for chip, view, out in zip(chips, own, laid, strict=True):
            placed = cv2.warpAffine(view, matrix, (size, size), flags=LOOK_UP, borderMode=cv2.BORDER_REPLICATE)
            mixed = chip[..., :3] + chip[..., 3:] / np.float32(255) * (placed - chip[..., :3])
            out[within, within] = np.rint(mixed[within, within])
        return np.ascontiguousarray(chips[..., :3]), laid


def _views(side: Side, sampler: Sampler) -> F32:
    chosen = spread_over(len(side.chips), _KNOWN)
    return plain_views(side.chips.joined(chosen), resolution=sampler.resolution, coverage=sampler.coverage)


def _small(views: Tensor) -> Tensor:
    return functional.interpolate(views[:, :3], (_SIDE, _SIDE), mode="area")


def _shared(value: Tensor) -> float:
    """The same number in every process, so that all of them choose alike."""
    return float(averaged(value))
