"""faceset of the plate + weights -> the swapped, checked output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect.futures import PrefectFuture

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.stages import sign
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from flows.chunks import announce, convert_chunks, is_encoded_at_once, segment_of
from flows.faceset import Faceset
from flows.gather import gather
from flows.segments import convert_shared
from tasks.convert import assemble_video, encode_stream, sign_video, verify_video
from tasks.handoff import deliver_folder, sign_folder, verify_folder


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
    whole = segment_of(plate, range(len(plate.frames)), job.smooth)
    announce(job, whole)
    if job.runtime.segment_seconds:
        smoothed, chunks = convert_shared(job, plate, weights, allow_test_consent=gate.allow_test)
    else:
        smoothed, chunks = convert_chunks(job, whole, weights)
    if is_encoded_at_once(job):
        chunks = gather([_encode_all(job, plate, smoothed)])
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


def _encode_all(job: JobSettings, plate: Faceset, smoothed: list[ManifestRef]) -> PrefectFuture[ManifestRef]:
    workspace, label = str(job.workspace), job.provenance.label
    return encode_stream.submit(workspace, plate.video, plate.frames, smoothed, job.blend, job.encode, label)
