"""network + batch -> losses to minimise: the seam between the one loop and what each network learns by.

A training runs in turns, each with an optimiser of its own. A plain autoencoder has one turn; an adversary adds
one. The loop knows no more than that: for each turn it asks for the loss, goes back through it and steps.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceswap_core.models.chips import Batch
from faceswap_core.models.network import FaceNetwork
from faceswap_core.models.recipe import Recipe


@dataclass(frozen=True)
class Loss:
    """What one turn minimises, and what is to be seen of it."""

    minimise: Tensor
    """Scalar, a mean over the faces of the batch."""
    shown: dict[str, Tensor]
    """Detached scalars for the log, by name; ``a`` and ``b`` are the image losses of both sides."""


class Objective(nn.Module):
    """What one network learns by. Its parameters and buffers (an adversary, memories) go into the checkpoint."""

    turns: tuple[str, ...] = ("network",)
    """Names of the turns of a step, in order; each has its own optimiser."""
    averaged_since: int = 0
    """Step from which on weights are averaged: earlier ones belong to what a schedule has replaced."""

    def __init__(self, recipe: Recipe) -> None:
        """Keep the recipe."""
        super().__init__()
        self.recipe = recipe

    def trained(self, turn: str, network: FaceNetwork) -> dict[str, nn.Parameter]:
        """Parameters stepped in a turn, by names that are unique over all turns; here the whole network."""
        return dict(network.named_parameters())

    def rate(self, turn: str) -> float:
        """Step size of a turn's optimiser as a share of the recipe's; here all of it."""
        return 1.0

    def begin(self, networks: Sequence[FaceNetwork], step: int) -> None:
        """Change networks before a step, where a schedule says so.

        Args:
            networks: the network that is trained, and the one with the averaged weights.
            step: steps done before this one.
        """

    @abstractmethod
    def loss(self, turn: str, network: FaceNetwork, batch: Batch, step: int) -> Loss:
        """Pass a batch, or one of the parts it is accumulated from, and give the turn's loss.

        Args:
            turn: one of `turns`; within a step they come in order, and a later one sees the weights an earlier
                one has already stepped.
            network: the network that is trained.
            batch: views on the network's device.
            step: steps done before this one: the seed of whatever is random.
        """

    def arithmetic(self, device: torch.device) -> AbstractContextManager[None]:
        """What passes through networks run in: autocast to bf16 where the recipe says so."""
        context: AbstractContextManager[None] = torch.autocast(
            device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"
        )
        return context
