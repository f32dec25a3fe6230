"""How steady a swap is: jitter, flicker, warping error, sharpness, seam, lag, disturbed detections, gaps.

Each pair runs the demonstration's own job, or a shorter training for trying things out (`--steps`); the pairs that are
judged by default are drawn by a seed of their own and serve nothing else. Judged is the composite before encoding.
Beside the swap stands the ideal composite: B's own performance of the plate, laid in by the same masks and matrices, on
which the judge's own noise shows. It is taken off in squares; null where there is nothing left to compare with. Without
smoothing (`none`) means: the same network, tracks and patches not smoothed.

    python -m benchmarks.steadiness [--pairs A-B ...] [--steps N [--frames N] [--learned N]] [--clips DIR]
        [--workspace DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.steady_judge import STILL, Judge, Made, figures, lag
from benchmarks.swap_error import drawn_pairs
from benchmarks.two_actors import Footage, footage, of_demo
from faceswap_core import manifest
from faceswap_core.config import SmoothSettings, TrackSettings
from faceswap_core.manifest import Row
from faceswap_core.quality.temporal import without_noise
from faceswap_core.schemas import DETECTIONS
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, ManifestRef
from faceswap_core.video.render import write_video

SEED, PAIRS = 20261206, 5
LIMITS = {"jitter": 0.5, "flicker": 0.5, "warping": 1.25, "seam": 1.15, "disturbed": 1.3, "gaps": 1.5}
"""Most that each ratio may be."""
LEAST_SHARPNESS = 0.92
_RAW = TrackSettings(smooth_radius=0, similarity_radius=0)
_SIZE_ERROR, _SIZE_HZ, _FPS, _NOISE_PX = 0.02, 5.0, 30.0, 1.5
_GAP, _GAPS, _PASSES = 5, 20, 4
"""Frames removed in a row, places, and the runs that they are spread over."""


def disturbed(film: Footage, seed: int = 5) -> list[ManifestRef]:
    """Detections whose size swings at 5 Hz by 2 % and whose points tremble by 1.5 px."""
    rng = np.random.default_rng(seed)

    def shaken(row: Row) -> Row:
        swing = 1 + _SIZE_ERROR * np.sin(2 * np.pi * _SIZE_HZ * row["frame_index"] / _FPS)
        five = np.reshape(row["points5"], (5, 2))
        middle, changed = five.mean(0), {}
        for name in ("points5", "points_dense"):
            if row[name] is not None:
                points = middle + swing * (np.reshape(row[name], (-1, 2)) - middle)
                changed[name] = (points + rng.normal(0, _NOISE_PX, points.shape)).ravel().tolist()
        return row | changed

    return _published(film, lambda row: [shaken(row)])


def with_gaps(film: Footage, starts: Sequence[int]) -> list[ManifestRef]:
    """Detections without those of five consecutive frames at each place."""
    gone = {start + i for start in starts for i in range(_GAP)}
    return _published(film, lambda row: [] if row["frame_index"] in gone else [row])


def _published(film: Footage, change: Callable[[Row], list[Row]]) -> list[ManifestRef]:
    return [
        manifest.publish(
            film.workspace,
            "changed",
            f"detections-{i:04d}",
            DETECTIONS,
            [new for row in manifest.stream(film.workspace, ref, DETECTIONS) for new in change(row)],
        )
        for i, ref in enumerate(film.detections)
    ]


def gap_starts(count: int, frames: int, rng: np.random.Generator) -> list[int]:
    """Random places of gaps: at least as far from each other and from both ends as they are long."""
    slack = frames - _GAP - count * 2 * _GAP
    offsets = np.sort(rng.integers(0, slack + 1, count))
    return [int(_GAP + offset + i * 2 * _GAP) for i, offset in enumerate(offsets)]


def gap_row(judge: Judge, seed: int = 6) -> dict[str, Any]:
    """How gaps are filled: frames without a face laid in, and landmarks there against those beside them."""
    rng, frames = np.random.default_rng(seed), len(judge.plate)
    missing, inside, beside = 0, [], []
    for _ in range(_PASSES):
        starts = gap_starts(_GAPS // _PASSES, frames, rng)
        made = judge.run(with_gaps(judge.film, starts), TrackSettings(), SmoothSettings())
        error = judge.nme(made)
        for start in starts:
            gap = slice(start, start + _GAP)
            missing += int((made.weights[gap].max((1, 2)) == 0).sum())
            inside.append(np.nanmean(error[gap]))
            beside.append(np.nanmean(np.r_[error[start - _GAP : start], error[start + _GAP : start + 2 * _GAP]]))
    ratio = float(np.mean(inside) / np.mean(beside))
    return {"places": len(inside), "frames_without_face": missing, "nme": round(float(np.mean(inside)), 5)} | {
        "nme_over_neighbours": round(ratio, 3),
        "holds": missing == 0 and ratio <= LIMITS["gaps"],
    }


def write_clip(path: Path, weights: F32, left: Made, right: Made) -> None:
    """Two finished videos beside each other, twice as large, as much of them as the face ever covers."""
    rows, columns = (np.flatnonzero(weights.any((0, axis))) for axis in (2, 1))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    both = (np.hstack([one[part], other[part]]) for one, other in zip(left.pictures, right.pictures, strict=True))
    write_video(
        path, (cv2.resize(p, None, fx=2, fy=2).astype(np.uint8) for p in both), fps=Fraction(25), crf=12, keyint=25
    )


def judged(film: Footage, clip: Path | None) -> dict[str, Any]:
    """All rows of the table for one pair; with a path, what was judged is also written as a clip to look at."""
    judge = Judge(film)
    default = judge.run(film.detections, TrackSettings(), SmoothSettings())
    ideal = judge.ideal()
    videos = {
        "none": judge.run(film.detections, _RAW, STILL),
        "tracks only": judge.run(film.detections, TrackSettings(), STILL),
        "default": default,
        "ideal": ideal,
        "disturbed": judge.run(disturbed(film), TrackSettings(), SmoothSettings()),
    }
    if clip is not None:
        write_clip(clip, ideal.weights, videos["none"], default)
    table = {name: figures(judge, made, ideal.weights) for name, made in videos.items()}
    for name, row in table.items():
        print(json.dumps({"video": name, **{k: round(v, 5) for k, v in row.items()}}), flush=True)
    return ratios(table) | {"lag_frames": lag(judge, default), "gaps": gap_row(judge)}


def ratios(table: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The contract's ratios, from the figures of all videos."""
    none, default, noise = table["none"], table["default"], table["ideal"]

    def against(name: str, made: dict[str, float], other: dict[str, float]) -> float | None:
        beneath = without_noise(other[name], noise[name])
        return round(without_noise(made[name], noise[name]) / beneath, 3) if beneath else None

    return {
        "jitter": against("jitter", default, none),
        "jitter_with_noise": round(default["jitter"] / none["jitter"], 3),
        "detected": against("detected", default, none),
        "detected_with_noise": round(default["detected"] / none["detected"], 3),
        "flicker": against("flicker", default, none),
        "flicker_with_noise": round(default["flicker"] / none["flicker"], 3),
        "warping": round(default["warping"], 3),
        "sharpness": round(default["sharpness"] / none["sharpness"], 3),
        "sharpness_to_truth": round(default["sharpness"] / noise["sharpness"], 3),
        "seam": round(default["seam"], 3),
        "leak": default["leak"],
        "disturbed": against("jitter", table["disturbed"], default),
        "disturbed_with_noise": round(table["disturbed"]["jitter"] / default["jitter"], 3),
    }


