"""A training step and its augmentation against the seeds' own loop.

``step_cpu_seconds``: processor seconds of all threads of one iteration of ``original`` at full size (82 M parameters,
64 px, 64 faces a side), ours against the seeds' loop (`faceswap_core.models.seed_loop`: faces augmented one by one
in float64, fp32, two Adams, a preview every iteration), with and without its previews. Both run in turns.

``pairs_per_second``: pairs of a warped view and its target of 64 px from chips of 256 px that one thread draws, ours
against the seeds' way.

    python -m benchmarks.train_step [--repeats N] [--augmentation-only]
"""

from __future__ import annotations

import argparse
import json

from benchmarks.video_index import machine
from faceswap_core.stages.bench import augmentation_figures, step_figures

LIMITS = {"step_cpu_seconds": 2.4, "step_cpu_seconds_without_previews": 2.1, "pairs_per_second": 6.0}
"""How many times less time, or more pairs, than the floor."""
MIN_PAIRS = 7000.0


def main() -> None:
    """Print one object a line; the last says what holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--augmentation-only", action="store_true")
    options = parser.parse_args()
    print(json.dumps(machine()), flush=True)
    figures = [*augmentation_figures(options.repeats)]
    if not options.augmentation_only:
        figures += step_figures(options.repeats)
    held = {}
    for figure in figures:
        print(json.dumps(figure), flush=True)
        if figure["metric"] in LIMITS:
            ratio = figure["ratio"] if figure["metric"] == "pairs_per_second" else 1 / figure["ratio"]
            held[figure["metric"]] = ratio >= LIMITS[figure["metric"]]
        if figure["metric"] == "pairs_per_second":
            held["pairs"] = figure["value"] >= MIN_PAIRS
    print(json.dumps({"holds": held}))


if __name__ == "__main__":
    main()
