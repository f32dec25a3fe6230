"""picture -> a data URI for the flow UI, which loads no files and keeps what it shows in its database."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from faceswap_core.stages.images import jpeg, unpack
from faceswap_core.stages.pairs import pairs
from faceswap_core.storage import Workspace
from faceswap_core.types import U8, FileRef, ManifestRef

LARGEST_URI = 100_000
"""Characters."""
_SMALLER = 0.8


def ui_picture(image: U8) -> str:
    """(H, W, 3) RGB as a JPEG, reduced until it is small enough."""
    widest = image.shape[1]
    while True:
        uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg(image, widest)).decode()}"
        if len(uri) <= LARGEST_URI or widest < 2:
            return uri
        widest = int(widest * _SMALLER)


def ui_file(workspace: Workspace, picture: FileRef) -> str:
    """A published picture."""
    return ui_picture(unpack({"bytes": workspace.localize(picture["path"], picture["sha256"]).read_bytes()}))


def ui_before_and_after(
    workspace: Workspace, plate: FileRef, frames: Sequence[ManifestRef], chunks: Sequence[ManifestRef]
) -> tuple[int, str] | None:
    """frame_index of one swapped frame, and it as it was beside it as it is; None where no frame was swapped."""
    for frame_index, before, after in pairs(workspace, plate, frames, chunks, 1):
        return frame_index, ui_picture(np.concatenate([before, after], axis=1))
    return None
