"""nothing -> how fast a stage is on this machine, beside the floor that it is measured against.

A figure is ``{stage, metric, value, unit, floor, floor_name, ratio}`` with ratio = value / floor. Seconds are
processor seconds of all threads; ours and the floor run in turns, and the median counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from faceswap_core.models import Build
from faceswap_core.models.augment import Augmentation, chip_grids, random_maps, sample_pairs
from faceswap_core.models.chips import Sampler
from faceswap_core.models.faces import Chips, Side
from faceswap_core.models.loop import Trainer
from faceswap_core.models.recipe import Recipe
from faceswap_core.models.seed_loop import CHIP, VIEW, SeedLoop, seed_pairs
from faceswap_core.stages.weights import resolve_precision
from faceswap_core.threads import cap_threads
from faceswap_core.types import Json

SEED_HOW = Augmentation(rotation=10, zoom=0.05, shift=0.05, flip=0.4, warp=0.03125, light=0, color=0)
"""The seeds' amounts of random change."""
_COVERAGE = 160 / CHIP
_BATCH = 64


def bench_train(repeats: int) -> Iterator[Json]:
    """Augmentation and a whole step at the seeds' full size, against the seeds' own loop."""
    yield from augmentation_figures(repeats)
    yield from step_figures(repeats)


BENCHES: dict[str, Callable[[int], Iterator[Json]]] = {"train": bench_train}
"""What `faceswap bench --stage` knows."""


def augmentation_figures(repeats: int) -> Iterator[Json]:
    """Pairs of views a second that one thread draws, and with them all that makes a batch of them."""
    before = torch.get_num_threads()
    cap_threads(1)
    chips, rng = _chips(), np.random.default_rng(0)
    images = chips.colors[..., :3] / 255.0
    side = Side(chips, Chips.of([]), np.ones(3), np.zeros(3))
    sampler = _sampler(side, side)

    def pairs() -> None:
        grids = chip_grids(random_maps(rng, _BATCH, SEED_HOW), size=CHIP, coverage=_COVERAGE)
        sample_pairs(chips, rng.integers(0, len(chips), _BATCH), grids, VIEW)

    tried: list[Callable[[], object]] = [pairs, lambda: seed_pairs(images, rng, _BATCH), lambda: sampler.draw(0)]
    ours, seed, batch = _in_turns(tried, repeats * 4)
    torch.set_num_threads(before)
    floor = _BATCH / seed
    yield _figure("pairs_per_second", _BATCH / ours, "1/s", floor)
    yield _figure("batch_faces_per_second", 2 * _BATCH / batch, "1/s", floor)


def step_figures(repeats: int) -> Iterator[Json]:
    """CPU seconds of one iteration of `original` at full size, 64 px, 64 faces a side."""
    chips = _chips()
    seed = SeedLoop(chips.colors[..., :3], chips.colors[..., :3], batch=_BATCH)
    side = Side(chips, Chips.of([]), np.ones(3), np.zeros(3))
    trainer, sampler = full_size(resolve_precision("auto", torch.device("cpu"))), _sampler(side, side)
    ours: list[float] = []
    floors: list[dict[str, float]] = []
    for number in range(repeats + 1):  # the first of each warms up
        began = time.process_time()
        trainer.train_step(sampler.draw(number))
        ours.append(time.process_time() - began)
        floors.append(seed.iterate())
    mine, whole = statistics.median(ours[1:]), statistics.median(f["all"] for f in floors[1:])
    bare = statistics.median(f["all"] - f["preview"] for f in floors[1:])
    yield {**_figure("step_cpu_seconds", mine, "s", whole), "precision": trainer.recipe.precision}
    yield {**_figure("step_cpu_seconds_without_previews", mine, "s", bare), "precision": trainer.recipe.precision}


def full_size(precision: str) -> Trainer:
    """The seeds' network with their loss and step size, in our loop."""
    recipe = Recipe(
        model="original",
        build=Build(resolution=VIEW, width=128, latent=1024, side_norm=False),
        learning_rate=5e-5,
        ema=0.0,
        precision=precision,
        losses={"l1": 1.0},
        mask_weight=0.0,
        eye_weight=0.0,
        mouth_weight=0.0,
        seed=0,
        color_mean=(0.5, 0.5, 0.5),
        color_std=(0.25, 0.25, 0.25),
    )
    return Trainer(recipe, torch.device("cpu"))


def _chips() -> Chips:
    """128 chips of 256 px with mask, eyes and mouth, of blocks of noise."""
    coarse = np.random.default_rng(0).integers(0, 256, (128, CHIP // 8, CHIP // 8, 6), dtype=np.uint8)
    return Chips.of(np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8)))


def _sampler(a: Side, b: Side) -> Sampler:
    return Sampler(a, b, seed=0, batch=_BATCH, resolution=VIEW, coverage=_COVERAGE, how=SEED_HOW)


def _in_turns(tried: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median CPU seconds of each, one after another, over and over."""
    found: list[list[float]] = [[] for _ in tried]
    for _ in range(repeats):
        for seconds, call in zip(found, tried, strict=True):
            began = time.process_time()
            call()
            seconds.append(time.process_time() - began)
    return [statistics.median(seconds) for seconds in found]


def _figure(metric: str, value: float, unit: str, floor: float) -> Json:
    figure = {"stage": "train", "metric": metric, "value": value, "unit": unit}
    return {**figure, "floor": floor, "floor_name": "seed loop", "ratio": value / floor}
