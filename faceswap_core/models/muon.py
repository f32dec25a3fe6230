"""gradients -> steps whose matrices have all singular values near 1: no direction of a layer learns slower than others.

Source: Muon (Jordan et al. 2024), with the size of the steps of Liu et al. 2025, which lets one step size serve the
matrices and, by Adam, the rest (biases, scales, the layer that draws the pixels).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

MOMENTUM = 0.95
_PIXEL_CHANNELS = 4
"""A layer of so few outputs (RGBA) is no matrix whose directions are alike."""
_ROWS = 128
"""Matrices with more of them are taken in equal blocks of rows: the cost grows with their square."""
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial that brings singular values of 0..1 to about .7..1.2. Source: Jordan et al. 2024."""
_ROUNDS = 5
_RMS = 0.2
"""Root mean square of a step, in step sizes: that of Adam. Source: Liu et al. 2025."""
_EPSILON = 1e-8


class Muon(Optimizer):
    """Orthogonal steps along Nesterov's momentum for matrices and convolutions, Adam for all else."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float], *, weight_decay: float = 0.0
    ) -> None:
        """Set the step size, Adam's two decays, and the shrinkage of the weights, decoupled from the gradient."""
        super().__init__(parameters, {"lr": rate, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            rate = float(group["lr"])
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - rate * group["weight_decay"])
                if parameter.dim() > 1 and len(parameter) > _PIXEL_CHANNELS:
                    self._turn(parameter, parameter.grad, rate)
                else:
                    self._adam(parameter, parameter.grad, rate, group["betas"])

    def _turn(self, parameter: nn.Parameter, gradient: Tensor, rate: float) -> None:
        momentum = self._state(parameter, "momentum")["momentum"]
        momentum.lerp_(gradient, 1 - MOMENTUM)
        matrices = in_blocks(gradient.lerp(momentum, MOMENTUM).flatten(1))
        size = _RMS * max(matrices.shape[1:]) ** 0.5
        parameter.add_(orthogonal(matrices).reshape(parameter.shape), alpha=-rate * size)

    def _adam(self, parameter: nn.Parameter, gradient: Tensor, rate: float, betas: tuple[float, float]) -> None:
        state = self._state(parameter, "exp_avg", "exp_avg_sq")
        count = float(state.setdefault("step", torch.zeros(())).add_(1))
        mean = state["exp_avg"].lerp_(gradient, 1 - betas[0])
        square = state["exp_avg_sq"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        spread = (square / (1 - betas[1] ** count)).sqrt().add_(_EPSILON)
        parameter.addcdiv_(mean, spread, value=-rate / (1 - betas[0] ** count))

    def _state(self, parameter: nn.Parameter, *names: str) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        for name in names:
            if name not in state:
                state[name] = torch.zeros_like(parameter)
        return state


def in_blocks(matrix: Tensor) -> Tensor:
    """A matrix (m, n) as (G, m / G, n): equal blocks of rows where its shorter side is long."""
    rows, columns = matrix.shape
    count = 1
    while min(rows // count, columns) > _ROWS and rows % (2 * count) == 0:
        count *= 2
    return matrix.reshape(count, rows // count, columns)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices with the singular vectors of those given, all singular values near 1.

    The polynomial is applied to the small product of each matrix with its transpose, all rounds of it, and only then to
    the matrix itself, which equals applying it round by round.

    Args:
        matrices: (G, m, n); one of zeros stays zeros.

    Returns:
        (G, m, n).
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonal(matrices.mT).mT
    matrices = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(matrices.dtype).tiny)
    products = matrices @ matrices.mT
    factors = []
    for _ in range(_ROUNDS):
        factors.append(_factor(products))
        products = factors[-1] @ products @ factors[-1]
    return reduce(torch.matmul, reversed(factors)) @ matrices


def _factor(products: Tensor) -> Tensor:
    """a + b P + c P^2 of symmetric matrices P."""
    a, b, c = _COEFFICIENTS
    factor = b * products + c * (products @ products)
    factor.diagonal(dim1=-2, dim2=-1).add_(a)
    return factor
