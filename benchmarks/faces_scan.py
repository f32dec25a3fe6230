"""Faces of real clips: how many are found and missed, how steady they are, and what each frame costs.

    python -m benchmarks.faces_scan FOLDER [--faces PATTERN=N ...] [--backend NAME ...] [--set KEY=VALUE ...]

Every video of the folder goes through `faceswap faces scan`. Where a pattern (``*_noface*=0``) tells how many faces
each frame of a clip shows, faces beyond them are counted as false. The last columns hold the stage that decodes and
detects against its parts measured alone: decoding without a look at the frames, and the detector.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from faceswap_core.video.reader import decode_linear

SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
COLUMNS = ("clip", "backend", "frames", "found", "false", "faces_per_frame", "tracks")
STEADINESS = ("jitter_before", "jitter_after")
COST = ("ms_per_frame", "decode_ms", "together_over_parts")


def scan(clip: Path, backend: str, overrides: list[str]) -> dict[str, Any]:
    """The last line of one scan, and its report."""
    with tempfile.TemporaryDirectory() as workspace:
        command = [sys.executable, "-c", "from flows.cli import main; main()", "faces", "scan", str(clip)]
        options = ["--backend", backend, "--workspace", workspace, "--json"]
        settings = [word for override in overrides for word in ("--set", override)]
        done = subprocess.run([*command, *options, *settings], stdout=subprocess.PIPE, text=True, check=True)
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        last["content"] = json.loads(Path(last["report"]).read_text())
    return last


def decode_alone(clip: Path) -> tuple[float, int]:
    """Processor seconds of decoding a whole clip on one thread, and its frames."""
    began = time.thread_time()
    frames = sum(1 for _ in decode_linear(clip))
    return time.thread_time() - began, frames


def measured(clip: Path, backend: str, overrides: list[str], expected: int | None) -> dict[str, Any]:
    """One row of the table."""
    last = scan(clip, backend, overrides)
    decode_seconds, frames = decode_alone(clip)
    together = last["content"]["stages"]["detect-faces"]["cpu_seconds"]
    faces = last["faces_per_frame"] * last["frames"]
    return {
        **{name: last[name] for name in ("frames", "faces_per_frame", "tracks", *STEADINESS, "ms_per_frame")},
        "clip": clip.name,
        "backend": last["backend"],
        "found": last["found"] / last["frames"],
        "false": None if expected is None else max(0, round(faces - expected * last["frames"])),
        "decode_ms": 1000 * decode_seconds / frames,
        "together_over_parts": together / (decode_seconds + last["ms_per_frame"] * last["frames"] / 1000),
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
            row = measured(clip, backend, options.set, expectation(clip, options.faces))
            print("| " + " | ".join(cell(name, row[name]) for name in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