def _film(options: argparse.Namespace, pair: tuple[int, int]) -> Footage:
    if options.steps is None:
        return of_demo(options.workspace, pair)
    how = {name: getattr(options, name) for name in ("frames", "learned", "steps")}
    return footage(options.workspace, pair, **how)


def main() -> None:
    """Print one JSON object a video of each pair, then its ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", default=[f"{a}-{b}" for a, b in drawn_pairs(PAIRS, SEED)])
    parser.add_argument("--steps", type=int, help="of a shorter training in place of the demonstration's job")
    parser.add_argument("--frames", type=int, default=120, help="of its plate")
    parser.add_argument("--learned", type=int, default=180, help="frames of each actor that it learns from")
    parser.add_argument(
        "--clips", type=Path, help="folder for clips: not steadied at the left, as by default at the right"
    )
    parser.add_argument("--workspace", type=Path, default=Path("build/steadiness"))
    options = parser.parse_args()
    cap_threads(1)
    print(json.dumps({"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}))
    for text in options.pairs:
        began = time.process_time()
        first, second = (int(part) for part in text.split("-"))
        film = _film(options, (first, second))
        row = {
            "pair": text,
            **judged(film, options.clips and options.clips / f"{text}.mp4"),
            "limits": LIMITS | {"sharpness_at_least": LEAST_SHARPNESS},
        }
        print(json.dumps(row | {"cpu_seconds": round(time.process_time() - began)}), flush=True)


if __name__ == "__main__":
    main()
