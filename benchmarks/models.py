"""Every network on the same faces for the same CPU time, judged against the truth.

Each pair of synthetic actors is rendered and analysed once, by the demonstration. Each network is then trained by
`faceswap run` on the very same faces: a short while to learn what a step costs, then, going on from there, until
the wanted CPU seconds, judging its checkpoints included, are spent; several of them give a learning curve. Figures are
those of the report; beside them stand the mean face's and, for the first network named, what the others make of its
swap error and residual in the end (with the interval over pairs and seeds). Pairs are drawn by a seed where `--drawn`
says how many.

    python -m benchmarks.models [--workspace DIR] [--pairs 101-202,303-404 | --drawn 5] [--models original,modulated]
        [--seconds 180 | --seconds 60,180,600] [--seeds 0,1] [--set train.losses.ssim=0.5]... [--rows FILE]...
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.claims import spread
from benchmarks.swap_error import drawn_pairs, faceswap
from faceswap_core.config_network import MODEL_DEFAULTS

SEED = 20261207
"""Of the pairs that are drawn; nothing was chosen by them."""
PROBE_STEPS = 40
"""Steps from which the cost of one is learned at first."""
TOLERANCE = 0.05
"""Share of the CPU seconds that a training may fall short by."""


@dataclass(frozen=True)
class Case:
    """One training."""

    workspace: Path
    """Folder of the pair's demonstration."""
    model: str
    """Name of the network."""
    seed: int
    """Seed of the job."""
    settings: tuple[str, ...]
    """Further ``--set``."""

    def run(self, steps: int) -> dict[str, Any]:
        """Train up to so many steps in all, swap and judge against the truth alone; returns the report."""
        wanted = ["quality.frames=0"]
        wanted += [f"train.model_name={self.model}", f"train.iterations={steps}", f"seed={self.seed}", *self.settings]
        wanted.append(f"output.video={self.workspace / f'{self.model}-{self.seed}.mp4'}")
        arguments = [part for setting in wanted for part in ("--set", setting)]
        content: dict[str, Any] = faceswap("run", str(self.workspace / "job.toml"), *arguments)["content"]
        return content

    def judged(self, marks: Sequence[float]) -> Iterator[dict[str, Any]]:
        """A row after each of the CPU seconds of training, which ascend."""
        steps, spent, added = 0, 0.0, PROBE_STEPS
        for seconds in marks:
            while True:  # what a step costs is learned on the way: a short training costs more of them
                steps += added
                report = self.run(steps)
                last = float(report["stages"]["train-model"]["cpu_seconds"])
                spent, cost = spent + last, last / added
                if spent > (1 - TOLERANCE) * seconds:
                    break
                added = max(round((seconds - spent) / cost), 1)
            yield self.row(report, steps, spent)
            following = next((mark for mark in marks if mark > seconds), seconds)
            added = max(round((following - spent) / cost), 1)

    def row(self, report: dict[str, Any], steps: int, spent: float) -> dict[str, Any]:
        """What a report says after so many steps and CPU seconds."""
        truth, training = report["truth"], report["training"]
        row = {"model": self.model, "seed": self.seed, "parameters": parameters_of(training), "steps": steps}
        row |= {"cpu_seconds": round(spent, 1), "cpu_ms_per_step": round(1000 * spent / steps, 1)}
        row |= {k: round(truth[k], 4) for k in ("swap_error", "swap_over_mean_face", "transfer", "residual")}
        row |= {"peak_memory_mb": (training["peak_memory_bytes"] or 0) >> 20}
        return row | {"mean_face_residual": round(truth["mean_face"]["residual"], 4)}


def parameters_of(training: dict[str, Any]) -> int:
    """Parameters of the network that a report names."""
    import torch

    from faceswap_core.config_network import SHAPE
    from faceswap_core.models import MODELS, Build

    with torch.device("meta"):
        network = MODELS[training["model"]](Build(**{name: training[name] for name in SHAPE}))
    return sum(p.numel() for p in network.parameters())


def compared(rows: list[dict[str, Any]], models: list[str]) -> list[dict[str, Any]]:
    """Swap error and residual of each network over those of the first, where both were trained.

    Geometric means and 95 % intervals: one takes all trainings for independent; the wider one takes the mean of each
    pair's seeds as one figure.
    """
    last = {(r["model"], r["pair"], r["seed"]): r for r in rows}  # the later marks of a curve come later
    found = []
    for model, figure in product(models[1:], ("swap_error", "residual")):
        ratios = {
            (pair, seed): row[figure] / last[models[0], pair, seed][figure]
            for (name, pair, seed), row in last.items()
            if name == model and (models[0], pair, seed) in last
        }
        if not ratios:
            continue
        by_pair = defaultdict(list)
        for (pair, _), ratio in ratios.items():
            by_pair[pair].append(ratio)
        spreads = {"trainings": spread(ratios.values()), "pairs": spread(spread(r).mean for r in by_pair.values())}
        loses = sorted(f"{pair}, seed {seed}" for (pair, seed), ratio in ratios.items() if ratio > 1)
        about = {
            name: {k: round(v, 4) if math.isfinite(v) else None for k, v in asdict(s).items()}
            for name, s in spreads.items()
        }
        found.append({"model": model, "figure": figure, "over": models[0], **about, "loses_on": loses})
    return found


def main() -> None:
    """Run all cases and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("build/models"))
    parser.add_argument("--pairs", default="101-202,303-404")
    parser.add_argument("--drawn", type=int, help="pairs drawn by a seed, in place of --pairs")
    parser.add_argument("--models", default=",".join(MODEL_DEFAULTS))
    parser.add_argument("--seconds", default="180", help="CPU seconds of each training, in ascending order")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument(
        "--rows", type=Path, action="append", default=[], help="output of earlier runs that counts, too"
    )
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    print(json.dumps({"seconds": options.seconds, **machine}), flush=True)
    lines = [line for file in options.rows for line in file.read_text().splitlines()]
    rows = [json.loads(line) for line in lines if line.startswith('{"pair"')]
    models = options.models.split(",")
    marks = [float(text) for text in options.seconds.split(",")]
    for pair in (
        [f"{a}-{b}" for a, b in drawn_pairs(options.drawn, SEED)] if options.drawn else options.pairs.split(",")
    ):
        a, b = pair.split("-")
        folder = options.workspace.absolute() / pair
        faceswap("demo", "--workspace", str(folder), "--actor-a", a, "--actor-b", b, "--iterations", "1")
        for seed, model in product((int(s) for s in options.seeds.split(",")), models):
            for row in Case(folder, model, seed, tuple(options.settings)).judged(marks):
                rows.append({"pair": pair, **row})
                print(json.dumps(rows[-1]), flush=True)
    for row in compared(rows, models):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
