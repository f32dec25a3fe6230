"""encoded chunks + plate -> the finished video."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from faceswap_core import manifest
from faceswap_core.errors import ManifestError
from faceswap_core.schemas import CHUNKS
from faceswap_core.stages.decode import check_source, decoded_index
from faceswap_core.storage import Workspace, disk_full_as_ours
from faceswap_core.trust.c2pa import SOURCE_TYPE
from faceswap_core.trust.label import AIGC, aigc_tag, xmp_box
from faceswap_core.types import FileRef, Json, ManifestRef
from faceswap_core.video.assemble import assemble
from faceswap_core.video.destination import destination
from faceswap_core.video.index import FrameIndex
from faceswap_core.video.outfile import MP4_FAMILY, muxer_of

_log = logging.getLogger(__name__)


class Assembled(TypedDict):
    """The finished video."""

    video: FileRef
    """Path and digest."""
    not_carried: list[str]
    """What of the plate the output's container or encoding cannot hold."""
    encoding: Json
    """How the pictures were encoded: codec, pix_fmt, options, threads, note, and kbps, their rate as it came out."""


def assemble_video(
    workspace: Workspace,
    plate: FileRef,
    frames: Sequence[ManifestRef],
    chunks: Sequence[ManifestRef],
    output: Path,
    produce_id: str = "",
) -> Assembled:
    """Join the encoded chunks and copy sound, subtitles, chapters and tags of the plate.

    Args:
        workspace: where manifests are.
        plate: the source.
        frames: FRAMES of every chunk of the plate, in order.
        chunks: CHUNKS, in order.
        output: the file to write, absolute or in the workspace; without a suffix it gets that of the plate's
            container, see `destination`.
        produce_id: marks the file as made by AI under this id: container key ``AIGC`` and, in MP4 and QuickTime, XMP.

    Raises:
        ManifestError: a chunk is missing or was altered.
        MediaError: the plate changed, or no frame of it was decoded.
    """
    check_source(plate)
    parts: list[Path] = []
    for ref in chunks:
        for row in manifest.stream(workspace, ref, CHUNKS, ["path", "sha256"]):
            if not workspace.holds(row["path"], row["sha256"]):
                raise ManifestError(f"encoded chunk {row['path']} is missing or altered: run the same command again")
            parts.append(workspace.localize(row["path"], row["sha256"]))
    output = output if output.is_absolute() else workspace.path(str(output))
    with disk_full_as_ours(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    index = decoded_index(workspace, frames)
    file = destination(output, plate["path"], parts[0], index)
    marks = {AIGC: aigc_tag("faceswap-pipeline", produce_id)} if produce_id else {}
    report = assemble(plate["path"], parts, file, index, marks)
    if marks and muxer_of(file) in MP4_FAMILY:
        with disk_full_as_ours(file), file.open("ab") as stream:
            stream.write(xmp_box(SOURCE_TYPE))
    _log.info("assembled %d frames to %s", report.frames, file)
    encoding = _encoding(workspace, chunks, parts, index)
    lost = [*report.not_carried, *encoding.pop("lost")]
    return Assembled(video=workspace.adopt(file), not_carried=lost, encoding=encoding)


def _encoding(workspace: Workspace, chunks: Sequence[ManifestRef], parts: Sequence[Path], index: FrameIndex) -> Json:
    """How the chunks were encoded, as they say themselves, and their rate in kbit/s."""
    encoding: Json = json.loads(manifest.metadata(workspace, chunks[0], CHUNKS)["encoding"])
    seconds = float((index.pts[-1] + index.duration[-1] - index.pts[0]) * index.facts.time_base)
    kbps = sum(part.stat().st_size for part in parts) * 8 / 1000 / seconds if seconds > 0 else None
    return {**encoding, "kbps": kbps and round(kbps, 1)}


def frame_states(workspace: Workspace, chunks: Sequence[ManifestRef]) -> list[dict[str, str | int]]:
    """State and reason of every frame, in order."""
    states: list[dict[str, str | int]] = []
    for ref in chunks:
        for row in manifest.stream(workspace, ref, CHUNKS, ["states"]):
            states += row["states"]
    return states
