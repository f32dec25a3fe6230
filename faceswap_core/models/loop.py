"""batches -> trained weights: the one loop, whatever is trained; it resumes, and goes back where it diverged."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from faceswap_core.errors import DivergedError, SettingsError
from faceswap_core.models import MODELS, FaceNetwork
from faceswap_core.models.blocks import channels_last
from faceswap_core.models.checkpoint import Store, damage_named, warm_start
from faceswap_core.models.chips import Batch, Sampler
from faceswap_core.models.meter import ROW_EVERY, LogRow, Meter, is_pictured, stale
from faceswap_core.models.optimizers import build_optimizer, rate_share, set_rate
from faceswap_core.models.parallel import average_gradients
from faceswap_core.models.recipe import Recipe
from faceswap_core.models.reconstruction import Reconstruction
from faceswap_core.models.validation import Look, Validation
from faceswap_core.types import Json, Progress

MOST_ROLLBACKS = 3
_SETTLING_BATCHES = 64
_SETTLING_STEP = 2**40
"""Number of the first batch for statistics; no training reaches it."""


def build_network(recipe: Recipe) -> FaceNetwork:
    """A network with the initial weights of the recipe's seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = MODELS[recipe.model](recipe.build)
    network.set_colors(recipe.color_mean, recipe.color_std)
    return network


