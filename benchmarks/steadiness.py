"""How steady a swap is: jitter, flicker, warping error, sharpness, seam, lag, disturbed detections, gaps.

Two actors are rendered and learned in a short time. Judged is the composite before encoding, by a face detector that
searches the finished pictures like any others. Beside the swap stand the plate itself and the ideal composite: B's
own performance of the plate, laid in by the same masks and matrices, on which the judge's own noise shows. It is
taken off in squares. Without smoothing (`none`) means: the same network, tracks and patches not smoothed.

    python -m benchmarks.steadiness [--pairs A-B ...] [--frames N] [--learned N] [--steps N] [--workspace DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.two_actors import ALIGN, Footage, footage
from faceswap_core import manifest
from faceswap_core.config import BlendSettings, DetectSettings, SmoothSettings, TrackSettings
from faceswap_core.faces.blend import placed
from faceswap_core.faces.dense import is_mesh, openness
from faceswap_core.faces.detectors import DETECTORS, installed
from faceswap_core.manifest import Row
from faceswap_core.quality.metrics import background_leak, seam_ratio, sharpness
from faceswap_core.quality.temporal import flicker, residual_jitter, warping_errors, without_noise
from faceswap_core.schemas import DETECTIONS, SMOOTHED, SWAPPED
from faceswap_core.stages.align import AlignedChunk, warp_chip
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.paste import lay, ready_patch
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, F64, U8, ManifestRef
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.reader import decode_linear

LIMITS = {"jitter": 0.5, "flicker": 0.5, "warping": 1.25, "seam": 1.15, "disturbed": 1.3, "gaps": 1.5}
"""Most that each ratio may be."""
LEAST_SHARPNESS = 0.92
_STILL = SmoothSettings(strength=0)
_RAW = TrackSettings(smooth_radius=0, similarity_radius=0)
_SIZE_ERROR, _SIZE_HZ, _FPS, _NOISE_PX = 0.02, 5.0, 30.0, 1.5
_GAP, _GAPS, _PASSES = 5, 20, 4
"""Frames removed in a row, places, and the runs that they are spread over."""
_BLEND = BlendSettings()
_EVERY = 10
"""Frames between those on which seam and leak are measured."""
_FLOWS = 48
"""Frames over which the warping error is measured."""


@dataclass(frozen=True)
class Made:
    """A finished video, before it is encoded."""

    pictures: U8
    """(T, H, W, 3) RGB."""
    weights: F32
    """(T, H, W) 0..1, how far each pixel is covered."""
    points: F64
    """(T, N, 2) px, as the judge finds them; NaN where it finds no face."""


class Judge:
    """Plate and truth of one pair, and what is made of them."""

    def __init__(self, film: Footage) -> None:
        self.film = film
        self.plate = _pictures(film.plate["path"])
        self.truth = _pictures(film.truth["path"])
        self.points = found_points(self.plate)
        self.eyes = float(np.nanmedian(np.linalg.norm(np.diff(_eyes(self.points), axis=1), axis=-1)))

    def smoothed(
        self, swapped: Sequence[ManifestRef], aligned: Sequence[AlignedChunk], how: SmoothSettings
    ) -> list[Row]:
        """Rows of SMOOTHED of the whole plate."""
        rows = []
        for i, ref in enumerate(swapped):
            near = swapped[max(i - 1, 0) : i], swapped[i + 1 : i + 2]
            made = smooth_frames(self.film.workspace, i, ref, aligned[i]["masks"], *near, ALIGN, how)
            rows += list(manifest.stream(self.film.workspace, made, SMOOTHED))
        return rows

    def run(self, detections: list[ManifestRef], track: TrackSettings, smooth: SmoothSettings) -> Made:
        """Track, swap, smooth and lay in."""
        aligned = self.film.tracked(detections, track)
        return self.composed(self.smoothed(self.film.swapped(aligned), aligned, smooth))

    def ideal(self) -> Made:
        """The truth laid in by the default tracks and the network's masks."""
        aligned = self.film.tracked(self.film.detections, TrackSettings())
        name = {"folder": "ideal", "name": "swapped", "schema": SWAPPED}
        refs = [
            manifest.publish(self.film.workspace, **name, rows=[self._true(r) for r in _rows(self.film, ref, SWAPPED)])
            for ref in self.film.swapped(aligned)
        ]
        return self.composed(self.smoothed(refs, aligned, _STILL))

    def _true(self, row: Row) -> Row:
        patch = unpack(row["patch"])
        chip = warp_chip(self.truth[row["frame_index"]], np.reshape(row["matrix"], (2, 3)), patch.shape[0])
        return row | {"patch": pack(np.dstack([chip, patch[..., 3]]))}

    def composed(self, rows: Iterable[Row]) -> Made:
        """Lay patches over the plate."""
        by_frame: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_frame[row["frame_index"]].append(row)
        pictures, weights = [], []
        for index, decoded in enumerate(decode_linear(self.film.plate["path"])):
            weight = np.zeros((decoded.height, decoded.width), np.float32)
            for patch in (ready_patch(row, _BLEND) for row in by_frame[index]):
                if lay(decoded, patch, _BLEND) and (rect := patch.rect((decoded.width, decoded.height))):
                    x, y, w, h = rect
                    weight[y : y + h, x : x + w] = placed(patch.colors, patch.alpha, patch.matrix, rect)[1]
            pictures.append(to_rgb(decoded))
            weights.append(weight)
        return Made(np.stack(pictures), np.stack(weights), found_points(pictures))

    def jitter(self, made: Made) -> float:
        """Residual jitter of the landmarks, as a share of the eyes' distance."""
        there = ~np.isnan(made.points + self.points).any((1, 2))
        return residual_jitter(made.points[there], self.points[there], self.eyes)

    def nme(self, made: Made) -> F64:
        """Distance (T,) of the landmarks to the plate's, as a share of the eyes' distance."""
        result: F64 = np.linalg.norm(made.points - self.points, axis=-1).mean(1) / self.eyes
        return result


