"""faces of some chunks + weights -> their part of the output; a chunk is encoded while later ones are swapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture
from pydantic import BaseModel, ConfigDict

from faceswap_core import layout
from faceswap_core.config import JobSettings, SmoothSettings
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.types import FileRef, ManifestRef
from flows.faceset import Faceset
from flows.gather import gather
from tasks import progress
from tasks.convert import reencode_chunk, smooth_frames, swap_frames
from tasks.handoff import export_images, export_patches
from tasks.options import stored

LAST_STAGE = {"video": "reencode-chunk", "patches": layout.PATCHES, "image_sequence": layout.IMAGES}
"""The stage that works on single chunks last, by ``output.kind``."""


class Segment(BaseModel):
    """Some chunks of a plate in a row, and those that their filters reach into."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    video: FileRef
    """The plate."""
    opening: ManifestRef
    """FRAMES of its first chunk, with which the label begins."""
    numbers: tuple[int, ...]
    """The chunks to convert, in order."""
    frames: dict[int, ManifestRef]
    """FRAMES by number, the neighbours' included."""
    aligned: dict[int, AlignedChunk]
    """ALIGNED and MASKS of the same."""

    @property
    def span(self) -> str:
        """First and last of its chunks, for people."""
        return f"{self.numbers[0]}-{self.numbers[-1]}"


def segment_of(plate: Faceset, numbers: Sequence[int], settings: SmoothSettings) -> Segment:
    """Chunks of a plate with what converting them needs."""
    frames = dict(enumerate(plate.frames))
    near = {n for number in numbers for side in halo(frames, number, settings) for n in side}
    needed = sorted(near.union(numbers))
    return Segment(
        video=plate.video,
        opening=plate.frames[0],
        numbers=tuple(numbers),
        frames={n: frames[n] for n in needed},
        aligned={n: plate.aligned[n] for n in needed},
    )


def halo(frames: Mapping[int, ManifestRef], number: int, settings: SmoothSettings) -> tuple[list[int], list[int]]:
    """Numbers of the chunks that the filter of one chunk reaches into, before it and after it, in order."""
    reach = settings.radius if settings.strength else 0
    return _until(reach, frames, number, -1)[::-1], _until(reach, frames, number, 1)


def _until(reach: int, frames: Mapping[int, ManifestRef], number: int, step: int) -> list[int]:
    found: list[int] = []
    for near in count(number + step, step):
        if near not in frames or sum(frames[i]["rows"] for i in found) >= reach:
            break
        found.append(near)
    return found


def is_encoded_at_once(job: JobSettings) -> bool:
    """Whether one encoder works on all chunks, as an average rate needs."""
    return job.output.kind == "video" and job.encode.bitrate is not None


def announce(job: JobSettings, segment: Segment) -> None:
    """Say how much is to come."""
    progress.expect(layout.SWAPPED, sum(chunk["aligned"]["rows"] for chunk in segment.aligned.values()), "faces")
    last = "encode-stream" if is_encoded_at_once(job) else LAST_STAGE[job.output.kind]
    for stage in (layout.SMOOTHED, last):
        progress.expect(stage, sum(segment.frames[n]["rows"] for n in segment.numbers))


def convert_chunks(job: JobSettings, segment: Segment, weights: FileRef) -> tuple[list[ManifestRef], list[ManifestRef]]:
    """SMOOTHED of each chunk, and what the last stage makes of it; nothing where one encoder works on all of them."""
    swapped: dict[int, ManifestRef] = {}
    smoothing: list[PrefectFuture[ManifestRef]] = []
    finishing: list[PrefectFuture[ManifestRef]] = []
    waiting = list(segment.numbers)
    for number in sorted(segment.frames):
        swapped[number] = swap_frames(*_to_swap(job, segment, number, weights))
        progress.finished(layout.SWAPPED, str(number), segment.aligned[number]["aligned"]["rows"], "faces")
        while waiting and max([waiting[0], *halo(segment.frames, waiting[0], job.smooth)[1]]) <= number:
            ready = waiting.pop(0)
            smoothing.append(smooth_frames.submit(*_to_smooth(job, segment, ready, swapped)))
            if not is_encoded_at_once(job):
                last, arguments = _to_finish(job, segment, ready, smoothing[-1])
                finishing.append(last.submit(*arguments, return_state=False))
    return _told(segment, smoothing, layout.SMOOTHED), _told(segment, finishing, LAST_STAGE[job.output.kind])


def _told(segment: Segment, futures: Sequence[PrefectFuture[ManifestRef]], stage: str) -> list[ManifestRef]:
    def told(position: int, _: ManifestRef) -> None:
        number = segment.numbers[position]
        progress.finished(stage, str(number), segment.frames[number]["rows"])

    return gather(futures, told)


def is_made(job: JobSettings, segment: Segment, weights: FileRef) -> bool:
    """Whether the workspace holds all that `convert_chunks` would make."""
    swapped: dict[int, ManifestRef] = {}
    for number in segment.frames:
        found = stored(swap_frames, *_to_swap(job, segment, number, weights))
        if found is None:
            return False
        swapped[number] = found
    return all(_is_finished(job, segment, number, swapped) for number in segment.numbers)


def _is_finished(job: JobSettings, segment: Segment, number: int, swapped: Mapping[int, ManifestRef]) -> bool:
    smoothed = stored(smooth_frames, *_to_smooth(job, segment, number, swapped))
    if smoothed is None or is_encoded_at_once(job):
        return smoothed is not None
    last, arguments = _to_finish(job, segment, number, smoothed)
    return stored(last, *arguments) is not None


def _to_swap(job: JobSettings, segment: Segment, number: int, weights: FileRef) -> tuple[Any, ...]:
    direction = (job.plate.subject, job.swap.to)
    aligned = segment.aligned[number]["aligned"]
    return (str(job.workspace), number, aligned, weights, direction, job.align, job.swap, job.runtime)


def _to_smooth(job: JobSettings, segment: Segment, number: int, swapped: Mapping[int, ManifestRef]) -> tuple[Any, ...]:
    before, after = ([swapped[n] for n in side] for side in halo(segment.frames, number, job.smooth))
    masks = segment.aligned[number]["masks"]
    return (str(job.workspace), number, swapped[number], masks, before, after, job.align, job.smooth)


def _to_finish(
    job: JobSettings, segment: Segment, number: int, smoothed: ManifestRef | PrefectFuture[ManifestRef]
) -> tuple[Task[..., ManifestRef], tuple[Any, ...]]:
    """What makes the output's part of one chunk, and of what."""
    workspace, video, frames = str(job.workspace), segment.video, segment.frames[number]
    if job.output.kind == "patches":
        return export_patches, (workspace, number, frames, smoothed, job.blend)
    if job.output.kind == "image_sequence":
        return export_images, (workspace, video, number, frames, smoothed, job.blend, job.output.format)
    label = job.provenance.label
    return reencode_chunk, (workspace, video, number, frames, smoothed, job.blend, job.encode, label, segment.opening)