@dataclass
class Trainer:
    """Network, averaged weights, objective and optimisers of one training."""

    recipe: Recipe
    """What is trained, and how."""
    device: torch.device
    """Where."""
    about: Json = field(default_factory=dict)
    """What else every checkpoint says: settings digest, versions."""
    compile: str = "off"
    """``off``, ``default`` (torch.compile) or ``cuda_graphs`` (the same, its kernels launched as one graph)."""
    step: int = 0
    """Steps done."""
    log: list[LogRow] = field(default_factory=list)
    """Rows since the training began, earlier runs included."""
    rollbacks: int = 0
    """How often the training went back to a checkpoint; each time halved the step size."""

    def __post_init__(self) -> None:
        """Build network, objective and optimisers."""
        self._build()

    def _build(self) -> None:
        self.network = channels_last(build_network(self.recipe).to(self.device, self.dtype))
        self.ema = copy.deepcopy(self.network).eval().requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed + 1)
            codes = self.network.code_length(self.recipe.build)
            self.objective = channels_last(Reconstruction(self.recipe, codes).to(self.device, self.dtype))
        self.trained = {turn: self._unfrozen(turn) for turn in self.objective.turns}
        self.optimizers: dict[str, Optimizer] = {
            turn: build_optimizer(parameters.values(), self.recipe) for turn, parameters in self.trained.items()
        }
        if self.compile != "off":
            mode = "reduce-overhead" if self.compile == "cuda_graphs" else "default"
            compiled = torch.compile(self.network.reconstruct, mode=mode)
            self.network.reconstruct = compiled  # type: ignore[method-assign]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return torch.float64 if self.recipe.precision == "fp64" else torch.float32

    def _unfrozen(self, turn: str) -> dict[str, nn.Parameter]:
        found = {}
        for name, parameter in self.objective.trained(turn, self.network).items():
            parameter.requires_grad_(not name.startswith(self.recipe.freeze or ("\0",)))
            if parameter.requires_grad:
                found[name] = parameter
        if not found:
            raise SettingsError(f"train.freeze {list(self.recipe.freeze)} leaves nothing to train: name fewer parts")
        return found

    def train_step(self, batch: Batch, rate: float | None = None) -> dict[str, Tensor]:
        """One step: every turn passes the batch, goes back, and steps its own parameters.

        Args:
            batch: views of both sides.
            rate: step size instead of the schedule's.

        Returns:
            what the objective shows, detached scalars by name.
        """
        recipe, parts = self.recipe, batch.to(self.device, self.dtype).parts(self.recipe.accumulate)
        rate = self.rate if rate is None else rate
        torch.manual_seed(recipe.seed * 2_000_003 + self.step)  # so that dropout, too, is a function of the step
        self.objective.begin((self.network, self.ema), self.step)
        shown: dict[str, Tensor] = {}
        for turn, optimizer in self.optimizers.items():
            set_rate(optimizer, rate * self.objective.rate(turn))
            optimizer.zero_grad(set_to_none=True)
            for part in parts:
                if self.compile == "cuda_graphs":
                    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
                loss = self.objective.loss(turn, self.network, part, self.step)
                (loss.minimise / len(parts)).backward()  # type: ignore[no-untyped-call]
                for name, value in loss.shown.items():
                    shown[name] = shown.get(name, 0) + value / len(parts)
            parameters = self.trained[turn].values()
            average_gradients(parameters)
            if recipe.clip:
                nn.utils.clip_grad_norm_(parameters, recipe.clip)
            optimizer.step()
        self.step += 1
        self._average()
        return shown

    @property
    def rate(self) -> float:
        """Step size of the next step."""
        return self.recipe.learning_rate * rate_share(self.recipe, self.step) * 0.5**self.rollbacks

    @torch.no_grad()
    def _average(self) -> None:
        """Averaged weights follow; young ones faster, so that the first steps leave no trace."""
        age = self.step - self.objective.averaged_since
        decay = min(self.recipe.ema, (1 + age) / (10 + age))
        pairs = list(zip(self.ema.parameters(), self.network.parameters(), strict=True))
        torch._foreach_lerp_([e for e, _ in pairs], [p.detach() for _, p in pairs], 1 - decay)

    def settle(self, sampler: Sampler) -> None:
        """Measure the latent statistics of each side anew under the averaged weights.

        Those gathered along the way belong to weights that were left behind (Izmailov et al. 2018, section 3.2).
        """
        drawn = (sampler.draw(_SETTLING_STEP + number) for number in range(_SETTLING_BATCHES))
        batches = (batch.to(self.device, self.dtype) for batch in drawn)
        self.ema.settle((batch.input_a, batch.input_b) for batch in batches)

    def save(self, store: Store) -> None:
        """Checkpoint."""
        facts: Json = {
            "step": self.step,
            "recipe": asdict(self.recipe),
            "random_numbers": "numpy.random.default_rng([seed, step]), torch.manual_seed(seed * 2000003 + step)",
            "rollbacks": self.rollbacks,
            "log": [vars(row) for row in self.log],
            **self.about,
        }
        store.save(self._modules(), self._moments(), facts, self.log[-1].score if self.log else None)

    def _modules(self) -> dict[str, nn.Module]:
        """All that a checkpoint holds beside the optimisers."""
        return {"network": self.network, "ema": self.ema, "objective": self.objective}

    def _moments(self) -> dict[str, tuple[Optimizer, dict[str, nn.Parameter]]]:
        return {turn: (optimizer, self.trained[turn]) for turn, optimizer in self.optimizers.items()}

    def start_from(self, path: Path) -> int:
        """Begin with the weights of a file, as far as names and sizes agree; returns how many tensors did.

        Raises:
            SettingsError: none did.
        """
        agreed = warm_start(path, self.network)
        self.ema.load_state_dict(self.network.state_dict())
        return agreed

    def restore(self, store: Store) -> bool:
        """Go on from the latest checkpoint; False where there is none."""
        facts = store.load(self._modules(), self._moments())
        if facts is None:
            return False
        with damage_named(store.folder):
            self.step, self.rollbacks = int(facts["step"]), int(facts["rollbacks"])
            self.log = [LogRow(**row) for row in facts["log"]]
        return True

    def take(self, entry: Json, store: Store) -> None:
        """Have the averaged weights of one of the store's checkpoints, and say so; no step can follow."""
        if entry["step"] == self.step:
            return
        store.load_from(entry, {"ema": self.ema}, cure="set train.choose = 'last'")
        event = f"of {self.step} steps the checkpoint after {entry['step']} draws: its score is the best"
        self.log.append(LogRow(step=self.step, rate=self.rate, event=event))
        self.step = int(entry["step"])

    def roll_back(self, store: Store, trouble: str) -> None:
        """Go back to the latest checkpoint, or to the beginning, and on from there with half the step size.

        Raises:
            DivergedError: that did not help three times.
        """
        rollbacks, step = self.rollbacks + 1, self.step
        if rollbacks > MOST_ROLLBACKS:
            raise DivergedError(
                f"{trouble} at step {step}, although the step size was halved {MOST_ROLLBACKS} times: lower "
                f"train.learning_rate ({self.recipe.learning_rate}), set train.clip, or use train.precision = 'fp32'"
            )
        if not self.restore(store):
            self.step, self.log = 0, []
            self._build()
        self.rollbacks = rollbacks
        event = f"{trouble} at step {step}: back to step {self.step}, step size {self.rate:.3g}"
        self.log.append(LogRow(step=self.step, rate=self.rate, event=event))


