"""Every network on the same faces for the same CPU time, judged against the truth.

Each pair of synthetic actors is rendered and analysed once, by the demonstration. Each network is then trained by
`faceswap run` on the very same faces: a short while to learn what a step costs, then, going on from there, until
the wanted CPU seconds are spent. Figures are those of the report; beside them stand the mean face's and, for the
first network named, what the others make of its swap error (with the spread over pairs and seeds).

    python -m benchmarks.models [--workspace DIR] [--pairs 101-202,303-404] [--models original,modulated]
        [--seconds 180] [--seeds 0,1] [--set train.losses.ssim=0.5]...
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.swap_error import faceswap
from faceswap_core.config_network import MODEL_DEFAULTS

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
        """Train up to so many steps in all, swap and judge; returns the report."""
        wanted = [f"train.model_name={self.model}", f"train.iterations={steps}", f"seed={self.seed}", *self.settings]
        wanted.append(f"output.video={self.workspace / f'{self.model}-{self.seed}.mp4'}")
        arguments = [part for setting in wanted for part in ("--set", setting)]
        content: dict[str, Any] = faceswap("run", str(self.workspace / "job.toml"), *arguments)["content"]
        return content

    def judged(self, seconds: float) -> dict[str, Any]:
        """A row after equal CPU seconds of training."""
        steps, spent, added = 0, 0.0, PROBE_STEPS
        while True:  # what a step costs is learned on the way: a short training costs more of them
            steps += added
            report = self.run(steps)
            last = float(report["stages"]["train-model"]["cpu_seconds"])
            spent += last
            if spent > (1 - TOLERANCE) * seconds:
                break
            added = max(round((seconds - spent) * added / last), 1)
        truth, training = report["truth"], report["training"]
        row = {"model": self.model, "seed": self.seed, "parameters": parameters_of(training), "steps": steps}
        row |= {"cpu_seconds": round(spent, 1), "cpu_ms_per_step": round(1000 * spent / steps, 1)}
        row |= {k: round(truth[k], 4) for k in ("swap_error", "swap_over_mean_face", "transfer", "residual")}
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
    """Swap error of each network over that of the first, over pairs and seeds: mean and 95 % interval."""
    errors = {(r["model"], r["pair"], r["seed"]): r["swap_error"] for r in rows}
    found = []
    for model in models[1:]:
        ratios = np.array([e / errors[models[0], *which] for (m, *which), e in errors.items() if m == model])
        spread = 1.96 * ratios.std(ddof=1) / len(ratios) ** 0.5 if len(ratios) > 1 else None
        loses = sorted({which[0] for (m, *which), e in errors.items() if m == model and e > errors[models[0], *which]})
        about = {"swap_error_over": models[0], "mean": round(float(ratios.mean()), 4)}
        found.append({"model": model, **about, "interval": spread and round(float(spread), 4), "loses_on": loses})
    return found


def main() -> None:
    """Run all cases and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("build/models"))
    parser.add_argument("--pairs", default="101-202,303-404")
    parser.add_argument("--models", default=",".join(MODEL_DEFAULTS))
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    print(json.dumps({"seconds": options.seconds, **machine}), flush=True)
    rows, models = [], options.models.split(",")
    for pair in options.pairs.split(","):
        a, b = pair.split("-")
        folder = options.workspace.absolute() / pair
        faceswap("demo", "--workspace", str(folder), "--actor-a", a, "--actor-b", b, "--iterations", "1")
        for seed in (int(s) for s in options.seeds.split(",")):
            for model in models:
                row = {"pair": pair, **Case(folder, model, seed, tuple(options.settings)).judged(options.seconds)}
                rows.append(row)
                print(json.dumps(row), flush=True)
    for row in compared(rows, models):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
