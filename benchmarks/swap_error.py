"""The swap against its truth for five pairs of actors that nothing was tuned on.

Identities are drawn by ``numpy.random.default_rng(20261121)``. Each pair runs the whole demonstration by the
command line, then once more with exact landmarks in place of the detector: the difference is the detector's share.

    python -m benchmarks.swap_error [--workspace DIR] [--pairs N] [--no-exact]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20261121
LIMITS = {"swap_over_plate": 0.85, "swap_over_mean_face": 0.70, "swap_over_reconstruction": 1.40}
"""Highest ratios of the swap's error to that of its baselines."""
MIN_TRANSFER, MAX_RESIDUAL = 0.65, 0.80


def drawn_pairs(count: int, seed: int = SEED) -> list[tuple[int, int]]:
    """Pairs of different identity seeds, drawn by a seed."""
    seeds = np.random.default_rng(seed).choice(1_000_000, size=2 * count, replace=False)
    return [(int(a), int(b)) for a, b in seeds.reshape(-1, 2)]


def faceswap(*arguments: str) -> dict[str, Any]:
    """Run one command; returns its last line and the report that it names."""
    command = [str(Path(sys.executable).with_name("faceswap")), *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    last["content"] = json.loads(Path(last["report"]).read_text())
    return last


def timed(*arguments: str) -> tuple[dict[str, Any], float]:
    """What `faceswap` returns, and its wall seconds."""
    started = time.monotonic()
    return faceswap(*arguments), time.monotonic() - started


def folder_of(workspace: Path, pair: tuple[int, int]) -> Path:
    """Workspace of one pair."""
    return workspace / f"{pair[0]}-{pair[1]}"


def demo_of(workspace: Path, pair: tuple[int, int]) -> list[str]:
    """Arguments of the demonstration of one pair."""
    folder = str(folder_of(workspace, pair))
    return ["demo", "--workspace", folder, "--actor-a", str(pair[0]), "--actor-b", str(pair[1])]


def passes(truth: dict[str, float]) -> tuple[bool, bool]:
    """Whether the ratios, and transfer and residual, are within their limits."""
    ratios = all(truth[name] <= limit for name, limit in LIMITS.items())
    return ratios, truth["transfer"] >= MIN_TRANSFER and truth["residual"] <= MAX_RESIDUAL


def show(pair: tuple[int, int], points: str, done: dict[str, Any], seconds: float) -> tuple[bool, bool]:
    """Print one row, and the same as JSON."""
    truth = done["content"]["truth"]
    ratios, transfer = passes(truth)
    figures = {name: truth[name] for name in (*LIMITS, "transfer", "residual", "swap_error")}
    row = {"pair": pair, "points": points, **{k: round(v, 4) for k, v in figures.items()}}
    row |= {k: truth[k] for k in ("reconstruction", "mean_face", "blurred_truth")}
    row |= {"ratios_hold": ratios, "transfer_holds": transfer, "seconds": round(seconds, 1)}
    print(json.dumps(row), flush=True)
    return ratios, transfer


def main() -> None:
    """Run all pairs and print how many are within the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("build/swap-error"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--no-exact", action="store_true", help="leave out the runs with exact landmarks")
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    print(json.dumps({"seed": SEED, "pairs": drawn_pairs(options.pairs), **machine}), flush=True)
    held = []
    for pair in drawn_pairs(options.pairs):
        shutil.rmtree(folder_of(options.workspace, pair), ignore_errors=True)
        held.append(show(pair, "detected", *timed(*demo_of(options.workspace, pair))))
    for pair in [] if options.no_exact else drawn_pairs(options.pairs):
        job = str(folder_of(options.workspace, pair) / "job.toml")
        show(pair, "exact", *timed("run", job, "--set", "detect.backend=truth"))
    ratios, transfers = (sum(kind) for kind in zip(*held, strict=True))
    print(json.dumps({"pairs": len(held), "ratios_hold": ratios, "transfer_holds": transfers}))


if __name__ == "__main__":
    main()
