"""What one face of a 1080p frame costs between network and encoder, in CPU time of one thread.

The real stages run: swap-frames (the network's own time taken off), smooth-frames with its optical flow and
statistics, and pasting into the frame's own YUV; coding of patches and reading and writing of manifests included.
Beside it stand the ways to code a patch. Times are CPU seconds, medians over repeats; load on the machine inflates
them, so its average stands beside them.

    python -m benchmarks.composite [--frames N] [--face PX] [--resolution PX] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from av.video.frame import VideoFrame
from torch.nn.modules import module

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, BlendSettings, RuntimeSettings, SmoothSettings, SwapTarget
from faceswap_core.models import MODELS, Build
from faceswap_core.models.checkpoint import save_weights
from faceswap_core.schemas import ALIGNED, MASKS, SMOOTHED, SWAPPED
from faceswap_core.stages.images import pack, png, unpack
from faceswap_core.stages.paste import paste_all
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.stages.swap import swap_frames
from faceswap_core.storage import Workspace, file_ref
from faceswap_core.threads import cap_threads
from faceswap_core.types import U8, FileRef, ManifestRef

LIMIT_MS = 15.0
_ALIGN = AlignSettings()
_NAMES = ("a", "b")


def moving_faces(count: int, face: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of ALIGNED and MASKS: a soft texture with grain that glides through a 1080p frame."""
    rng, size = np.random.default_rng(0), _ALIGN.size
    texture = cv2.GaussianBlur(rng.random((2 * size, 2 * size, 3)).astype(np.float32), (0, 0), size / 20)
    texture = np.clip((texture - texture.mean()) / texture.std() * 40 + 128, 0, 255)
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), int(0.42 * _ALIGN.coverage * size), (255,), -1)
    scale = _ALIGN.coverage * size / face
    for frame in range(count):
        shift = np.array([[1, 0, -size / 3 + 1.4 * frame % 18], [0, 1, -size / 4]])
        chip = cv2.warpAffine(texture, shift, (size, size)) + rng.normal(0, 2, (size, size, 3))
        key = {"frame_index": frame, "face_index": 0}
        matrix = [scale, 0, -scale * (700 + frame), 0, scale, -scale * 300]
        image = np.clip(chip, 0, 255).astype(np.uint8)
        yield key | {"track_id": 0, "shot": 0, "chip": pack(image), "matrix": matrix}, key | {"mask": pack(mask)}


def untrained(folder: Path, resolution: int) -> FileRef:
    """Weights of a narrow network that learned nothing."""
    torch.manual_seed(0)
    build = Build(resolution=resolution, width=4, latent=8)
    network = MODELS["original"](build)
    color = {"mean": [128.0] * 3, "scale": [1.0] * 3, "shift": [0.0] * 3}
    facts = {
        "model": "original",
        "build": asdict(build),
        "sides": _NAMES,
        "step": 1,
        "colors": dict.fromkeys(_NAMES, color),
    }
    facts |= {name: getattr(_ALIGN, name) for name in ("coverage", "eye_distance", "centre")}
    save_weights(folder / "weights.safetensors", network, facts)
    return file_ref(folder / "weights.safetensors")


