"""faceset of the plate + weights -> the swapped, checked output; a chunk is encoded while later ones are swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect.futures import PrefectFuture

from faceswap_core import layout
from faceswap_core.config import JobSettings, SmoothSettings
from faceswap_core.stages import sign
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from flows.faceset import Faceset
from flows.gather import gather
from tasks import progress
from tasks.convert import (
    assemble_video,
    encode_stream,
    reencode_chunk,
    sign_video,
    smooth_frames,
    swap_frames,
    verify_video,
)
from tasks.handoff import deliver_folder, export_images, export_patches, sign_folder, verify_folder

LAST_STAGE = {"video": "reencode-chunk", "patches": layout.PATCHES, "image_sequence": layout.IMAGES}
"""The stage that works on single chunks last, by ``output.kind``."""


@dataclass(frozen=True)
class Converted:
    """The finished output and what is known of it."""

    chunks: list[ManifestRef]
    """CHUNKS or EXPORTED, with the state of every frame."""
    output: Path
    """The video or the folder."""
    encoding: Json | None
    """How its pictures were encoded; None for a folder of images."""
    checks: ManifestRef
    """REPORT of the verification."""
    statement: Json
    """What its provenance says."""
    smoothed: list[ManifestRef]
    """SMOOTHED of each chunk."""


def convert(job: JobSettings, gate: ConsentGate, plate: Faceset, weights: FileRef) -> Converted:
    """Swap, smooth, encode or export, put together and verify; consents are checked before the first and the last."""
    check_model(Workspace(job.workspace), weights, gate.check("the swap"))
    smoothed, chunks = finished_chunks(job, plate, weights)
    grants = gate.check("the export")
    statement = sign.statement_of(job, plate.video, weights, grants, allow_test=gate.allow_test)
    finish = _video if job.output.kind == "video" else _folder
    return finish(job, plate, chunks, statement, smoothed)


def _video(
    job: JobSettings, plate: Faceset, chunks: list[ManifestRef], statement: Json, smoothed: list[ManifestRef]
) -> Converted:
    workspace = str(job.workspace)
    draft = layout.assembled(job.output.path.name)
    assembling = assemble_video.submit(
        workspace, plate.video, plate.frames, chunks, draft, statement["settings_sha256"]
    )
    (assembled,) = gather([assembling])
    output = job.output.path.with_name(Path(assembled["video"]["path"]).name)  # with the suffix that was chosen
    signing = sign_video.submit(assembled["video"], plate.video, statement, job.provenance, str(output), workspace)
    (signed,) = gather([signing])
    for ref, to in ((signed["video"], output), (signed["sidecar"], sign.sidecar_of(output))):
        Workspace(workspace).bring(ref, to)
    checking = verify_video.submit(workspace, plate.video, plate.frames, signed["video"], assembled["not_carried"])
    return Converted(chunks, output, assembled["encoding"], gather([checking])[0], statement, smoothed)


def _folder(
    job: JobSettings, plate: Faceset, chunks: list[ManifestRef], statement: Json, smoothed: list[ManifestRef]
) -> Converted:
    workspace, output = str(job.workspace), job.output
    assert output.kind != "video"
    delivering = deliver_folder.submit(
        workspace, plate.video, plate.frames, chunks, output.kind, str(output.path), output.start_number
    )
    (delivered,) = gather([delivering])
    gather([sign_folder.submit(workspace, delivered, statement, job.provenance)])
    checking = verify_folder.submit(workspace, plate.video, plate.frames, delivered)
    return Converted(chunks, Path(delivered["folder"]), None, gather([checking])[0], statement, smoothed)


def finished_chunks(job: JobSettings, plate: Faceset, weights: FileRef) -> tuple[list[ManifestRef], list[ManifestRef]]:
    """SMOOTHED of each chunk, and what the last stage makes of it; one for all where an average rate is asked for."""
    at_once = job.output.kind == "video" and job.encode.bitrate is not None
    last = "encode-stream" if at_once else LAST_STAGE[job.output.kind]
    _announce(plate, last)
    halos = [halo(plate.frames, i, job.smooth) for i in range(len(plate.frames))]
    swapped: list[ManifestRef] = []
    smoothing: list[PrefectFuture[ManifestRef]] = []
    finishing: list[PrefectFuture[ManifestRef]] = []
    for i in range(len(plate.frames)):
        swapped.append(_swap(job, plate, i, weights))
        while len(smoothing) <= i and max((*halos[len(smoothing)][1], len(smoothing))) <= i:
            number = len(smoothing)
            smoothing.append(_smooth(job, plate, number, swapped, halos[number]))
            if not at_once:
                finishing.append(_finish(job, plate, number, smoothing[number]))
    smoothed = gather(smoothing, lambda i, _: progress.finished(layout.SMOOTHED, str(i), plate.frames[i]["rows"]))
    if at_once:
        return smoothed, gather([_encode_all(job, plate, smoothed)])
    return smoothed, gather(finishing, lambda i, _: progress.finished(last, str(i), plate.frames[i]["rows"]))


def _announce(plate: Faceset, last: str) -> None:
    progress.expect(layout.SWAPPED, plate.faces, "faces")
    for stage in (layout.SMOOTHED, last):
        progress.expect(stage, sum(frames["rows"] for frames in plate.frames))


def halo(frames: Sequence[ManifestRef], chunk_index: int, settings: SmoothSettings) -> tuple[list[int], list[int]]:
    """Numbers of the chunks that the filter of one chunk reaches into, before it and after it, in order."""
    reach = settings.radius if settings.strength else 0
    before = _until(reach, frames, range(chunk_index - 1, -1, -1))
    after = _until(reach, frames, range(chunk_index + 1, len(frames)))
    return before[::-1], after


def _until(reach: int, frames: Sequence[ManifestRef], candidates: range) -> list[int]:
    found: list[int] = []
    for number in candidates:
        if sum(frames[i]["rows"] for i in found) >= reach:
            break
        found.append(number)
    return found


def _swap(job: JobSettings, plate: Faceset, chunk_index: int, weights: FileRef) -> ManifestRef:
    aligned = plate.aligned[chunk_index]["aligned"]
    direction = (job.plate.subject, job.swap.to)
    swapped = swap_frames(
        str(job.workspace), chunk_index, aligned, weights, direction, job.align, job.swap, job.runtime
    )
    progress.finished(layout.SWAPPED, str(chunk_index), aligned["rows"], "faces")
    return swapped


def _smooth(
    job: JobSettings, plate: Faceset, chunk_index: int, swapped: Sequence[ManifestRef], around: tuple[list[int], ...]
) -> PrefectFuture[ManifestRef]:
    before, after = ([swapped[i] for i in numbers] for numbers in around)
    masks = plate.aligned[chunk_index]["masks"]
    return smooth_frames.submit(
        str(job.workspace), chunk_index, swapped[chunk_index], masks, before, after, job.align, job.smooth
    )


def _finish(
    job: JobSettings, plate: Faceset, chunk_index: int, smoothed: PrefectFuture[ManifestRef]
) -> PrefectFuture[ManifestRef]:
    """Submit what makes the output's part of one chunk."""
    workspace, frames = str(job.workspace), plate.frames[chunk_index]
    if job.output.kind == "patches":
        return export_patches.submit(workspace, chunk_index, frames, smoothed, job.blend, return_state=False)
    if job.output.kind == "image_sequence":
        return export_images.submit(
            workspace, plate.video, chunk_index, frames, smoothed, job.blend, job.output.format, return_state=False
        )
    return reencode_chunk.submit(
        workspace,
        plate.video,
        chunk_index,
        frames,
        smoothed,
        job.blend,
        job.encode,
        job.provenance.label,
        plate.frames[0],
        return_state=False,
    )


def _encode_all(job: JobSettings, plate: Faceset, smoothed: list[ManifestRef]) -> PrefectFuture[ManifestRef]:
    workspace, label = str(job.workspace), job.provenance.label
    return encode_stream.submit(workspace, plate.video, plate.frames, smoothed, job.blend, job.encode, label)
