"""Stages that do nothing, so that what is left of a job is its orchestration (used by benchmarks.orchestration)."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prefect import flow

from faceswap_core.config import JobSettings
from faceswap_core.jobfile import parse
from faceswap_core.stages import align, decode, detect, encode, masks, smooth, swap, track
from faceswap_core.stages.decode import VideoPlan, default_chunk_frames
from faceswap_core.stages.detect import Detected
from faceswap_core.storage import Workspace, file_ref
from faceswap_core.types import Json, ManifestRef
from flows.chunks import convert_chunks, segment_of
from flows.faceset import build_facesets
from flows.record import recorded
from tasks.options import job_runner
from tasks.tally import Tally, counting

POOLED_STAGES = 6
"""decode-frames, detect-faces, align-landmarks, make-masks, smooth-frames, reencode-chunk; swap-frames is called
directly and does not sleep, as its sleep would pass beside that of others."""


def job_of(folder: Path, workers: int) -> JobSettings:
    """A job whose video is a file of one byte."""
    video = folder / "plate.mp4"
    video.write_bytes(b"0")
    facts: Json = {
        "name": "empty",
        "workspace": str(folder / "ws"),
        "plate": {"video": str(video), "subject": "a"},
        "subjects": {"a": {"videos": []}, "b": {"videos": [str(video)]}},
        "swap": {"to": "b"},
        "output": {"video": str(folder / "out.mp4")},
        "runtime": {"workers": workers, "device": "cpu"},
    }
    return parse(JobSettings, facts, source="benchmark")


@flow(name="empty-swap", persist_result=False)
def empty_swap(job: JobSettings) -> Json:
    """The plate's way through all stages that work on chunks; gives the counts of its task runs."""
    tally = Tally()
    with recorded(job) as run, counting(tally), job_runner(str(job.workspace), job.runtime):
        consents: Any = {"a": {"record": "none"}}
        facesets = build_facesets(job, {job.plate.video: "a"}, run, consents)
        plate = facesets[job.plate.video]
        whole = segment_of(plate, range(len(plate.frames)), job.smooth)
        convert_chunks(job, whole, file_ref(job.plate.video))
        stages = tally.report()
        return {name: sum(stage[name] for stage in stages.values()) for name in ("computed", "cached", "seconds")}


@contextmanager
def emptied(frames: int, chunk_frames: int | None, seconds_per_chunk: float = 0.0) -> Iterator[int]:
    """Let the stages do nothing but publish a file of some bytes, or sleep first; gives the number of chunks."""
    length = chunk_frames or default_chunk_frames(frames)
    chunks = math.ceil(frames / length)

    def rows(i: int) -> int:
        return min(length, frames - i * length)

    def empty(stage: str, number: int, sleeps: bool = True) -> ManifestRef:
        if sleeps and seconds_per_chunk:
            time.sleep(seconds_per_chunk / POOLED_STAGES)
        return _published(root[0], stage, number, rows(number))

    root: list[Workspace] = []

    def plan(workspace: Workspace, *_: Any) -> VideoPlan:
        root[:] = [workspace]
        ref = empty("plan", 0, sleeps=False)
        return VideoPlan(path=ref["path"], sha256=ref["sha256"], rows=frames, schema=ref["schema"], chunks=chunks)

    def detected(_w: Any, _v: Any, given: ManifestRef, *_: Any) -> Detected:
        return Detected(**empty("detect", _number(given)), backend="none", cpu_seconds=0.0)

    with ExitStack() as stack:
        for module, name, function in (
            (decode, "plan_video", plan),
            (decode, "decode_frames", lambda _w, _v, _p, i, *_: empty("decode", i)),
            (detect, "detect_faces", detected),
            (track, "track_faces", lambda _w, given, *_: [empty("track", i, False) for i in range(len(given))]),
            (align, "align_landmarks", lambda _w, _v, given, *_: empty("align", _number(given))),
            (masks, "make_masks", lambda _w, i, *_: empty("masks", i)),
            (swap, "swap_frames", lambda _w, i, *_: empty("swap", i, False)),
            (smooth, "smooth_frames", lambda _w, i, *_: empty("smooth", i)),
            (encode, "reencode_chunk", lambda _w, _v, given, *_: empty("encode", _number(given))),
        ):
            stack.enter_context(patch.object(module, name, function))
        stack.enter_context(patch("flows.faceset.undecided", lambda *_: ""))
        yield chunks


def _published(workspace: Workspace, stage: str, number: int, rows: int) -> ManifestRef:
    data = f"{stage} {number} {rows}".encode()
    digest = hashlib.sha256(data).hexdigest()
    path = f"{stage}/{number:04d}-{digest[:12]}.txt"
    (workspace.root / stage).mkdir(parents=True, exist_ok=True)
    (workspace.root / path).write_bytes(data)
    return ManifestRef(path=path, sha256=digest, rows=rows, schema="empty/1")


def _number(ref: ManifestRef) -> int:
    return int(Path(ref["path"]).name[:4])
