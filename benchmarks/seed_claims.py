"""What the seeds claim of their network, tested at demo scale against the truth of synthetic actors.

Each variant of `original` is trained on the same faces of a pair for equal steps and, where its step is cheaper, on to
the CPU seconds of the reference; swap and reconstruction are compared with the truth. Every training is a row; then
come the verdicts (`benchmarks.claims`) and the rows as a table of means and standard deviations.

    python -m benchmarks.seed_claims [--workspace DIR] [--pairs 101-202] [--seeds 1,2,3] [--steps 200]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.claims import COLOURS, CONDITIONS, GAN, NETWORKS, REFERENCE, Row, table, verdicts
from benchmarks.video_index import machine
from flows.server import prefect_server

if TYPE_CHECKING:
    from benchmarks.claim_runs import Pair

CURVE = (0.4, 0.7)
"""Shares of the steps at which colours are judged on the way."""
LONGER = 2.5
"""The seeds give their own network 50 k steps, the GAN 20 k."""
_LITTLE = 1.1
"""A variant that would have less than this many times the steps in equal CPU seconds is not trained on."""


def train_all(pair: Pair, seeds: list[int], steps: int, tell: Callable[[Row], None]) -> None:
    """Train claim by claim, all seeds of one before the next, so that what a stopped benchmark has is whole."""
    for conditions in CONDITIONS:
        for seed in seeds:
            _networks(pair, conditions, seed, steps, tell)
    for seed in seeds:
        _colours(pair, "ours", seed, steps, tell)
    for seed in seeds:
        _gan(pair, seed, steps, tell)
    for seed in seeds:
        _colours(pair, "plain", seed, steps, tell)


def _networks(pair: Pair, conditions: str, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    reference: Row = {}
    for variant, settings in NETWORKS.items():
        names, settings = (conditions, variant, seed), (*CONDITIONS[conditions], *settings)
        row = pair.judged(names, settings, steps, "steps")
        tell(row)
        reference = reference or row
        more = reference["cpu_seconds"] / row["cpu_seconds"]
        equal = pair.judged(names, settings, round(steps * more), "cpu") if more > _LITTLE else {**row, "at": "cpu"}
        tell(equal)


def _colours(pair: Pair, conditions: str, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    for variant, settings in COLOURS.items():
        names, settings = (conditions, variant, seed), (*CONDITIONS[conditions], *settings)
        for share in CURVE:
            tell(pair.judged(names, settings, round(share * steps), "curve"))
        tell(pair.judged(names, settings, steps, "steps"))


def _gan(pair: Pair, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    """The GAN with its schedule run through, and the seeds' own network after more steps."""
    settings = ("train.model_name=gan", f"train.schedule_steps={steps}")
    tell(pair.judged(("ours", GAN, seed), settings, steps, "steps"))
    tell(pair.judged(("ours", REFERENCE, seed), CONDITIONS["ours"], round(LONGER * steps), "longer"))


def main() -> None:
    """Run all trainings, then print what is to be made of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("build/seed-claims"))
    parser.add_argument("--pairs", default="101-202")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    print(json.dumps({**machine(), "torch": torch.__version__, "steps": options.steps}), flush=True)
    rows: list[Row] = []

    def tell(row: Row) -> None:
        rows.append(row)
        print(json.dumps({**row, "load": round(os.getloadavg()[0], 2)}), flush=True)

    seeds = [int(seed) for seed in options.seeds.split(",")]
    with prefect_server(quiet=True):
        from benchmarks.claim_runs import with_pair  # Prefect reads its settings when it is imported

        for name in options.pairs.split(","):
            a, b = (int(part) for part in name.split("-"))
            with_pair(options.workspace.absolute(), (a, b), lambda p: train_all(p, seeds, options.steps, tell))
    for verdict in verdicts(rows):
        print(json.dumps(verdict), flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
