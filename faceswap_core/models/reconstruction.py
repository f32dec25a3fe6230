"""batch -> the weighted sum of losses that a network learns by, of both people redrawn from their own views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from faceswap_core.models.alignment import LatentMatch
from faceswap_core.models.blocks import code_vectors, full
from faceswap_core.models.chips import Batch
from faceswap_core.models.gan import Gan
from faceswap_core.models.losses import LOSSES, Shown
from faceswap_core.models.losses.adversary import Adversary
from faceswap_core.models.losses.arcface import Arcface
from faceswap_core.models.losses.files import ARCFACE_HOW, VGG_HOW, weight_file
from faceswap_core.models.losses.perceptual import Vgg
from faceswap_core.models.losses.structure import halved
from faceswap_core.models.network import FaceNetwork, Redrawn, Views
from faceswap_core.models.objective import Loss, Objective
from faceswap_core.models.recipe import Recipe
from faceswap_core.models.stages import Stage, exchange_step, stage_at

_COARSE = frozenset({"l1", "mse", "ssim", "edge", "laplacian", "alpha"})
"""Losses that coarser pictures are judged by, too; each halving counts half as much."""
_UNSTAGED = Stage(0.0, hinge=0.5)
NETWORK, DISCRIMINATORS = "network", "discriminators"


class Reconstruction(Objective):
    """Every loss that the recipe weighs, with what it needs: memory of codes, perceptual networks, adversaries."""

    def __init__(self, recipe: Recipe, codes: int) -> None:
        """Build what the losses need.

        Args:
            recipe: names and weights of the losses.
            codes: length of the network's codes.

        Raises:
            ModelMissingError: a loss needs a weights file that is not there.
        """
        super().__init__(recipe)
        weights = recipe.losses
        self.match = LatentMatch(codes)
        self.perceptual = nn.ModuleDict()
        if weights.get("vgg"):
            self.perceptual["vgg"] = Vgg(weight_file(recipe.vgg, VGG_HOW))
        if weights.get("arcface"):
            self.perceptual["arcface"] = Arcface(weight_file(recipe.arcface, ARCFACE_HOW), recipe.arcface_matrix)
        self.adversary = Adversary(recipe.build.width) if weights.get("adversarial") else None
        self.turns = (NETWORK, DISCRIMINATORS) if self.adversary else (NETWORK,)
        self.stage = _UNSTAGED
        self._judged: list[tuple[Shown, Shown]] = []

    def trained(self, turn: str, network: FaceNetwork) -> dict[str, nn.Parameter]:
        """The network's parameters, or the discriminators'."""
        if turn == NETWORK or self.adversary is None:
            return super().trained(turn, network)
        return {f"{DISCRIMINATORS}.{name}": p for name, p in self.adversary.named_parameters()}

    def rate(self, turn: str) -> float:
        """The stage's share, and the discriminators' own."""
        return self.stage.rate * (self.recipe.discriminator_rate if turn == DISCRIMINATORS else 1.0)

    def begin(self, networks: Sequence[FaceNetwork], step: int) -> None:
        """Enter the step's stage; where it says so, give each person the other's decoder."""
        steps = self.recipe.schedule_steps
        if self.recipe.model != "gan" or not steps:
            return
        self.stage = stage_at(step, steps)
        if self.stage.exchanged:
            self.averaged_since = exchange_step(steps)
            if step == self.averaged_since:
                for network in networks:
                    assert isinstance(network, Gan)
                    network.exchange_decoders()

    def loss(self, turn: str, network: FaceNetwork, batch: Batch, step: int) -> Loss:
        """Weighted losses of both sides, or what the discriminators make of the views drawn before."""
        if turn == DISCRIMINATORS:
            return self._judge(batch, step)
        with self.arithmetic(batch.input_a.device):
            made = network.reconstruct(batch.input_a, batch.input_b, batch.keep)
        codes = made.raw.chunk(2)
        sides = [
            self._side(made.a, batch.input_a, batch.target_a, codes[0], 0),
            self._side(made.b, batch.input_b, batch.target_b, codes[1], 1),
        ]
        if self.adversary is not None:
            self._judged.append((_detached(sides[0][0]), _detached(sides[1][0])))
            self.adversary.requires_grad_(False)
        return self._weighed(sides, made, step)

    def _side(self, views: Views, seen: Tensor, target: Tensor, raw: Tensor, side: int) -> list[Shown]:
        """What the losses are shown of one person, the full size first."""
        face = target[:, 3:4]
        shown = Shown(
            made=full(views[0][:, :3]),
            target=target[:, :3],
            alpha=full(views[0][:, 3:]),
            face=face,
            weight=face * importance_of(target, self.recipe.eye_weight, self.recipe.mouth_weight),
            mask_weight=self.recipe.mask_weight,
            seen=seen,
            raw=raw,
            side=side,
            hinge=self.stage.hinge or 0.0,
        )
        found = [shown]
        for coarser in views[1:]:
            found.append(replace(halved(found[-1]), made=full(coarser[:, :3]), alpha=full(coarser[:, 3:])))
        return found

    def _weighed(self, sides: list[list[Shown]], made: Redrawn, step: int) -> Loss:
        weights = {name: w for name, w in self.recipe.losses.items() if w and self.stage.counts(name)}
        match_weight = weights.pop("match", 0.0)
        found = [{name: self._value(name, sizes) for name in weights} for sizes in sides]
        totals = [torch.stack([w * values[name] for name, w in weights.items()]).sum() for values in found]
        total = totals[0] + totals[1]
        shown = {name: (found[0][name] + found[1][name]).detach() / 2 for name in weights}
        shown |= {side: LOSSES["l1"](sizes[0]).detach() for side, sizes in zip("ab", sides, strict=True)}
        if match_weight:
            distance = self.match(code_vectors(made.codes), step)
            total = total + match_weight * distance
            shown["match"] = distance.detach()
        return Loss(total, shown)

    def _value(self, loss: str, sizes: Sequence[Shown]) -> Tensor:
        """One loss of one person, over all sizes that it is taken at."""
        network = {**dict(self.perceptual.items()), "adversarial": self.adversary}.get(loss)
        if network is not None:
            with self.arithmetic(sizes[0].made.device):
                out: Tensor = network(sizes[0])
                return out
        value = LOSSES[loss](sizes[0])
        for number, coarser in enumerate(sizes[1:] if loss in _COARSE else [], 1):
            value = value + LOSSES[loss](coarser) / 2**number
        return value

    def _judge(self, batch: Batch, step: int) -> Loss:
        assert self.adversary is not None
        self.adversary.requires_grad_(True)
        pair = self._judged.pop(0)
        with self.arithmetic(batch.input_a.device):
            total = self.adversary.judged(pair[0], step) + self.adversary.judged(pair[1], step)
        return Loss(total, {DISCRIMINATORS: total.detach() / 2})


def _detached(shown: Shown) -> Shown:
    made, alpha, raw = shown.made.detach(), shown.alpha.detach(), shown.raw.detach()
    return replace(shown, made=made, alpha=alpha, raw=raw)


def importance_of(target: Tensor, eye_weight: float, mouth_weight: float) -> Tensor:
    """Weight (N, 1, R, R) of each pixel of targets (N, 6, R, R): 1, and more where eyes or mouth are."""
    return 1 + eye_weight * target[:, 4:5] + mouth_weight * target[:, 5:6]
