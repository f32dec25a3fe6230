"""step -> stage of an adversarial training: what is asked of alpha, how large steps are, whose decoder is whose.

Source: the schedule of faceswap-GAN v2.2, its steps given as shares of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stretch of a staged training."""

    begins: float
    """Share of the training at which it begins."""
    perceptual: bool = True
    """Whether the perceptual losses count."""
    hinge: float | None = None
    """Level that ``alpha_hinge`` asks for; None has ``alpha_mean`` in its place."""
    rate: float = 1.0
    """Share of the step size."""
    exchanged: bool = False
    """Whether each person goes on with the decoder that was the other's."""

    def counts(self, loss: str) -> bool:
        """Whether a loss is part of the stage."""
        off = {"alpha_hinge": self.hinge is None, "alpha_mean": self.hinge is not None}
        off |= dict.fromkeys(("vgg", "arcface"), not self.perceptual)
        return not off.get(loss, False)


STAGES = (
    Stage(0.0, perceptual=False),
    Stage(1 / 5),
    Stage(3 / 10, hinge=0.5),
    Stage(2 / 5, hinge=0.2),
    Stage(1 / 2, hinge=0.4),
    Stage(2 / 3, rate=0.3),
    Stage(4 / 5, hinge=0.1, rate=0.3, exchanged=True),
    Stage(9 / 10, rate=0.1, exchanged=True),
)


def stage_at(step: int, steps: int) -> Stage:
    """Stage of the step after ``step`` steps of a training staged over ``steps``; the last one goes on for ever."""
    return [stage for stage in STAGES if step >= first_step(stage, steps)][-1]


def first_step(stage: Stage, steps: int) -> int:
    """Steps done before a stage."""
    return round(stage.begins * steps)


def exchange_step(steps: int) -> int:
    """Steps done before the decoders are exchanged."""
    return min(first_step(stage, steps) for stage in STAGES if stage.exchanged)
