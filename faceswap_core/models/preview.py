"""network + held-out faces -> the grid of pictures that shows how far a training has come."""

from __future__ import annotations

import torch
from torch import Tensor

from faceswap_core.models.chips import Sampler
from faceswap_core.models.faces import Side
from faceswap_core.models.loop import Trainer


@torch.no_grad()
def preview_views(trainer: Trainer, sampler: Sampler, rows: int = 4) -> Tensor:
    """Grid (rows, 6, 3, R, R) 0..1: A, D_A(E(A)), D_B(E(A)), B, D_B(E(B)), D_A(E(B)); colour-matched."""

    def pick(side: Side) -> Tensor:
        views = sampler.held_out(side)
        if not len(views):
            views = sampler.held_out(Side(side.chips, side.chips, side.scale, side.shift))
        return views[torch.linspace(0, len(views) - 1, rows).round().long(), :3].to(trainer.device)

    a, b = pick(sampler.a), pick(sampler.b)
    columns = [a, trainer.ema(a, 0, 0)[:, :3], trainer.ema(a, 0, 1)[:, :3]]
    columns += [b, trainer.ema(b, 1, 1)[:, :3], trainer.ema(b, 1, 0)[:, :3]]
    return torch.stack(columns, 1).clamp(0, 1).cpu()
