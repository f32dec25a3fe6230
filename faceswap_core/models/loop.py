"""batches -> trained weights: one Adam over all parameters on the sum of both sides' losses."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from faceswap_core.models import MODELS, Original
from faceswap_core.models.alignment import LatentMatch
from faceswap_core.models.blocks import channels_last
from faceswap_core.models.checkpoint import load_training, save_training
from faceswap_core.models.chips import Batch, Sampler, Side
from faceswap_core.models.losses import masked_l1, rgba_loss
from faceswap_core.types import Json, Progress

_SETTLING_BATCHES = 64
_SETTLING_STEP = 2**40
"""Number of the first batch for statistics; no training reaches it."""


@dataclass(frozen=True)
class Recipe:
    """What training depends on beside the faces."""

    model: str
    """Name in MODELS."""
    resolution: int
    """Side of a view in pixels."""
    width: int
    """Channels after the first convolution."""
    latent: int
    """Length of the bottleneck."""
    learning_rate: float
    """Step size of Adam."""
    ema: float
    """Decay of the averaged weights."""
    precision: str
    """``fp32`` or ``bf16``."""
    mask_weight: float
    """Share of the image loss inside the mask."""
    edge_weight: float
    """Weight of the edge loss."""
    feature_weight: float
    """Further weight of eyes, brows and mouth."""
    alpha_weight: float
    """Weight of the alpha head's loss."""
    match_weight: float
    """Weight of the distance between both people's latent vectors."""
    seed: int
    """Seed of the initial weights."""
    color_mean: tuple[float, float, float]
    """Mean of the common colour space, 0..1."""
    color_std: tuple[float, float, float]
    """Deviation of the common colour space, 0..1."""


@dataclass
class LogRow:
    """One line of the training log."""

    step: int
    """Steps done."""
    loss_a: float
    """Masked L1 of A, mean since the last row."""
    loss_b: float
    """The same of B."""
    validation_a: float | None
    """Masked L1 of A on held-out faces, averaged weights."""
    validation_b: float | None
    """The same of B."""
    seconds: float
    """Wall seconds since this process began to train."""
    cpu_seconds: float
    """CPU seconds of all threads since then."""


