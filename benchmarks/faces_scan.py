"""Faces of real clips: how many are found and missed, how steady they are, and what each frame costs.

    python -m benchmarks.faces_scan FOLDER [--faces PATTERN=N ...] [--backend NAME ...] [--set KEY=VALUE ...]

Every video of the folder goes through the stages of `faceswap faces scan`. Where a pattern (``*_noface*=0``) tells how
many faces each frame of a clip shows, ``found`` is the share of frames with so many, and faces beyond them are false.
The last columns hold the stage that decodes and detects against its parts measured alone: decoding without a look at
the frames, and the detector.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from faceswap_core import manifest
from faceswap_core.config_scan import ScanSettings
from faceswap_core.faces.detectors import installed
from faceswap_core.jobfile import scan_settings
from faceswap_core.schemas import TRACKS
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces
from faceswap_core.stages.scan import scan_figures
from faceswap_core.stages.track import track_faces
from faceswap_core.storage import Workspace
from faceswap_core.video.reader import decode_linear

SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
COLUMNS = ("clip", "backend", "frames", "expected", "found", "false", "faces_per_frame", "tracks")
STEADINESS = ("jitter_before", "jitter_after")
COST = ("ms_per_frame", "decode_ms", "together_over_parts")


class Scanned(NamedTuple):
    """What the stages made of one clip."""

    figures: dict[str, Any]
    """As `faceswap faces scan` prints them."""
    faces: list[int]
    """Faces that were found in each frame and kept as parts of tracks."""
    detect_seconds: float
    """Processor time of the stage that decodes and detects."""


def scan(clip: Path, settings: ScanSettings) -> Scanned:
    """Decode, detect and track a clip."""
    with tempfile.TemporaryDirectory() as folder:
        store, source = Workspace(Path(folder)), video_ref(clip)
        plan = plan_video(store, source, settings.decode)
        frames = [decode_frames(store, source, plan, i, settings.decode) for i in range(plan["chunks"])]
        began = time.thread_time()
        found = [detect_faces(store, source, ref, settings.detect) for ref in frames]
        seconds = time.thread_time() - began
        tracks = track_faces(store, frames, found, "face", settings.track)
        rows = [row for ref in tracks for row in manifest.stream(store, ref, TRACKS, ["frame_index", "interpolated"])]
        counts = Counter(row["frame_index"] for row in rows if not row["interpolated"])
        figures = scan_figures(store, frames, found, tracks)
    return Scanned(figures, [counts[n] for n in range(figures["frames"])], seconds)


def decode_alone(clip: Path) -> tuple[float, int]:
    """Processor seconds of decoding a whole clip on one thread, and its frames."""
    began = time.thread_time()
    frames = sum(1 for _ in decode_linear(clip))
    return time.thread_time() - began, frames


def measured(clip: Path, settings: ScanSettings, expected: int | None) -> dict[str, Any]:
    """One row of the table."""
    figures, faces, together = scan(clip, settings)
    decode_seconds, frames = decode_alone(clip)
    known = expected is not None
    return {
        **figures,
        "clip": clip.name,
        "expected": expected,
        "found": sum(count >= max(1, expected or 1) for count in faces) / len(faces),
        "false": sum(max(0, count - (expected or 0)) for count in faces) if known else None,
        "decode_ms": 1000 * decode_seconds / frames,
        "together_over_parts": together / (decode_seconds + figures["ms_per_frame"] * len(faces) / 1000),
    }


def cell(name: str, value: Any) -> str:
    """A value as it stands in the table; jitter in percent of the eyes' distance."""
    if value is None:
        return "-"
    if name in STEADINESS:
        return f"{100 * value:.3f} %"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def expectation(clip: Path, patterns: list[str]) -> int | None:
    """Faces in each frame of a clip, None where no pattern names it."""
    pairs = (pattern.rsplit("=", 1) for pattern in patterns)
    return next((int(count) for pattern, count in pairs if fnmatch(clip.name, pattern)), None)


def main() -> None:
    """Print the machine, then the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", nargs="*", default=[], metavar="PATTERN=N")
    parser.add_argument("--backend", nargs="+", default=["builtin"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    print(json.dumps(machine), flush=True)
    columns = (*COLUMNS, *STEADINESS, *COST)
    print("| " + " | ".join(columns) + " |\n|" + "--|" * len(columns), flush=True)
    for clip in sorted(path for path in options.folder.iterdir() if path.suffix.lower() in SUFFIXES):
        for backend in options.backend:
            settings = scan_settings(clip, backend, None, options.set)
            settings = settings.model_copy(update={"detect": installed(settings.detect)})
            row = measured(clip, settings, expectation(clip, options.faces))
            print("| " + " | ".join(cell(name, row[name]) for name in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
