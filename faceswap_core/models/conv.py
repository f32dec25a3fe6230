"""views -> convolved views: torch's own convolution, and one matrix product where that is faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALL_SIDE, _MANY_CHANNELS = 7, 256
"""Largest output in pixels and fewest channels of the input at which a product is taken: there oneDNN's kernels
of bfloat16 have half of a product's rate, and a quarter to a third for the gradient of the weights."""


class Conv(nn.Conv2d):
    """A square convolution; in training on a CPU in bfloat16, wide ones with a small output are a matrix product."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, C, H, H) to (N, C', H', H')."""
        if self.training and self.in_channels >= _MANY_CHANNELS and self._side(input) <= _SMALL_SIDE:
            kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
            if input.device.type == "cpu" and kind == torch.bfloat16:
                given = (t.to(kind) for t in (input, self.weight, _bias(self)))
                rows: Tensor = _Product.apply(*given, self.stride[0], int(self.padding[0]))  # type: ignore[no-untyped-call]
                return rows.view(len(input), *(self._side(input),) * 2, -1).permute(0, 3, 1, 2)
        return super().forward(input)

    def _side(self, input: Tensor) -> int:
        return (input.shape[-1] + 2 * int(self.padding[0]) - self.kernel_size[0]) // self.stride[0] + 1


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


class _Product(torch.autograd.Function):
    """Convolution as the product of all patches with the weights (Chellapilla et al. 2006), channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
        """x (N, C, H, H), weight (C', C, K, K), bias (C',) -> (N H' H', C')."""
        k = weight.shape[-1]
        rows = functional.pad(x.permute(0, 2, 3, 1), (0, 0, *(padding,) * 4))  # (N, H + 2P, H + 2P, C)
        count, height, _, channels = rows.shape
        side = (height - k) // stride + 1
        strides = (rows.stride(0), *(s * stride for s in rows.stride()[1:3]), *rows.stride()[1:])
        patches = rows.as_strided((count, side, side, k, k, channels), strides).reshape(count * side**2, -1)
        flat = weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
        ctx.save_for_backward(patches, flat)
        ctx.sizes = (count, height, channels, side, k, stride, padding)
        return torch.addmm(bias, patches, flat.T)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Gradients of x, weight and bias."""
        patches, flat = ctx.saved_tensors
        count, height, channels, side, k, stride, padding = ctx.sizes
        (grad,) = grads
        of_weight = (grad.T @ patches).view(-1, k, k, channels).permute(0, 3, 1, 2)
        of_patches = (grad @ flat).view(count, side, side, k, k, channels)
        of_rows = torch.zeros((count, height, height, channels), dtype=torch.float32)
        reach = stride * (side - 1) + 1
        for row in range(k):
            for column in range(k):
                seen = slice(row, row + reach, stride), slice(column, column + reach, stride)
                of_rows[:, *seen] += of_patches[:, :, :, row, column]
        inner = slice(padding, height - padding)
        of_x = of_rows[:, inner, inner].to(grad.dtype).permute(0, 3, 1, 2)
        return of_x, of_weight, grad.sum(0), None, None
