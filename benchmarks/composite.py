"""What one face of a 1080p frame costs between network and encoder, in CPU time of one thread.

Counted are the patch's coding (PNG, as it is stored), the smoothing with its optical flow and statistics, and pasting
into the frame's own YUV; neither decoding, network nor encoder. Beside it stands the same coding as raw samples under
zstd. Times are CPU seconds, which load on the machine inflates: its average stands beside them.

    python -m benchmarks.composite [--frames N] [--face PX] [--resolution PX]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from av.video.frame import VideoFrame

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, BlendSettings, SmoothSettings
from faceswap_core.schemas import SMOOTHED, SWAPPED
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.paste import paste_all
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.storage import Workspace

LIMIT_MS = 15.0


def moving_faces(count: int, resolution: int, face: float) -> list[dict[str, Any]]:
    """Images of rows of SWAPPED: a soft texture that glides through a 1080p frame, drawn a little noisy."""
    rng = np.random.default_rng(0)
    side = 2 * resolution
    texture = cv2.GaussianBlur(rng.random((side, side, 3)).astype(np.float32), (0, 0), resolution / 20)
    texture = np.clip((texture - texture.mean()) / texture.std() * 40 + 128, 0, 255)
    alpha = np.zeros((resolution, resolution), np.uint8)
    cv2.circle(alpha, (resolution // 2, resolution // 2), int(0.42 * resolution), (255,), -1)
    rows = []
    for frame in range(count):
        shift = np.array([[1, 0, -20 + 0.7 * frame % 9], [0, 1, -15.0]])
        view = cv2.warpAffine(texture, shift, (resolution, resolution)).astype(np.uint8)
        drawn = np.clip(view + rng.normal(0, 2, view.shape), 0, 255).astype(np.uint8)
        scale = resolution / face
        rows.append(
            {
                "frame_index": frame,
                "face_index": 0,
                "track_id": 0,
                "shot": 0,
                "patch": np.dstack([drawn, alpha]),
                "view": view,
                "matrix": [scale, 0, -scale * (700 + frame), 0, scale, -scale * 300],
            }
        )
    return rows


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """CPU milliseconds of one of ``count`` pieces of work."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / count * 1e3


def raw_bytes(rows: list[dict[str, Any]]) -> float:
    """Bytes of a face's patch and view as raw samples under zstd."""
    codec = pa.Codec("zstd")
    sizes = [len(codec.compress(row[name].tobytes(), asbytes=True)) for row in rows for name in ("patch", "view")]
    return sum(sizes) / len(rows)


def main() -> None:
    """Print one JSON object a figure, and the sum beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--face", type=int, default=400, help="side of the patch in the frame, px")
    parser.add_argument("--resolution", type=int, default=64, help="side of the patch, px")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    count, images = options.frames, moving_faces(options.frames, options.resolution, options.face)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    print(json.dumps(vars(options) | machine), flush=True)
    packed: list[dict[str, Any]] = []
    figures = {
        "swap: patch and view coded": cpu_ms(
            lambda: packed.extend(r | {"patch": pack(r["patch"]), "view": pack(r["view"])} for r in images), count
        )
    }
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        swapped = manifest.publish(workspace, "bench", "swapped", SWAPPED, packed)
        smooth, align = SmoothSettings(), AlignSettings()
        made: list[Any] = []
        figures["smooth"] = cpu_ms(
            lambda: made.append(smooth_frames(workspace, 0, swapped, None, [], [], align, smooth)), count
        )
        rows = list(manifest.stream(workspace, made[0], SMOOTHED))
    grey = np.random.default_rng(1).integers(60, 180, (1080, 1920, 3), np.uint8)
    plate = VideoFrame.from_ndarray(cv2.GaussianBlur(grey, (0, 0), 4), "rgb24").reformat(format="yuv420p")

    def paste() -> None:
        for row in rows:
            assert paste_all(plate, [row], False, BlendSettings(), ("no_face", ""))[0] == "swapped"

    figures["composite"] = cpu_ms(paste, count)
    coded = {
        "png_bytes": sum(len(r[name]["bytes"]) for r in packed for name in ("patch", "view")) / count,
        "png_read_ms": cpu_ms(lambda: [unpack(r[name]) for r in packed for name in ("patch", "view")], count),
        "raw_zstd_bytes": raw_bytes(images),
        "raw_zstd_ms": cpu_ms(lambda: raw_bytes(images), count),
    }
    for name, value in figures.items():
        print(json.dumps({"stage": name, "metric": "cpu per face-frame", "value": round(value, 2), "unit": "ms"}))
    print(json.dumps({"coding": {name: round(value, 2) for name, value in coded.items()}}))
    total = sum(figures.values())
    print(json.dumps({"total_ms": round(total, 2), "limit_ms": LIMIT_MS, "holds": total <= LIMIT_MS}))


if __name__ == "__main__":
    main()
