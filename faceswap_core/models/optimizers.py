"""recipe + parameters -> optimiser, and the step size of every step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from faceswap_core.models.muon import Muon
from faceswap_core.models.recipe import Recipe

BETAS = (0.5, 0.999)
"""Of Adam; the first is lower than usual. Source: seeds 002 and 004."""
MOMENTUM = 0.9


def _adam(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    return Adam(parameters, recipe.learning_rate, BETAS, weight_decay=recipe.weight_decay, fused=True)


def _adamw(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    return AdamW(parameters, recipe.learning_rate, BETAS, weight_decay=recipe.weight_decay, fused=True)


def _sgd(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    return SGD(parameters, recipe.learning_rate, MOMENTUM, weight_decay=recipe.weight_decay, nesterov=True, fused=True)


def _muon(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    return Muon(parameters, recipe.learning_rate, BETAS, weight_decay=recipe.weight_decay)


OPTIMIZERS = {"adam": _adam, "adamw": _adamw, "sgd": _sgd, "muon": _muon}


def build_optimizer(parameters: Iterable[nn.Parameter], recipe: Recipe) -> Optimizer:
    """The recipe's optimiser over parameters, all steps fused into one."""
    return OPTIMIZERS[recipe.optimizer](list(parameters), recipe)


def rate_share(recipe: Recipe, step: int) -> float:
    """Share of the recipe's step size that holds for the step after ``step`` steps: warm-up, then the schedule.

    ``cosine`` falls along half a wave from 1 to ``final_rate`` at ``schedule_steps`` and stays there. Source:
    Loshchilov and Hutter 2017, without restarts.
    """
    rise = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant" or recipe.schedule_steps is None:
        return rise
    done = min(1.0, max(0.0, step - recipe.warmup) / max(1, recipe.schedule_steps - recipe.warmup))
    return rise * (recipe.final_rate + (1 - recipe.final_rate) * 0.5 * (1 + math.cos(math.pi * done)))


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give all groups one step size."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
