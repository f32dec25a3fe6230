"""How well figures that need no truth rank checkpoints by their true swap error.

Networks that swap well and badly are trained on the faces of each pair, and judged at growing steps: by the truth of
the synthetic actors, and by the training's own figures on held-out time. Spearman's rank correlation with the true
error is printed of each figure over the checkpoints of each training (which to choose, and when to stop) and over all
of a pair (which settings to choose); 1 ranks them as the truth does. `redrawing` is the held-out loss of both sides.
`regret` is the true error of the checkpoint with the best figure over the lowest one.

    python -m benchmarks.proxy [--workspace DIR] [--pairs 101-202 | --drawn 3] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.claims import CONDITIONS, Row
from benchmarks.swap_error import drawn_pairs
from flows.server import prefect_server

PAIRS_SEED = 20261208
"""Of the pairs that are drawn; nothing was chosen by them."""
TRAININGS: dict[str, tuple[str, ...]] = {
    "draft": (),
    "draft, modulated": ("train.model_name=modulated",),
    "plain": CONDITIONS["plain"],
    "plain, no bottleneck": (*CONDITIONS["plain"], "train.bottleneck=none"),
}
STOPS = (25, 50, 100, 200, 400, 800)
"""Steps at which each is judged."""
FIGURES: dict[str, Callable[[Row], float | None]] = {
    "score": lambda row: row["cycle"] + row["likeness"],
    "cycle": lambda row: row["cycle"],
    "likeness": lambda row: row["likeness"],
    "redrawing": lambda row: row["validation_a"] + row["validation_b"],
    "landmarks": lambda row: row["landmarks"],
}
"""What is compared with the truth; less is better of all."""


def judged(rows: list[Row], name: str) -> dict[str, Any] | None:
    """Rank correlation and regret of one figure over some checkpoints; None where it was not measured of all."""
    errors = [row["swap_error"] for row in rows]
    figures = [FIGURES[name](row) for row in rows]
    if any(figure is None for figure in figures):
        return None
    chosen = errors[int(np.argmin(np.array(figures, np.float64)))]
    rank = float(spearmanr(figures, errors).statistic)
    return {"spearman": round(rank, 3), "regret": round(chosen / min(errors), 3)}


def main() -> None:
    """Train and judge, then print what each figure is worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("build/proxy"))
    parser.add_argument("--pairs", default="101-202")
    parser.add_argument("--drawn", type=int, help="pairs drawn by a seed, in place of --pairs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)
    rows: list[Row] = []

    def tell(row: Row) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)

    with prefect_server(quiet=True):
        from benchmarks.claim_runs import Pair, with_pair  # Prefect reads its settings when it is imported

        def work(pair: Pair) -> None:
            for name, settings in TRAININGS.items():
                for number, steps in enumerate(STOPS):
                    tell(pair.judged(("", name, options.seed), settings, steps, "curve", STOPS[:number]))

        drawn = [f"{a}-{b}" for a, b in drawn_pairs(options.drawn or 0, PAIRS_SEED)]
        for pair in drawn or options.pairs.split(","):
            a, b = (int(part) for part in pair.split("-"))
            with_pair(options.workspace.absolute(), (a, b), work)
    for name in FIGURES:
        by_training: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            by_training.setdefault((row["pair"], row["variant"]), []).append(row)
            by_training.setdefault((row["pair"], "all"), []).append(row)
        for (pair, variant), some in by_training.items():
            print(json.dumps({"figure": name, "pair": pair, "over": variant, **(judged(some, name) or {})}), flush=True)


if __name__ == "__main__":
    main()
