"""faceset of the plate + weights -> the swapped, checked video; a chunk is encoded while later ones are swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect.futures import PrefectFuture

from faceswap_core import layout
from faceswap_core.config import JobSettings, SmoothSettings
from faceswap_core.stages.assemble import Assembled
from faceswap_core.types import FileRef, ManifestRef
from flows.faceset import Faceset
from flows.gather import gather
from tasks import progress
from tasks.convert import assemble_video, encode_stream, reencode_chunk, smooth_frames, swap_frames, verify_video


@dataclass(frozen=True)
class Converted:
    """The finished video and what is known of it."""

    assembled: Assembled
    """The video, and streams that it could not hold."""
    chunks: list[ManifestRef]
    """CHUNKS, with the state of every frame."""
    checks: ManifestRef
    """REPORT of the verification."""


def convert(job: JobSettings, plate: Faceset, weights: FileRef) -> Converted:
    """Swap, smooth, encode, assemble and verify."""
    workspace = str(job.workspace)
    chunks = _encoded_chunks(job, plate, weights)
    output = str(job.output.video)
    (assembled,) = gather([assemble_video.submit(workspace, plate.video, plate.frames, chunks, output)])
    checking = verify_video.submit(workspace, plate.video, plate.frames, assembled["video"], assembled["not_carried"])
    return Converted(assembled, chunks, gather([checking])[0])


def _encoded_chunks(job: JobSettings, plate: Faceset, weights: FileRef) -> list[ManifestRef]:
    """CHUNKS, or one for all where an average rate is asked for: an encoder must then see the whole video."""
    _announce(job, plate)
    halos = [halo(plate.frames, i, job.smooth) for i in range(len(plate.frames))]
    swapped: list[ManifestRef] = []
    smoothing: list[PrefectFuture[ManifestRef]] = []
    encoding: list[PrefectFuture[ManifestRef]] = []
    for i in range(len(plate.frames)):
        swapped.append(_swap(job, plate, i, weights))
        while len(smoothing) <= i and max((*halos[len(smoothing)][1], len(smoothing))) <= i:
            number = len(smoothing)
            smoothing.append(_smooth(job, number, swapped, halos[number]))
            if job.encode.bitrate is None:
                encoding.append(_encode(job, plate, number, smoothing[number]))
    smoothed = gather(smoothing, lambda i, _: progress.finished(layout.SMOOTHED, str(i), plate.frames[i]["rows"]))
    if job.encode.bitrate is not None:
        return gather([_encode_all(job, plate, smoothed)])
    return gather(encoding, lambda i, _: progress.finished("reencode-chunk", str(i), plate.frames[i]["rows"]))


def _announce(job: JobSettings, plate: Faceset) -> None:
    progress.expect(layout.SWAPPED, plate.faces, "faces")
    for stage in (layout.SMOOTHED, "reencode-chunk" if job.encode.bitrate is None else "encode-stream"):
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
        str(job.workspace), chunk_index, aligned, weights, direction, job.align, job.swap.batch, job.runtime
    )
    progress.finished(layout.SWAPPED, str(chunk_index), aligned["rows"], "faces")
    return swapped


def _smooth(
    job: JobSettings, chunk_index: int, swapped: Sequence[ManifestRef], around: tuple[list[int], list[int]]
) -> PrefectFuture[ManifestRef]:
    before, after = ([swapped[i] for i in numbers] for numbers in around)
    return smooth_frames.submit(str(job.workspace), chunk_index, swapped[chunk_index], before, after, job.smooth)


def _encode(
    job: JobSettings, plate: Faceset, chunk_index: int, smoothed: PrefectFuture[ManifestRef]
) -> PrefectFuture[ManifestRef]:
    frames = plate.frames[chunk_index]
    return reencode_chunk.submit(
        str(job.workspace), plate.video, chunk_index, frames, smoothed, job.blend, job.encode, return_state=False
    )


def _encode_all(job: JobSettings, plate: Faceset, smoothed: list[ManifestRef]) -> PrefectFuture[ManifestRef]:
    return encode_stream.submit(str(job.workspace), plate.video, plate.frames, smoothed, job.blend, job.encode)
