"""videos -> facesets: each video is planned, decoded, searched, tracked and aligned once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prefect.futures import PrefectFuture

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.config_track import Choice
from faceswap_core.errors import SettingsError
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.decode import VideoPlan, video_ref
from faceswap_core.stages.detect import Detected
from faceswap_core.stages.faceset import record_faceset
from faceswap_core.stages.import_images import image_refs
from faceswap_core.stages.track import undecided
from faceswap_core.storage import Workspace, file_ref
from faceswap_core.trust.consent import Grant
from faceswap_core.types import FileRef, ManifestRef
from flows.casting import Question, answer, choice_of, part_of, track_ids
from flows.gather import gather
from flows.record import Run
from tasks import progress
from tasks.faceset import (
    align_landmarks,
    decode_frames,
    detect_faces,
    draw_contact_sheet,
    embed_reference,
    import_aligned,
    make_masks,
    part_name,
    plan_video,
    track_faces,
)


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
    consents: dict[str, Grant]
    decoding: list[PrefectFuture[ManifestRef]] = field(default_factory=list)
    detecting: list[PrefectFuture[Detected]] = field(default_factory=list)
    aligning: list[PrefectFuture[ManifestRef]] = field(default_factory=list)
    masking: list[PrefectFuture[ManifestRef]] = field(default_factory=list)
    frames: list[ManifestRef] = field(default_factory=list)
    found: list[Detected] = field(default_factory=list)
    tracks: list[ManifestRef] = field(default_factory=list)


def build_facesets(
    job: JobSettings, wanted: Mapping[Path, str], run: Run, consents: Mapping[str, Grant]
) -> dict[Path, Faceset]:
    """Analyse videos, each with the name of the subject that it shows; chunks of different videos overlap."""
    works = _planned(job, wanted, consents)
    for work in works:
        _submit_decoding(job, work)
    for work in works:
        _submit_detection(job, work)
    pictures = _pictures(job, wanted.values())
    questions: dict[Path, Question] = {}
    for path, work in zip(wanted, works, strict=True):
        _find(work)
        why = _track(job, work, choice_of(job, path, work.subject, pictures.get(work.subject, ())))
        if why:
            questions[path] = _ask(job, path, work, why)
        else:
            _submit_alignment(job, work)
    _answered(job, run, dict(zip(wanted, works, strict=True)), questions)
    return {path: _collected(work) for path, work in zip(wanted, works, strict=True)}


def _answered(job: JobSettings, run: Run, works: Mapping[Path, _Work], questions: Mapping[Path, Question]) -> None:
    """Have the open questions answered and go on with those videos; the others' alignment is kept in any case."""
    if not questions:
        return
    gather([future for work in works.values() for future in work.aligning])
    for path, choice in zip(questions, answer(job, run, list(questions.values())), strict=True):
        _track(job, works[path], choice)
        _submit_alignment(job, works[path])


def _planned(job: JobSettings, wanted: Mapping[Path, str], consents: Mapping[str, Grant]) -> list[_Work]:
    videos = [video_ref(path) for path in wanted]
    plans = gather([plan_video.submit(str(job.workspace), video, job.decode) for video in videos])
    for plan in plans:
        for stage in (layout.FRAMES, layout.DETECTIONS, layout.TRACKS, layout.ALIGNED):
            progress.expect(stage, plan["rows"])
    parts = zip(videos, wanted.values(), plans, strict=True)
    return [_Work(video, subject, plan, {subject: consents[subject]}) for video, subject, plan in parts]


def _submit_decoding(job: JobSettings, work: _Work) -> None:
    for i in range(work.plan["chunks"]):
        work.decoding.append(decode_frames.submit(str(job.workspace), work.video, work.plan, i, job.decode))


def _submit_detection(job: JobSettings, work: _Work) -> None:
    truth = exact_truth(work.video) if job.detect.backend == "truth" else None
    for i, frames in enumerate(work.decoding):
        arguments = (str(job.workspace), work.video, i, frames, job.detect, truth, job.runtime)
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


