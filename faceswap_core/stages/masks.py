"""aligned -> masks: what of each chip is swapped, where its features lie, and its colours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, MaskSettings
from faceswap_core.faces.color import sum_colors
from faceswap_core.faces.geometry import apply, template5
from faceswap_core.faces.masks import face_mask, feature_map
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED, MASKS
from faceswap_core.stages.align import to_chip_of
from faceswap_core.stages.images import pack, unpack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F64, U8, ManifestRef, Progress, no_progress

_COLUMNS = ["frame_index", "face_index", "chip", "points5", "points_dense"]


def make_masks(
    workspace: Workspace,
    chunk_index: int,
    aligned: ManifestRef,
    align: AlignSettings,
    settings: MaskSettings,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Draw the masks of one chunk's chips, and add up the colours beneath them.

    Args:
        workspace: where manifests are.
        chunk_index: number of the chunk.
        aligned: ALIGNED of the chunk.
        align: how the chips were cut.
        settings: which part of a face is swapped.
        progress: told face by face.
    """
    cap_threads(1)
    to_chip = to_chip_of(align)

    def rows() -> Iterator[Row]:
        for done, row in enumerate(manifest.stream(workspace, aligned, ALIGNED, _COLUMNS), start=1):
            chip = unpack(row["chip"])
            mask, features = _drawn(row, to_chip, align.size, settings)
            sums = sum_colors(chip, mask)
            yield {
                "frame_index": row["frame_index"],
                "face_index": row["face_index"],
                "mask": pack(mask),
                "features": pack(features),
                "color_sum": sums.total.tolist(),
                "color_square_sum": sums.square.tolist(),
                "color_weight": sums.weight,
            }
            progress(done, aligned["rows"], "faces")

    return manifest.publish(workspace, layout.MASKS, layout.chunk_name("masks", chunk_index), MASKS, rows())


def _drawn(row: Row, to_chip: F64, size: int, settings: MaskSettings) -> tuple[U8, U8]:
    """Mask and features of one chip; of an image without points by the template."""
    dense = _points(row["points_dense"])
    points = _points(row["points5"])
    if points is None:
        points = apply(to_chip, template5())
        if settings.images == "full":
            return np.full((size, size), 255, np.uint8), feature_map(points, dense, to_chip, size)
    return face_mask(points, dense, to_chip, size, settings), feature_map(points, dense, to_chip, size)


def _points(flat: list[float] | None) -> F64 | None:
    return None if flat is None else np.array(flat, np.float64).reshape(-1, 2)
