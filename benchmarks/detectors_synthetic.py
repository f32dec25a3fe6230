"""Detectors against exact landmarks: rendered actors of every skin tone, turned from side to side.

Each frame is searched on its own, as the first of a shot. Identities are drawn by
``numpy.random.default_rng(SEED)``; the colour of the skin is then set to each of six tones.

    python -m benchmarks.detectors_synthetic [--backend NAME ...] [--set KEY=VALUE ...] [--identities N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors import DETECTORS
from faceswap_core.faces.detectors.record import Detector
from faceswap_core.stages.detect import five_of_68
from faceswap_core.synth import Pose, identity, render
from faceswap_core.types import F32, F64, U8

SEED = 20261121
TONES = np.linspace(0, 1, 6)
YAWS = (-0.6, -0.3, 0.0, 0.3, 0.6)
"""Radians."""
MIN_FOUND = 0.98


@dataclass(frozen=True)
class Shown:
    """One rendered frame and what it shows."""

    rgb: U8
    landmarks: F64
    tone: int
    yaw: float


def rendered(identities: int) -> Iterator[Shown]:
    """Every identity in every tone at every yaw."""
    seeds = np.random.default_rng(SEED).choice(1_000_000, size=identities, replace=False)
    for seed in seeds.tolist():
        person = identity(seed)
        for tone, skin in enumerate(TONES):
            toned = replace(person, outer=replace(person.outer, skin=float(skin)))
            for yaw in YAWS:
                frame = render(toned, pose=Pose(yaw=yaw), face_px=150, background_seed=seed, noise_seed=seed)
                yield Shown(frame.rgb, frame.landmarks, tone, yaw)


def errors(detector: Detector, shown: Shown) -> tuple[float | None, int]:
    """NME of the face that is there (None: not found), and faces found that are not there.

    The NME is the mean distance of the five points to the exact ones, by that of the outer corners of the eyes in a
    face that looks at the camera (the projected one shrinks with the yaw, and its cosine is put back).
    """
    faces = detector.detect(shown.rgb)
    exact = five_of_68(shown.landmarks.astype(np.float32))
    middle = exact.mean(0)
    hit = [i for i, box in enumerate(faces.boxes_xyxy) if (box[:2] < middle).all() and (middle < box[2:]).all()]
    if not hit:
        return None, len(faces)
    eyes = float(np.linalg.norm(shown.landmarks[45] - shown.landmarks[36])) / np.cos(shown.yaw)
    return float(_distances(faces.points5[hit[0]], exact).mean()) / eyes, len(faces) - 1


def _distances(points: F32, exact: F32) -> F32:
    apart: F32 = np.linalg.norm(points - exact, axis=-1)
    return apart


def main() -> None:
    """Print one row a backend, and one for each of its tones and yaws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", nargs="+", default=["builtin", "mtcnn"], choices=sorted(DETECTORS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of [detect]")
    parser.add_argument("--identities", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    given = dict(item.split("=", 1) for item in options.set)
    detectors = {
        b: DETECTORS[b](DetectSettings.model_validate({**given, "backend": b}), "cpu") for b in options.backend
    }
    print(json.dumps({"seed": SEED, "machine": platform.machine(), "load": os.getloadavg()[0]}), flush=True)
    rows = [
        (name, shown.tone, shown.yaw, *errors(detector, shown))
        for shown in rendered(options.identities)
        for name, detector in detectors.items()
    ]
    for name in detectors:
        own = [row[1:] for row in rows if row[0] == name]
        show(name, "all", own)
        for tone in range(len(TONES)):
            show(name, f"skin {tone + 1}", [row for row in own if row[0] == tone])
        for yaw in YAWS:
            show(name, f"yaw {yaw:+.1f}", [row for row in own if row[1] == yaw])


def show(name: str, what: str, rows: list[tuple[int, float, float | None, int]]) -> None:
    """Print one row of figures as JSON."""
    nme = [row[2] for row in rows if row[2] is not None]
    found = len(nme) / len(rows)
    line = {"backend": name, "of": what, "frames": len(rows), "found": round(found, 4), "holds": found >= MIN_FOUND}
    line["nme"] = round(float(np.mean(nme)), 4) if nme else None
    line["nme_worst"] = round(float(np.max(nme)), 4) if nme else None
    print(json.dumps(line | {"false": sum(row[3] for row in rows)}), flush=True)


if __name__ == "__main__":
    main()