def _pictures(job: JobSettings, subjects: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """The embedding of each subject that has a reference picture."""
    paths = {name: path for name in sorted(set(subjects)) if (path := job.subjects[name].reference)}
    embedding = [
        embed_reference.submit(str(job.workspace), name, file_ref(path), job.detect, job.runtime)
        for name, path in paths.items()
    ]
    return {name: tuple(values) for name, values in zip(paths, gather(embedding), strict=True)}


def _find(work: _Work) -> None:
    """Wait for the frames and faces of a video."""
    sizes = [0] * work.plan["chunks"]

    def decoded(i: int, frames: ManifestRef) -> None:
        sizes[i] = frames["rows"]
        progress.finished(layout.FRAMES, part_name(work.video, i), sizes[i])

    work.frames = gather(work.decoding, decoded)
    work.found = gather(
        work.detecting,
        lambda i, _: progress.finished(layout.DETECTIONS, part_name(work.video, i), sizes[i]),
    )


def _track(job: JobSettings, work: _Work, choice: Choice) -> str:
    """Follow the faces of a video; returns why its subject could not be told, empty where it was."""
    tracking = track_faces.submit(str(job.workspace), work.frames, work.found, work.subject, job.track, choice)
    (work.tracks,) = gather(
        [tracking],
        lambda _i, _r: progress.finished(layout.TRACKS, part_name(work.video, 0), work.plan["rows"]),
    )
    return undecided(Workspace(job.workspace), work.tracks)


def _ask(job: JobSettings, path: Path, work: _Work, why: str) -> Question:
    """Have the tracks drawn and ask whose they are."""
    part = part_of(job, path, work.subject)
    (sheet,) = gather([draw_contact_sheet.submit(str(job.workspace), part, work.video, work.frames, work.tracks)])
    return Question(part, path, work.subject, why, track_ids(job, work.tracks), sheet)


def _submit_alignment(job: JobSettings, work: _Work) -> None:
    workspace = str(job.workspace)
    for i, (frames, tracks) in enumerate(zip(work.frames, work.tracks, strict=True)):
        arguments = (workspace, work.video, i, frames, tracks, job.align, work.consents)
        work.aligning.append(align_landmarks.submit(*arguments))
    for i, aligning in enumerate(work.aligning):
        work.masking.append(make_masks.submit(workspace, i, aligning, job.align, job.masks, return_state=False))


def _collected(work: _Work) -> Faceset:
    def told(i: int, _: ManifestRef) -> None:
        progress.finished(layout.ALIGNED, part_name(work.video, i), work.frames[i]["rows"])

    return Faceset(work.video, work.frames, work.tracks, _chunks(gather(work.aligning, told), gather(work.masking)))


def _chunks(aligned: Sequence[ManifestRef], masks: Sequence[ManifestRef]) -> list[AlignedChunk]:
    return [AlignedChunk(aligned=a, masks=m) for a, m in zip(aligned, masks, strict=True)]


def import_folders(job: JobSettings, wanted: Mapping[Path, str]) -> dict[Path, list[AlignedChunk]]:
    """Take over folders of aligned pictures, each with the name of its subject."""
    workspace = str(job.workspace)
    pictures = [image_refs(folder) for folder in wanted]
    for refs in pictures:
        progress.expect(layout.IMPORTED, len(refs), "images")
    importing = [
        import_aligned.submit(workspace, refs, subject, job.align)
        for refs, subject in zip(pictures, wanted.values(), strict=True)
    ]
    names = list(wanted.values())
    aligned = gather(importing, lambda i, ref: progress.finished(layout.IMPORTED, names[i], ref["rows"], "images"))
    masks = gather([make_masks.submit(workspace, 0, ref, job.align, job.masks) for ref in aligned])
    return {folder: [chunk] for folder, chunk in zip(wanted, _chunks(aligned, masks), strict=True)}


def chunks_of(aligned: Mapping[Path, list[AlignedChunk]], sources: Sequence[Path]) -> list[AlignedChunk]:
    """Aligned chunks of several sources, one after the other."""
    return [chunk for source in sources for chunk in aligned[source]]


def record_sources(job: JobSettings, aligned: Mapping[Path, list[AlignedChunk]]) -> None:
    """Write down which faces each person is trained on, so that `faceswap faces` can choose from them."""
    sides = {
        name: {str(source): aligned[source] for source in job.training_sources(name)}
        for name in (job.plate.subject, job.swap.to)
    }
    record_faceset(Workspace(job.workspace), sides)