def build_network(recipe: Recipe) -> Original:
    """A network with the initial weights of the recipe's seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = MODELS[recipe.model](resolution=recipe.resolution, width=recipe.width, latent=recipe.latent)
    network.set_colors(recipe.color_mean, recipe.color_std)
    return network


def importance_of(targets: Tensor, feature_weight: float) -> Tensor:
    """Weight (N, 1, R, R) of each pixel of targets (N, 6, R, R): 1, and more where eyes or mouth are."""
    return 1 + feature_weight * targets[:, 4:].amax(1, keepdim=True)


@dataclass
class Trainer:
    """Network, averaged weights and optimiser of one training."""

    recipe: Recipe
    """What is trained, and how."""
    device: torch.device
    """Where."""
    step: int = 0
    """Steps done."""
    log: list[LogRow] = field(default_factory=list)
    """Rows since the training began, earlier runs included."""

    def __post_init__(self) -> None:
        """Build network and optimiser."""
        self.network = channels_last(build_network(self.recipe).to(self.device))
        self.ema = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.match = LatentMatch(self.recipe.latent).to(self.device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=self.recipe.learning_rate, betas=(0.5, 0.999), fused=True
        )

    def train_step(self, batch: Batch) -> tuple[float, float]:
        """One step; returns the image losses of A and B."""
        half = self.recipe.precision == "bf16"
        inputs = [t.to(self.device, memory_format=torch.channels_last) for t in (batch.input_a, batch.input_b)]
        targets = [t.to(self.device) for t in (batch.target_a, batch.target_b)]
        keep = None if batch.keep is None else batch.keep.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            *made, latents = self.network.reconstruct(inputs[0], inputs[1], keep)
        recipe = self.recipe
        weights = {k: getattr(recipe, k) for k in ("mask_weight", "edge_weight", "alpha_weight")}
        (loss_a, image_a), (loss_b, image_b) = (
            rgba_loss(p.float(), t[:, :4], importance_of(t, recipe.feature_weight), **weights)
            for p, t in zip(made, targets, strict=True)
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss = loss_a + loss_b
        if recipe.match_weight:
            loss = loss + recipe.match_weight * self.match(latents, self.step)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self._average()
        return float(image_a.detach()), float(image_b.detach())

    @torch.no_grad()
    def _average(self) -> None:
        """Averaged weights follow; young ones faster, so that the first steps leave no trace."""
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        pairs = list(zip(self.ema.parameters(), self.network.parameters(), strict=True))
        torch._foreach_lerp_([e for e, _ in pairs], [p.detach() for _, p in pairs], 1 - decay)

    def settle(self, sampler: Sampler) -> None:
        """Measure the latent statistics of each side anew under the averaged weights.

        Those gathered along the way belong to weights that were left behind (Izmailov et al. 2018, section 3.2).
        """
        batches = (sampler.draw(_SETTLING_STEP + number) for number in range(_SETTLING_BATCHES))
        self.ema.settle((batch.input_a.to(self.device), batch.input_b.to(self.device)) for batch in batches)

    @torch.no_grad()
    def validate(self, views: Tensor, side: int) -> float | None:
        """Masked L1 of held-out views (M, 6, R, R) under the averaged weights; None without views."""
        if not len(views):
            return None
        views = views.to(self.device)
        made = self.ema(views[:, :3].contiguous(memory_format=torch.channels_last), side, side)
        return float(masked_l1(made[:, :3], views[:, :3].clamp(0, 1), views[:, 3:4], 1.0))

    def save(self, folder: Path) -> None:
        """Checkpoint."""
        facts: Json = {
            "step": self.step,
            "recipe": vars(self.recipe),
            "random_numbers": "numpy.random.default_rng([seed, step])",
            "log": [vars(row) for row in self.log],
        }
        save_training(folder, self._modules(), self.optimizer, facts)

    def _modules(self) -> dict[str, nn.Module]:
        """All that a checkpoint holds beside the optimiser."""
        return {"network": self.network, "ema": self.ema, "match": self.match}

    def restore(self, folder: Path) -> None:
        """Go on from the latest checkpoint, if there is one."""
        facts = load_training(folder, self._modules(), self.optimizer)
        if facts:
            self.step = int(facts["step"])
            self.log = [LogRow(**row) for row in facts["log"]]


def train(
    trainer: Trainer,
    sampler: Sampler,
    *,
    iterations: int,
    checkpoint_every: int,
    save: Callable[[], None],
    progress: Progress,
) -> None:
    """Train up to ``iterations`` steps in all, saving every ``checkpoint_every`` steps and at the end."""
    started, cpu_started = time.perf_counter(), time.process_time()
    held_a, held_b = sampler.held_out(sampler.a), sampler.held_out(sampler.b)
    sums, count = [0.0, 0.0], 0
    for step, batch in sampler.batches(trainer.step, iterations):
        losses = trainer.train_step(batch)
        sums, count = [s + x for s, x in zip(sums, losses, strict=True)], count + 1
        done = step + 1
        if done % 100 == 0 or done == iterations:
            validated = done % checkpoint_every == 0 or done == iterations
            if validated:
                trainer.settle(sampler)
            row = LogRow(
                step=done,
                loss_a=sums[0] / count,
                loss_b=sums[1] / count,
                validation_a=trainer.validate(held_a, 0) if validated else None,
                validation_b=trainer.validate(held_b, 1) if validated else None,
                seconds=time.perf_counter() - started,
                cpu_seconds=time.process_time() - cpu_started,
            )
            trainer.log.append(row)
            sums, count = [0.0, 0.0], 0
            progress(done, iterations, f"loss {row.loss_a:.4f} {row.loss_b:.4f}")
        if done % checkpoint_every == 0 or done == iterations:
            save()


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
