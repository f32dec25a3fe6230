"""frames + smoothed patches -> the patches of one chunk as 16-bit images for a compositor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import BlendSettings
from faceswap_core.manifest import Row
from faceswap_core.schemas import EXPORTED, FRAMES
from faceswap_core.stages.decode import published_chunk
from faceswap_core.stages.images import png
from faceswap_core.stages.paste import ending, patches_by_frame, ready_patch
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import U16, ManifestRef, Progress, no_progress
from faceswap_core.video.deep import as_codes16


def export_patches(
    workspace: Workspace,
    frames: ManifestRef,
    smoothed: ManifestRef,
    blend: BlendSettings,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Publish every patch of one chunk as it is pasted into the video, and its mask.

    A patch is RGBA with straight alpha: colours after sharpening, alpha with its soft edge. The mask is the network's
    own, neither drawn in nor softened. A frame that shows no patch has a row without files that says why; the plate
    is not decoded.

    Returns:
        EXPORTED, in the order in which patches are laid over their frame.
    """
    cap_threads(1)
    chunk, facts = published_chunk(workspace, frames)
    patches = patches_by_frame(workspace, smoothed)
    publish = partial(_published, workspace, chunk.chunk_index, blend, (facts.width, facts.height))

    def rows() -> Iterator[Row]:
        decoded = manifest.stream(workspace, frames, FRAMES, ["frame_index", "pts", "corrupt"])
        for done, frame in enumerate(decoded, start=1):
            yield from publish(frame, patches.pop(frame["frame_index"], []))
            progress(done, frames["rows"], "frames")

    name = layout.chunk_name("exported", chunk.chunk_index)
    return manifest.publish(workspace, layout.PATCHES, name, EXPORTED, rows())


def _published(
    workspace: Workspace, chunk_index: int, blend: BlendSettings, size_wh: tuple[int, int], frame: Row, rows: list[Row]
) -> Iterator[Row]:
    """Rows of one frame: one for each patch that lies in it, or one that says why there is none."""
    faces: list[Row] = []

    def publish_all() -> bool:
        for row in rows:
            patch = ready_patch(row, blend)
            if patch.rect(size_wh) is None:
                continue
            rgba = np.dstack([as_codes16(patch.colors), as_codes16(patch.alpha)])
            images = {"patch": rgba, "mask": patch.mask.astype(np.uint16) * np.uint16(257)}
            files = [_file(workspace, chunk_index, row, role, image) for role, image in images.items()]
            placed = {"matrix": patch.matrix.ravel().tolist(), "files": files}
            faces.append({k: row[k] for k in ("face_index", "track_id", "shot")} | placed)
        return bool(faces)

    state, reason = ending(publish_all, bool(rows), frame["corrupt"], ("no_face", "no face of the subject"))
    shown = {"frame_index": frame["frame_index"], "pts": frame["pts"], "state": state, "reason": reason}
    for face in faces if state == "swapped" else [{"files": []}]:
        yield shown | face


def _file(workspace: Workspace, chunk_index: int, row: Row, role: str, image: U16) -> Row:
    name = f"{role}-{row['frame_index']:08d}-{row['face_index']}"
    ref = workspace.publish_bytes(layout.chunk_folder(layout.PATCHES, chunk_index), name, ".png", png(image))
    height, width = image.shape[:2]
    return {
        "role": role,
        "file": ref["path"],
        "sha256": ref["sha256"],
        "bytes": ref["size"],
        "width": width,
        "height": height,
    }