def _pictures(path: str) -> U8:
    return np.stack([to_rgb(frame) for frame in decode_linear(path)])


def _rows(film: Footage, ref: ManifestRef, schema: Any) -> list[Row]:
    return list(manifest.stream(film.workspace, ref, schema))


def found_points(pictures: Iterable[U8]) -> F64:
    """The judge's landmarks (T, N, 2) px: a mesh where the detector has one, else five; NaN where it finds no face."""
    settings = installed(DetectSettings())
    detector = DETECTORS[settings.backend](settings, "cpu")
    found = []
    for number, picture in enumerate(pictures):
        faces = detector.detect(picture, follows=number > 0)
        points = faces.points5 if faces.points_dense is None else faces.points_dense
        found.append(points[0].astype(np.float64) if len(faces) else np.full(points.shape[1:], np.nan))
    return np.array(found)


def _eyes(points: F64) -> F64:
    """Points of both eyes (T, 2, 2)."""
    pair = [33, 263] if points.shape[1] > 5 else [0, 1]
    eyes: F64 = points[:, pair]
    return eyes


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
            [new for row in _rows(film, ref, DETECTIONS) for new in change(row)],
        )
        for i, ref in enumerate(film.detections)
    ]


def gap_starts(count: int, frames: int, rng: np.random.Generator) -> list[int]:
    """Random places of gaps: at least as far from each other and from both ends as they are long."""
    slack = frames - _GAP - count * 2 * _GAP
    offsets = np.sort(rng.integers(0, slack + 1, count))
    return [int(_GAP + offset + i * 2 * _GAP) for i, offset in enumerate(offsets)]


def gap_row(judge: Judge, default: Made, seed: int = 6) -> dict[str, Any]:
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


