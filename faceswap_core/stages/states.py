"""manifests of the last stage before the output -> how every frame ended, and what single frames show."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from av.video.frame import VideoFrame

from faceswap_core import manifest
from faceswap_core.config import BlendSettings
from faceswap_core.manifest import Row
from faceswap_core.schemas import CHUNKS, EXPORTED, schema_name
from faceswap_core.stages import assemble
from faceswap_core.stages.images import read_png16
from faceswap_core.stages.paste import Patch, lay
from faceswap_core.storage import Workspace
from faceswap_core.types import U8, ManifestRef
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.deep import from_codes16
from faceswap_core.video.exr import read_exr
from faceswap_core.video.reader import decode_linear

_AS_HANDED_OVER = BlendSettings(mode="feather", grain=0, soften=0)
"""A patch for a compositor has its edge and colours already: it is laid over by its alpha and nothing else."""


def frame_states(workspace: Workspace, made: Sequence[ManifestRef]) -> list[dict[str, str | int]]:
    """frame_index, state and reason of every frame, in order, from CHUNKS or EXPORTED."""
    states: list[dict[str, str | int]] = []
    for ref in made:
        if ref["schema"] != schema_name(EXPORTED):
            states += assemble.frame_states(workspace, [ref])
            continue
        rows = manifest.stream(workspace, ref, EXPORTED, ["frame_index", "state", "reason"])
        states += {row["frame_index"]: row for row in rows}.values()  # a frame has a row for each of its faces
    return states


def finished_picture(
    workspace: Workspace, made: ManifestRef, offset: int, frame_index: int, plate: VideoFrame
) -> U8 | None:
    """A finished frame, (H, W, 3) RGB, from CHUNKS or EXPORTED; None where it cannot be decoded.

    Args:
        workspace: where chunks and images are.
        made: CHUNKS or EXPORTED of one chunk.
        offset: ordinal of the frame in its chunk.
        frame_index: ordinal of the frame in the plate.
        plate: the plate's frame; patches are laid over it.
    """
    if made["schema"] != schema_name(EXPORTED):
        (chunk,) = manifest.stream(workspace, made, CHUNKS, ["path", "sha256"])
        frame = next(islice(decode_linear(workspace.localize(chunk["path"], chunk["sha256"])), offset, None), None)
        return None if frame is None else to_rgb(frame)
    for row in manifest.stream(workspace, made, EXPORTED):
        if row["frame_index"] == frame_index:
            files = {f["role"]: workspace.localize(f["file"], f["sha256"]).read_bytes() for f in row["files"]}
            if "image" in files:
                return _picture(files["image"], exr=row["files"][0]["file"].endswith(".exr"))
            if files:
                lay(plate, _patch(row, files), _AS_HANDED_OVER)
    return to_rgb(plate)


def _picture(data: bytes, *, exr: bool) -> U8:
    image = read_exr(data) if exr else from_codes16(read_png16(data))
    return np.asarray(np.rint(np.clip(image, 0, 1) * 255), np.uint8)


def _patch(row: Row, files: dict[str, bytes]) -> Patch:
    rgba, mask = from_codes16(read_png16(files["patch"])), read_png16(files["mask"])
    return Patch(
        colors=np.ascontiguousarray(rgba[..., :3]),
        alpha=np.ascontiguousarray(rgba[..., 3]),
        mask=np.asarray(mask >> 8, np.uint8),
        matrix=np.array(row["matrix"]).reshape(2, 3),
    )
