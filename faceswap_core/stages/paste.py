"""smoothed patches + frame -> the frame with its faces replaced, and how it ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core import manifest
from faceswap_core.config import BlendSettings
from faceswap_core.errors import ManifestError, MediaError
from faceswap_core.faces.blend import BLENDERS, Rect, patch_rect, sharpened, soft_alpha
from faceswap_core.manifest import Row
from faceswap_core.schemas import SMOOTHED
from faceswap_core.stages.images import unpack
from faceswap_core.storage import Workspace
from faceswap_core.types import F32, F64, U8, FrameState, ManifestRef
from faceswap_core.video.patch import edit_rect

Ending: TypeAlias = tuple[FrameState, str]
"""How a frame ended, and why."""


@dataclass(frozen=True)
class Patch:
    """A patch as it is laid over its frame."""

    colors: F32
    """(S, S, 3) RGB 0..1, sharpened."""
    alpha: F32
    """(S, S) 0..1, with its soft edge."""
    mask: U8
    """(S, S) 0..255: the network's own mask, neither drawn in nor softened."""
    matrix: F64
    """(2, 3) frame px -> patch px."""

    def rect(self, frame_wh: tuple[int, int]) -> Rect | None:
        """Smallest rectangle of the frame that holds it; None when it lies outside."""
        return patch_rect(self.matrix, self.alpha.shape[0], frame_wh)


def patches_by_frame(workspace: Workspace, smoothed: ManifestRef | None) -> dict[int, list[Row]]:
    """Rows of SMOOTHED of each frame that has some, in the order in which they are pasted."""
    patches: dict[int, list[Row]] = defaultdict(list)
    for row in manifest.stream(workspace, smoothed, SMOOTHED) if smoothed else ():
        patches[row["frame_index"]].append(row)
    return patches


def ready_patch(row: Row, blend: BlendSettings) -> Patch:
    """A row of SMOOTHED as it is laid over its frame: sharpened, its edge softened.

    Raises:
        ManifestError: the row holds no image.
    """
    patch = unpack(row["patch"])
    return Patch(
        colors=sharpened(patch[..., :3].astype(np.float32) / np.float32(255), blend.sharpen),
        alpha=soft_alpha(patch[..., 3], erode=blend.erode, feather=blend.feather),
        mask=patch[..., 3],
        matrix=np.array(row["matrix"]).reshape(2, 3),
    )


def paste_all(frame: VideoFrame, rows: list[Row], corrupt: bool, blend: BlendSettings, bare: Ending) -> Ending:
    """Paste every patch of one frame; returns how it ended, ``bare`` where it has none."""

    def paste() -> bool:
        laid = [lay(frame, ready_patch(row, blend), blend.mode) for row in rows]  # all of them, not up to the first
        return any(laid)

    return ending(paste, bool(rows), corrupt, bare)


def ending(paste: Callable[[], bool], has_patch: bool, corrupt: bool, bare: Ending) -> Ending:
    """How a frame ends: ``paste`` is called where it has a patch and is whole, and says if one lies inside."""
    if corrupt:
        return "passed_through", "the source frame is damaged"
    if not has_patch:
        return bare
    try:
        pasted = paste()
    except (MediaError, ManifestError, cv2.error, ValueError) as error:
        return "failed", str(error)
    return ("swapped", "") if pasted else ("passed_through", "the face lies outside the frame")


def lay(frame: VideoFrame, patch: Patch, mode: str) -> bool:
    """Blend one patch into a frame; False where none of it lies inside."""
    rect = patch.rect((frame.width, frame.height))
    if rect is None:
        return False
    edit_rect(frame, rect, partial(_blend, mode, patch, rect), as_float=True)
    return True


def _blend(mode: str, patch: Patch, rect: Rect, pixels: F32) -> F32:
    return np.clip(BLENDERS[mode](pixels, patch.colors, patch.alpha, patch.matrix, rect), 0, 1)