def lag(judge: Judge, made: Made) -> float | None:
    """Frames by which the mouth's opening comes after the plate's; None without a mesh."""
    there = ~np.isnan(made.points + judge.points).any((1, 2))
    if not is_mesh(made.points[0]):
        return None
    ours, plates = ([openness(p)[1] for p in points[there]] for points in (made.points, judge.points))
    ours, plates = (np.diff(series) - np.diff(series).mean() for series in (ours, plates))
    reach = range(-3, 4)
    fits = [float(np.roll(plates, shift)[3:-3] @ ours[3:-3]) for shift in reach]
    best = int(np.argmax(fits))
    if best in (0, len(fits) - 1):
        return float(reach[best])
    before, here, after = fits[best - 1 : best + 2]
    return reach[best] + 0.5 * (before - after) / (before - 2 * here + after)


def figures(judge: Judge, made: Made, masks: F32) -> dict[str, float]:
    """What is measured of one video."""
    warped = warping_errors(made.pictures[:_FLOWS], judge.plate[:_FLOWS], masks[:_FLOWS])
    some = slice(None, None, _EVERY)
    triples = list(zip(made.pictures[some], judge.plate[some], made.weights[some], strict=True))
    return {
        "jitter": judge.jitter(made),
        "flicker": flicker(made.pictures, judge.plate, masks),
        "warping": warped[0] / warped[1],
        "sharpness": float(np.mean([sharpness(p, m) for p, m in zip(made.pictures, masks, strict=True)])),
        "seam": float(np.mean([seam_ratio(*triple) for triple in triples])),
        "leak": max(background_leak(*triple) for triple in triples),
        "nme": float(np.nanmean(judge.nme(made))),
        "lost": int(np.isnan(made.points).any((1, 2)).sum()),
    }


def judged(film: Footage) -> dict[str, Any]:
    """All rows of the table for one pair."""
    judge = Judge(film)
    default = judge.run(film.detections, TrackSettings(), SmoothSettings())
    ideal = judge.ideal()
    videos = {
        "none": judge.run(film.detections, _RAW, _STILL),
        "tracks only": judge.run(film.detections, TrackSettings(), _STILL),
        "default": default,
        "ideal": ideal,
        "disturbed": judge.run(disturbed(film), TrackSettings(), SmoothSettings()),
    }
    table = {name: figures(judge, made, ideal.weights) for name, made in videos.items()}
    for name, row in table.items():
        print(json.dumps({"video": name, **{k: round(v, 5) for k, v in row.items()}}), flush=True)
    return ratios(table) | {"lag_frames": lag(judge, default), "gaps": gap_row(judge, default)}


def ratios(table: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The contract's ratios, from the figures of all videos."""
    none, default, noise = table["none"], table["default"], table["ideal"]

    def against(name: str, made: dict[str, float], other: dict[str, float]) -> float | None:
        beneath = without_noise(other[name], noise[name])
        return round(without_noise(made[name], noise[name]) / beneath, 3) if beneath else None

    return {
        "jitter": against("jitter", default, none),
        "jitter_with_noise": round(default["jitter"] / none["jitter"], 3),
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


def main() -> None:
    """Print one JSON object a video of each pair, then its ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", default=["101-202", "303-404"])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--learned", type=int, default=180, help="frames of each actor")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--workspace", type=Path, default=Path("build/steadiness"))
    options = parser.parse_args()
    cap_threads(1)
    print(json.dumps({"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}))
    for text in options.pairs:
        began = time.process_time()
        pair = tuple(int(part) for part in text.split("-"))
        film = footage(options.workspace, pair, frames=options.frames, learned=options.learned, steps=options.steps)
        row = {"pair": text, **judged(film), "limits": LIMITS | {"sharpness_at_least": LEAST_SHARPNESS}}
        print(json.dumps(row | {"cpu_seconds": round(time.process_time() - began)}), flush=True)


if __name__ == "__main__":
    main()
