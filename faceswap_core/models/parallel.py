"""one process <-> all processes of a training: what makes several do the same as one with the whole batch.

Outside a process group every function gives back what it was given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

from faceswap_core.types import Json


def place() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if not dist.is_initialized():
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


class _Gather(torch.autograd.Function):
    """Concatenation of all processes' tensors; each gets back the gradients of all others for its own."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        """Concatenate in the order of the processes."""
        found = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(found, x)
        return torch.cat(found)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grad_outputs: Tensor) -> Tensor:
        """Add up what every process asks of this one's part."""
        whole = grad_outputs[0].contiguous()
        dist.all_reduce(whole)
        return whole.chunk(dist.get_world_size())[dist.get_rank()]


def gathered(x: Tensor) -> Tensor:
    """The tensors (N, ...) of all processes as one (processes * N, ...); gradients flow back to each."""
    if place()[1] == 1:
        return x
    out: Tensor = _Gather.apply(x.contiguous())  # type: ignore[no-untyped-call]
    return out


def own_part(x: Tensor) -> Tensor:
    """This process' part of what `gathered` gave."""
    rank, world = place()
    return equal_parts(x, world)[rank]


def equal_parts(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """Equal parts of a batch; one part is the batch itself, as a split in one would fix its length on export."""
    return (x,) if count == 1 else x.chunk(count)


def own_slice(count: int) -> slice:
    """This process' part of ``count`` samples, a multiple of the number of processes."""
    rank, world = place()
    size = count // world
    return slice(rank * size, (rank + 1) * size)


def averaged(x: Tensor) -> Tensor:
    """Mean over all processes of a tensor that needs no gradient."""
    world = place()[1]
    if world == 1:
        return x
    out = x.detach().clone()
    dist.all_reduce(out)
    return out / world


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over all processes, in one message a type."""
    world = place()[1]
    if world == 1:
        return
    grads = [p.grad for p in parameters if p.grad is not None]
    for dtype in sorted({g.dtype for g in grads}, key=str):
        same = [g for g in grads if g.dtype == dtype]
        flat = torch.cat([g.reshape(-1) for g in same])
        dist.all_reduce(flat)
        flat /= world
        for grad, part in zip(same, torch.split(flat, [g.numel() for g in same]), strict=True):
            grad.copy_(part.view(grad.shape))


def broadcast(value: Json, device: torch.device) -> Json:
    """The JSON object that process 0 gives, in every process; the others' own is dropped."""
    data = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8, device=device)
    length = torch.tensor([len(data)], device=device)
    dist.broadcast(length, 0)
    if dist.get_rank() != 0:
        data = torch.zeros(int(length), dtype=torch.uint8, device=device)
    dist.broadcast(data, 0)
    found: Json = json.loads(bytes(data.tolist()))
    return found
