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
from faceswap_core.faces.beyond import continued
from faceswap_core.faces.blend import Rect, covered_box, patch_rect, placed, resized, sharpened
from faceswap_core.faces.blenders import BLENDERS
from faceswap_core.faces.blenders.composite import composite
from faceswap_core.faces.color_transfer import COLOR_TRANSFERS, ColorStats, Look
from faceswap_core.faces.edges import Edge, combined
from faceswap_core.faces.plate_match import softened, with_grain
from faceswap_core.manifest import Row
from faceswap_core.schemas import NO_APART, SMOOTHED
from faceswap_core.stages.images import unpack
from faceswap_core.storage import Workspace
from faceswap_core.types import F32, F64, U8, FrameState, ManifestRef
from faceswap_core.video.light import transfer_of
from faceswap_core.video.mix import mix_rect
from faceswap_core.video.patch import edit_rect

Ending: TypeAlias = tuple[FrameState, str]
"""How a frame ended, and why."""


@dataclass(frozen=True)
class Patch:
    """A patch as it is laid over its frame."""

    colors: F32
    """(S, S, 3) RGB 0..1, in the plate's colours and sharpened."""
    alpha: F32
    """(S, S) 0..1, with its soft edge."""
    mask: U8
    """(S, S) 0..255: the mask that it is laid by, neither drawn in nor softened."""
    matrix: F64
    """(2, 3) frame px -> patch px."""
    motion_xy: tuple[float, float] = (0.0, 0.0)
    """Motion of the face, frame px a frame."""
    seed: tuple[int, ...] = (0,)
    """Numbers of frame and face, for noise that is the same on every run."""

    def rect(self, frame_wh: tuple[int, int]) -> Rect | None:
        """Smallest rectangle of the frame that holds what it shows; None when that lies outside."""
        box = covered_box(self.alpha)
        return patch_rect(self.matrix, self.alpha.shape[0], frame_wh, box) if box else None


def patches_by_frame(workspace: Workspace, smoothed: ManifestRef | None) -> dict[int, list[Row]]:
    """Rows of SMOOTHED of each frame that has some, in the order in which they are pasted."""
    patches: dict[int, list[Row]] = defaultdict(list)
    for row in manifest.stream(workspace, smoothed, SMOOTHED) if smoothed else ():
        patches[row["frame_index"]].append(row)
    return patches


def ready_patch(row: Row, blend: BlendSettings) -> Patch:
    """A row of SMOOTHED as it is laid over its frame: in the plate's colours, sharpened, its edge softened.

    Raises:
        ManifestError: the row holds no image.
        ValueError: the plate's mask is asked for and the row has none.
    """
    patch = unpack(row["patch"])
    mask = combined(patch[..., 3], unpack(row["mask"]) if row["mask"] else None, blend.mask)
    edge = Edge(blend.feather, blend.erode, blend.erode_top, blend.erode_bottom, blend.erode_left, blend.erode_right)
    alpha = BLENDERS[blend.mode].weigh(mask, edge)
    colors = patch[..., :3].astype(np.float32) / np.float32(255)
    if blend.mask in ("either", "plate"):
        colors = continued(colors, patch[..., 3])
    matrix = np.array(row["matrix"]).reshape(2, 3)
    return Patch(
        colors=sharpened(_recolored(colors, patch[..., 3], alpha, row, blend), blend.sharpen),
        alpha=alpha * np.float32(row["opacity"]),
        mask=mask,
        matrix=resized(matrix, patch.shape[0], scale=blend.scale, shift_xy=(blend.shift_x, blend.shift_y)),
        motion_xy=(row["motion"][0], row["motion"][1]),
        seed=(row["frame_index"], row["face_index"] & 0xFFFFFFFF),
    )


def _recolored(rgb: F32, drawn: U8, alpha: F32, row: Row, blend: BlendSettings) -> F32:
    if blend.color == "none" or row["patch_colors"] is None:
        return rgb
    look = Look(
        patch=ColorStats.from_flat(row["patch_colors"]),
        plate=ColorStats.from_flat(row["view_colors"]),
        view=lambda: unpack(row["view"]).astype(np.float32) / np.float32(255),
        mask=drawn.astype(np.float32) / np.float32(255),
        weight=alpha,
        apart=lambda: (unpack(row["apart"]).astype(np.float32) - np.float32(NO_APART)) / np.float32(255),
    )
    return np.clip(COLOR_TRANSFERS[blend.color](rgb, look), 0, 1)


def paste_all(frame: VideoFrame, rows: list[Row], corrupt: bool, blend: BlendSettings, bare: Ending) -> Ending:
    """Paste every patch of one frame; returns how it ended, ``bare`` where it has none."""

    def paste() -> bool:
        laid = [lay(frame, ready_patch(row, blend), blend) for row in rows]  # all of them, not up to the first
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


def lay(frame: VideoFrame, patch: Patch, blend: BlendSettings) -> bool:
    """Blend one patch into a frame; False where none of it lies inside."""
    rect = patch.rect((frame.width, frame.height))
    if rect is None:
        return False
    if _is_plain_mix(blend):
        mix_rect(frame, rect, partial(placed, patch.colors, patch.alpha, patch.matrix))
    else:
        edit_rect(frame, rect, partial(_blended, patch, rect, blend, int(frame.color_trc)), as_float=True)
    return True


def _is_plain_mix(blend: BlendSettings) -> bool:
    """Whether the frame takes a mean of itself and the patch, to which its own colours need not be known."""
    return BLENDERS[blend.mode].mix is composite and not (blend.soften or blend.grain or blend.linear_light)


def _blended(patch: Patch, rect: Rect, blend: BlendSettings, transfer: int, pixels: F32) -> F32:
    """The rectangle's pixels (H, W, 3) 0..1 with the patch over them; those without weight keep their exact value."""
    over, weight = placed(patch.colors, patch.alpha, patch.matrix, rect)
    if blend.soften:
        over = softened(over, pixels, weight, patch.motion_xy, blend.soften)
    if blend.grain:
        over = with_grain(over, pixels, weight, strength=blend.grain, seed=patch.seed)
    mix = BLENDERS[blend.mode].mix
    if blend.linear_light:
        curves = transfer_of(transfer)
        mixed = curves.to_code(mix(curves.to_light(pixels), curves.to_light(np.clip(over, 0, 1)), weight))
    else:
        mixed = mix(pixels, over, weight)
    np.clip(mixed, 0, 1, out=mixed)
    np.copyto(mixed, pixels, where=weight[..., None] == 0)
    return mixed
