"""frames + smoothed patches + plate -> one encoded chunk: only the face's rectangle is edited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core import layout, manifest
from faceswap_core.config import BlendSettings, EncodeSettings
from faceswap_core.errors import ManifestError, MediaError
from faceswap_core.faces.blend import BLENDERS, Rect, patch_rect, sharpened, soft_alpha
from faceswap_core.manifest import Row
from faceswap_core.schemas import CHUNKS, SMOOTHED
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.images import unpack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, F64, FileRef, FrameState, ManifestRef, Progress, no_progress
from faceswap_core.video.encoder import EncodeSpec, encode_chunk
from faceswap_core.video.patch import edit_rect


def reencode_chunk(
    workspace: Workspace,
    plate: FileRef,
    frames: ManifestRef,
    smoothed: ManifestRef | None,
    blend: BlendSettings,
    encode: EncodeSettings,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Paste the patches of one chunk into the plate's frames and encode them.

    Frames without a patch go to the encoder as they were decoded; without ``smoothed`` that is all of them. A chunk
    of which no frame was decoded has no row.
    """
    cap_threads(1)
    chunk, facts = published_chunk(workspace, frames)
    name = layout.chunk_name("chunk", chunk.chunk_index)
    if not frames["rows"]:
        return manifest.publish(workspace, layout.CHUNKS, name, CHUNKS, [])
    patches: dict[int, list[Row]] = defaultdict(list)
    for row in manifest.stream(workspace, smoothed, SMOOTHED, _COLUMNS) if smoothed else ():
        patches[row["frame_index"]].append(row)
    states: list[Row] = []
    bare: _Ending = ("no_face", "no face of the subject") if smoothed else ("passed_through", "nothing to swap")

    def edited() -> Iterator[VideoFrame]:
        for done, frame in enumerate(read_frames(workspace, plate, frames), start=1):
            state, reason = _paste_all(frame.frame, patches.pop(frame.frame_index, []), frame.corrupt, blend, bare)
            states.append({"frame_index": frame.frame_index, "state": state, "reason": reason})
            progress(done, frames["rows"], "frames")
            yield frame.frame

    with workspace.scratch(".mp4") as temporary:
        encoded = encode_chunk(edited(), encode_spec(encode), facts, temporary)
        video = workspace.publish_file(layout.CHUNKS, name, temporary)
    row = {
        "chunk_index": chunk.chunk_index,
        "path": video["path"],
        "sha256": video["sha256"],
        "frames": encoded.frames,
        "first_pts": encoded.first_pts,
        "last_pts": encoded.last_pts,
        "states": states,
    }
    return manifest.publish(workspace, layout.CHUNKS, name, CHUNKS, [row])


_COLUMNS = ["frame_index", "patch", "matrix"]
_Ending: TypeAlias = tuple[FrameState, str]
"""How a frame ended, and why."""


def encode_spec(settings: EncodeSettings) -> EncodeSpec:
    """How the encoder is told what the settings say."""
    return EncodeSpec(
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        lossless=settings.codec == "ffv1" or settings.crf == 0,
        threads=settings.threads,
        options=settings.options,
    )


def _paste_all(frame: VideoFrame, patches: list[Row], corrupt: bool, blend: BlendSettings, bare: _Ending) -> _Ending:
    """Paste every patch of one frame; returns how it ended, ``bare`` where it has none."""
    if corrupt:
        return "passed_through", "the source frame is damaged"
    if not patches:
        return bare
    try:
        pasted = [paste(frame, row, blend) for row in patches]
    except (MediaError, ManifestError, cv2.error, ValueError) as error:
        return "failed", str(error)
    return ("swapped", "") if any(pasted) else ("passed_through", "the face lies outside the frame")


def paste(frame: VideoFrame, row: Row, blend: BlendSettings) -> bool:
    """Blend one patch into a frame; False where none of it lies inside."""
    patch = unpack(row["patch"])
    matrix = np.array(row["matrix"]).reshape(2, 3)
    rect = patch_rect(matrix, patch.shape[0], (frame.width, frame.height))
    if rect is None:
        return False
    alpha = soft_alpha(patch[..., 3], erode=blend.erode, feather=blend.feather)
    colors = sharpened(patch[..., :3].astype(np.float32) / np.float32(255), blend.sharpen)
    edit_rect(frame, rect, partial(_blend, blend.mode, colors, alpha, matrix, rect), as_float=True)
    return True


def _blend(mode: str, patch: F32, alpha: F32, matrix: F64, rect: Rect, pixels: F32) -> F32:
    return np.clip(BLENDERS[mode](pixels, patch, alpha, matrix, rect), 0, 1)
