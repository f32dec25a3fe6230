"""videos -> facesets: each video is planned, decoded, searched, tracked and aligned once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prefect.futures import PrefectFuture

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.errors import SettingsError
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.decode import VideoPlan, video_ref
from faceswap_core.trust.consent import Grant
from faceswap_core.types import FileRef, ManifestRef
from flows.gather import gather
from tasks import progress
from tasks.faceset import align_landmarks, decode_frames, detect_faces, part_name, plan_video, track_faces


@dataclass(frozen=True)
class Faceset:
    """What is known of one video."""

    video: FileRef
    """The source."""
    frames: list[ManifestRef]
    """FRAMES of each chunk."""
    tracks: list[ManifestRef]
    """TRACKS of each chunk."""
    aligned: list[AlignedChunk]
    """ALIGNED and MASKS of each chunk."""

    @property
    def faces(self) -> int:
        """Number of aligned faces."""
        return sum(chunk["aligned"]["rows"] for chunk in self.aligned)


@dataclass
class _Work:
    """One video on its way."""

    video: FileRef
    subject: str
    plan: VideoPlan
    decoding: list[PrefectFuture[ManifestRef]] = field(default_factory=list)
    detecting: list[PrefectFuture[ManifestRef]] = field(default_factory=list)
    aligning: list[PrefectFuture[AlignedChunk]] = field(default_factory=list)
    frames: list[ManifestRef] = field(default_factory=list)
    tracks: list[ManifestRef] = field(default_factory=list)


def build_facesets(job: JobSettings, wanted: Mapping[Path, str], consents: Mapping[str, Grant]) -> dict[Path, Faceset]:
    """Analyse videos, each with the name of the subject that it shows; chunks of different videos overlap."""
    works = _planned(job, wanted)
    for work in works:
        _submit_decoding(job, work)
    for work in works:
        _submit_detection(job, work)
    for work in works:
        _track(job, work)
        _submit_alignment(job, work, {work.subject: consents[work.subject]})
    return {path: _collected(work) for path, work in zip(wanted, works, strict=True)}


def _planned(job: JobSettings, wanted: Mapping[Path, str]) -> list[_Work]:
    videos = [video_ref(path) for path in wanted]
    plans = gather([plan_video.submit(str(job.workspace), video, job.decode) for video in videos])
    for plan in plans:
        for stage in (layout.FRAMES, layout.DETECTIONS, layout.TRACKS, layout.ALIGNED):
            progress.expect(stage, plan["rows"])
    return [_Work(v, subject, p) for v, subject, p in zip(videos, wanted.values(), plans, strict=True)]


def _submit_decoding(job: JobSettings, work: _Work) -> None:
    for i in range(work.plan["chunks"]):
        work.decoding.append(decode_frames.submit(str(job.workspace), work.video, work.plan, i, job.decode))


def _submit_detection(job: JobSettings, work: _Work) -> None:
    truth = exact_truth(work.video) if job.detect.backend == "truth" else None
    for i, frames in enumerate(work.decoding):
        arguments = (str(job.workspace), work.video, i, frames, job.detect, truth)
        work.detecting.append(detect_faces.submit(*arguments, return_state=False))


def exact_truth(video: FileRef) -> ManifestRef | None:
    """TRUTH of a rendered clip, if the file ``<video>.truth.json`` beside it names one.

    Raises:
        SettingsError: that file is no reference.
    """
    sidecar = Path(video["path"] + ".truth.json")
    if not sidecar.is_file():
        return None
    try:
        given = json.loads(sidecar.read_text())
        return ManifestRef(path=given["path"], sha256=given["sha256"], rows=given["rows"], schema=given["schema"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise SettingsError(f"{sidecar} names no TRUTH manifest ({error}): remove it or render anew") from error


def _track(job: JobSettings, work: _Work) -> None:
    sizes = [0] * work.plan["chunks"]

    def decoded(i: int, frames: ManifestRef) -> None:
        sizes[i] = frames["rows"]
        progress.finished(layout.FRAMES, part_name(work.video, i), sizes[i])

    work.frames = gather(work.decoding, decoded)
    found = gather(
        work.detecting,
        lambda i, _: progress.finished(layout.DETECTIONS, part_name(work.video, i), sizes[i]),
    )
    tracking = track_faces.submit(str(job.workspace), work.frames, found, work.subject, job.track)
    (work.tracks,) = gather(
        [tracking],
        lambda _i, _r: progress.finished(layout.TRACKS, part_name(work.video, 0), work.plan["rows"]),
    )


def _submit_alignment(job: JobSettings, work: _Work, consents: dict[str, Grant]) -> None:
    for i, (frames, tracks) in enumerate(zip(work.frames, work.tracks, strict=True)):
        arguments = (str(job.workspace), work.video, i, frames, tracks, job.align, consents)
        work.aligning.append(align_landmarks.submit(*arguments))


def _collected(work: _Work) -> Faceset:
    def aligned(i: int, _: AlignedChunk) -> None:
        progress.finished(layout.ALIGNED, part_name(work.video, i), work.frames[i]["rows"])

    return Faceset(work.video, work.frames, work.tracks, gather(work.aligning, aligned))


def chunks_of(facesets: Mapping[Path, Faceset], videos: Sequence[Path]) -> list[AlignedChunk]:
    """Aligned chunks of several videos, one video after the other."""
    return [chunk for video in videos for chunk in facesets[video].aligned]
