"""What the seeds claim of their network, tested at demo scale against the truth of synthetic actors.

Each variant of `original` is trained on the same faces of a pair for equal steps and, where its step is cheaper, on to
the CPU seconds of the reference; swap and reconstruction are compared with the truth. Every training is a row; then
come the verdicts (`benchmarks.claims`) and the rows as a table of means and standard deviations.

    python -m benchmarks.seed_claims [--workspace DIR] [--pairs 101-202] [--seeds 1,2,3] [--steps 200]
        [--part networks]... [--rows FILE]...
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

CURVE = (0.5,)
"""Shares of the steps at which colours are judged on the way, beside the end."""
LONGER = 2.5
"""The seeds give their own network 50 k steps, the GAN 20 k."""
PARTS = ("networks", "plain networks", "colours", "gan", "longer", "plain colours")
"""Trainings that one claim needs; all are done where none is named."""
_LITTLE = 1.1
"""A variant that would have less than this many times the steps in equal CPU seconds is not trained on."""


def train_all(pair: Pair, parts: list[str], seeds: list[int], steps: int, tell: Callable[[Row], None]) -> None:
    """Train part by part, all seeds of one before the next, so that what a stopped benchmark has is whole."""
    plan: dict[str, Callable[[int], None]] = {
        "networks": lambda seed: _networks(pair, "ours", seed, steps, tell),
        "plain networks": lambda seed: _networks(pair, "plain", seed, steps, tell),
        "gan": lambda seed: _gan(pair, seed, steps, tell),
        "colours": lambda seed: _colours(pair, "ours", seed, steps, tell),
        "longer": lambda seed: _longer(pair, seed, steps, tell),
        "plain colours": lambda seed: _colours(pair, "plain", seed, steps, tell),
    }
    for part in parts or PARTS:
        for seed in seeds:
            plan[part](seed)


def _networks(pair: Pair, conditions: str, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    reference: Row = {}
    for variant, settings in NETWORKS.items():
        names, settings = (conditions, variant, seed), (*CONDITIONS[conditions], *settings)
        row = pair.judged(names, settings, steps, "steps")
        tell(row)
        reference = reference or row
        more = reference["cpu_seconds"] / row["cpu_seconds"]
        if more > _LITTLE:
            tell(pair.judged(names, settings, round(steps * more), "cpu", (steps,)))
        else:
            tell({**row, "at": "cpu"})


def _colours(pair: Pair, conditions: str, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    for variant, settings in COLOURS.items():
        names, settings = (conditions, variant, seed), (*CONDITIONS[conditions], *settings)
        stops = [round(share * steps) for share in CURVE]
        for number, stop in enumerate(stops):
            tell(pair.judged(names, settings, stop, "curve", tuple(stops[:number])))
        tell(pair.judged(names, settings, steps, "steps", tuple(stops)))


def _gan(pair: Pair, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    """The GAN with its schedule run through."""
    settings = (*CONDITIONS["ours"], "train.model_name=gan", f"train.schedule_steps={steps}")
    tell(pair.judged(("ours", GAN, seed), settings, steps, "steps"))


def _longer(pair: Pair, seed: int, steps: int, tell: Callable[[Row], None]) -> None:
    """The seeds' own network after as many more steps as they give it."""
    tell(pair.judged(("ours", REFERENCE, seed), CONDITIONS["ours"], round(LONGER * steps), "longer", (steps,)))


def main() -> None:
    """Run all trainings, then print what is to be made of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("build/seed-claims"))
    parser.add_argument("--pairs", default="101-202")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--part", action="append", default=[], dest="parts", choices=PARTS)
    parser.add_argument(
        "--rows", type=Path, action="append", default=[], help="output of earlier runs that counts, too"
    )
    options = parser.parse_args()
    print(json.dumps({**machine(), "torch": torch.__version__, "steps": options.steps}), flush=True)
    lines = [line for file in options.rows for line in file.read_text().splitlines()]
    rows: list[Row] = [json.loads(line) for line in lines if line.startswith('{"pair"')]

    def tell(row: Row) -> None:
        rows.append(row)
        print(json.dumps({**row, "load": round(os.getloadavg()[0], 2)}), flush=True)

    seeds = [int(seed) for seed in options.seeds.split(",")]
    with prefect_server(quiet=True):
        from benchmarks.claim_runs import with_pair  # Prefect reads its settings when it is imported

        for name in options.pairs.split(","):
            a, b = (int(part) for part in name.split("-"))
            with_pair(
                options.workspace.absolute(), (a, b), lambda p: train_all(p, options.parts, seeds, options.steps, tell)
            )
    for verdict in verdicts(rows):
        print(json.dumps(verdict), flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
