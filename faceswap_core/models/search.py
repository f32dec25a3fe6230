"""trainer + faces -> a step size and a batch that fit: short trials before a long training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from faceswap_core.models.chips import Sampler
from faceswap_core.models.loop import Trainer

_LOWEST, _HIGHEST = 1e-6, 1.0
_MEMORY = 0.9
"""How much of the loss's running mean stays in a step."""
_SETTLED = 10
"""Steps until the running mean tells more than the luck of its first batches: 1 / (1 - _MEMORY)."""
_BLOWN_UP = 4.0
_WORTH = 1.05
"""Gain in faces a second for which a batch is doubled."""


@dataclass(frozen=True)
class RateTrial:
    """One step of the search for a step size."""

    rate: float
    """Step size."""
    loss: float
    """Running mean of both sides' image losses after it."""


def find_rate(trainer: Trainer, sampler: Sampler, steps: int = 100) -> tuple[float, list[RateTrial]]:
    """Raise the step size from 1e-6 to 1 over some steps of a fresh training, and see where it learns fastest.

    Source: Smith 2017, the learning-rate range test. The rate returned is a tenth of the one at which the running
    mean of the loss was lowest: there it is about to blow up. The trainer is used up.

    Returns:
        the rate, and every trial up to the one that blew up.
    """
    growth = (_HIGHEST / _LOWEST) ** (1 / max(steps - 1, 1))
    trials: list[RateTrial] = []
    mean, best = 0.0, RateTrial(_LOWEST, math.inf)
    for number in range(steps):
        rate = _LOWEST * growth**number
        shown = trainer.train_step(sampler.draw(number), rate=rate)
        loss = float(shown["a"] + shown["b"])
        if not math.isfinite(loss):
            break
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        trials.append(RateTrial(rate, mean / (1 - _MEMORY ** (number + 1))))
        settled = trials[_SETTLED:] or trials[-1:]
        best = min(settled, key=lambda t: t.loss)
        if trials[-1].loss > _BLOWN_UP * best.loss:
            break
    return best.rate / 10, trials


@dataclass(frozen=True)
class BatchTrial:
    """One batch that was tried."""

    batch: int
    """Faces a side."""
    faces_per_second: float | None
    """Of both sides; None where memory did not hold it."""


def find_batch(
    build: Callable[[], Trainer], sampler: Sampler, *, first: int = 4, most: int = 1024, steps: int = 3
) -> tuple[int, list[BatchTrial]]:
    """Double the batch until memory is full or faces a second no longer grow by a twentieth.

    Args:
        build: gives a fresh trainer.
        sampler: where batches come from; its own batch does not count.
        first: smallest batch tried.
        most: largest.
        steps: timed steps of each trial, after one to warm up.

    Returns:
        the batch of the most faces a second worth its memory, and every trial.
    """
    trials: list[BatchTrial] = []
    batch = first
    while batch <= most:
        trials.append(BatchTrial(batch, _speed(build, replace(sampler, batch=batch), steps)))
        speed = trials[-1].faces_per_second
        before = trials[-2].faces_per_second if len(trials) > 1 else None
        if speed is None or (before is not None and speed < _WORTH * before):
            break
        batch *= 2
    fitting = [t for t in trials if t.faces_per_second is not None]
    return max(fitting, key=lambda t: t.faces_per_second or 0.0).batch if fitting else first, trials


def _speed(build: Callable[[], Trainer], sampler: Sampler, steps: int) -> float | None:
    try:
        trainer = build()
        batches = [sampler.draw(number) for number in range(steps + 1)]
        trainer.train_step(batches[0])
        _wait(trainer)
        began = time.perf_counter()
        for batch in batches[1:]:
            trainer.train_step(batch)
        _wait(trainer)
        return 2 * sampler.batch * steps / (time.perf_counter() - began)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


def _wait(trainer: Trainer) -> None:
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