def train(
    trainer: Trainer,
    sampler: Sampler,
    *,
    iterations: int,
    checkpoint_every: int,
    store: Store,
    progress: Progress,
    divergence: float = 0.0,
    patience: int = 0,
    look: Look | None = None,
    seen: Callable[[LogRow], None] = lambda row: None,
) -> Meter:
    """Train up to ``iterations`` steps in all, saving every ``checkpoint_every`` steps and at the end.

    Args:
        trainer: what is trained.
        sampler: where batches come from.
        iterations: steps in all, those of earlier runs included.
        checkpoint_every: steps between checkpoints.
        store: where they lie.
        progress: told of every row of the log.
        divergence: multiple of the lowest loss so far above which the training goes back; 0 only minds NaN.
        patience: checkpoints without a better one after which it ends before ``iterations``; 0 does not end it.
        look: detector that is shown the swap at every checkpoint.
        seen: called with every new row of the log.

    Returns:
        what was measured along the way.

    Raises:
        DivergedError: the loss stayed NaN, or rose, although the step size was halved three times.
    """
    meter = Meter(sampler.batch, trainer.device)
    validation = Validation(sampler, look, trainer.device, trainer.dtype)
    batches = sampler.batches(trainer.step, iterations)
    while trainer.step < iterations and not (patience and stale(trainer.log) >= patience):
        meter.add(trainer.train_step(meter.wait_for(batches)))
        done = trainer.step
        save_due = done % checkpoint_every == 0 or done == iterations
        if not save_due and done % ROW_EVERY:
            continue
        if trouble := diverged(meter.means(), trainer.log, divergence):
            batches.close()
            trainer.roll_back(store, trouble)
            seen(trainer.log[-1])
            progress(trainer.step, iterations, trainer.log[-1].event or "")
            meter.begin_row()
            batches = sampler.batches(trainer.step, iterations)
            continue
        row = meter.row(done, trainer.rate)
        if save_due or is_pictured(done):
            trainer.settle(sampler)
        if save_due:
            vars(row).update(validation.judge(trainer.ema))
        trainer.log.append(row)
        seen(row)
        progress(done, iterations, f"loss {row.loss_a:.4f} {row.loss_b:.4f}")
        if save_due:
            trainer.save(store)
    batches.close()
    if trainer.step < iterations:
        event = f"{patience} checkpoints without a better score: ended at step {trainer.step} of {iterations}"
        trainer.log.append(LogRow(step=trainer.step, rate=trainer.rate, event=event))
        seen(trainer.log[-1])
    return meter


def diverged(means: dict[str, float], log: list[LogRow], limit: float) -> str:
    """In words what is wrong with the mean losses since the last row; empty where nothing is."""
    broken = [name for name, value in means.items() if not math.isfinite(value)]
    if broken:
        return f"loss {', '.join(broken)} is not finite"
    lowest = min((row.loss_a + row.loss_b for row in log if row.loss_a is not None and row.loss_b is not None),
                 default=math.inf)  # fmt: skip
    now = means.get("a", 0.0) + means.get("b", 0.0)
    if limit and now > limit * lowest:
        return f"loss {now:.4g} is more than {limit:g} times the lowest, {lowest:.4g}"
    return ""