def with_faces(workspace: Workspace, swapped: ManifestRef) -> ManifestRef:
    """SWAPPED with what a trained network would have drawn in place of an untrained one's noise: the view, an oval."""
    rng, rows = np.random.default_rng(1), []
    for row in manifest.stream(workspace, swapped, SWAPPED):
        view = unpack(row["view"])
        side = len(view)
        alpha = cv2.circle(np.zeros((side, side), np.uint8), (side // 2, side // 2), int(0.42 * side), (255,), -1)
        drawn = np.clip(view + rng.normal(0, 2, view.shape), 0, 255).astype(np.uint8)
        rows.append(row | {"patch": pack(np.dstack([drawn, alpha]))})
    return manifest.publish(workspace, "bench", "drawn", SWAPPED, rows)


@contextmanager
def network_time(spent: list[float]) -> Iterator[None]:
    """Append the CPU seconds that networks take."""
    began: list[float] = []

    def enters(*_: object) -> None:
        began.append(time.process_time())

    def leaves(*_: object) -> None:
        start = began.pop()
        if not began:
            spent.append(time.process_time() - start)

    hooks = [module.register_module_forward_pre_hook(enters), module.register_module_forward_hook(leaves)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def cpu_ms(work: Callable[[], object], count: int, repeats: int) -> float:
    """CPU milliseconds of one of ``count`` pieces of work without the networks' own, median over repeats."""
    found = []
    for _ in range(repeats + 1):  # the first warms up
        spent: list[float] = []
        started = time.process_time()
        with network_time(spent):
            work()
        found.append((time.process_time() - started - sum(spent)) / count * 1e3)
    return median(found[1:])


def codings(images: list[U8], repeats: int) -> dict[str, dict[str, float]]:
    """Bytes of one face's images on disk and milliseconds there and back, by the way they are coded."""
    zstd, count = pa.Codec("zstd", compression_level=1), len(images) / 2
    ways: dict[str, Callable[[U8], bytes]] = {
        "filtered PNG + zstd (used)": lambda image: bytes(pack(image)["bytes"]),
        "deflated PNG": png,
        "raw + zstd": lambda image: image.tobytes(),
    }
    found = {}
    for name, encode in ways.items():
        small = zstd.compress(b"".join(encode(image) for image in images), asbytes=True)
        read = bytes if name == "raw + zstd" else decoded
        spent = cpu_ms(partial(there_and_back, images, encode, read), 1, repeats) / count
        found[name] = {"bytes": round(len(small) / count), "ms": round(spent, 3)}
    return found


def there_and_back(images: list[U8], encode: Callable[[U8], bytes], read: Callable[[bytes], object]) -> None:
    """Code images, compress them as a page of a Parquet file is, and read them again."""
    zstd, coded = pa.Codec("zstd", compression_level=1), [encode(image) for image in images]
    page = b"".join(coded)
    zstd.decompress(zstd.compress(page, asbytes=True), len(page), asbytes=True)
    for one in coded:
        read(one)


def decoded(data: bytes) -> U8:
    """The picture of a PNG."""
    return unpack({"bytes": data})


def main() -> None:
    """Print one JSON object a figure, and the sum beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--face", type=int, default=400, help="side of the patch in the frame, px")
    parser.add_argument("--resolution", type=int, default=64, help="side of the patch, px")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cap_threads(1)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    print(json.dumps(vars(options) | machine), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        figures, codes = measured(Path(folder), **vars(options))
    for name, value in figures.items():
        print(json.dumps({"stage": name, "metric": "cpu per face-frame", "value": round(value, 2), "unit": "ms"}))
    print(json.dumps({"coding of patch and view, per face-frame": codes}))
    total = sum(figures.values())
    print(json.dumps({"total_ms": round(total, 2), "limit_ms": LIMIT_MS, "holds": total <= LIMIT_MS}))


def measured(folder: Path, frames: int, face: int, resolution: int, repeats: int) -> tuple[dict[str, float], Any]:
    """CPU milliseconds a face by stage, and the codings of its images."""
    workspace = Workspace(folder)
    rows, masks = zip(*moving_faces(frames, face), strict=True)
    aligned = manifest.publish(workspace, "bench", "aligned", ALIGNED, rows)
    covers = manifest.publish(workspace, "bench", "masks", MASKS, masks)
    weights = untrained(folder, resolution)
    runtime = RuntimeSettings(device="cpu", threads=1)

    def swap() -> ManifestRef:
        return swap_frames(workspace, 0, aligned, weights, _NAMES, _ALIGN, SwapTarget(to="b"), runtime)

    drawn = with_faces(workspace, swap())

    def smooth() -> ManifestRef:
        return smooth_frames(workspace, 0, drawn, covers, [], [], _ALIGN, SmoothSettings())

    smoothed = smooth()
    grey = np.random.default_rng(1).integers(60, 180, (1080, 1920, 3), np.uint8)
    plate = VideoFrame.from_ndarray(cv2.GaussianBlur(grey, (0, 0), 4).astype(np.uint8), "rgb24").reformat(
        format="yuv420p"
    )

    def paste() -> None:
        for row in manifest.stream(workspace, smoothed, SMOOTHED):
            assert paste_all(plate, [row], False, BlendSettings(), ("no_face", ""))[0] == "swapped"

    steps = {"swap without its network": swap, "smooth": smooth, "composite": paste}
    figures = {name: cpu_ms(work, frames, repeats) for name, work in steps.items()}
    images = [unpack(r[name]) for r in manifest.stream(workspace, drawn, SWAPPED) for name in ("patch", "view")]
    return figures, codings(images, repeats)


if __name__ == "__main__":
    main()
