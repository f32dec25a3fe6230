"""frames + tracks -> aligned: cut the chosen faces of one chunk out as chips, with masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TypedDict

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings
from faceswap_core.faces.color import sum_colors
from faceswap_core.faces.geometry import (
    apply,
    compose,
    head_pose,
    invert,
    similarity_matrix,
    template_to_chip,
)
from faceswap_core.faces.masks import face_mask
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED, MASKS, TRACKS
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.images import pack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F64, U8, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.colour import to_rgb


class AlignedChunk(TypedDict):
    """The chips of one chunk and their masks."""

    aligned: ManifestRef
    """ALIGNED."""
    masks: ManifestRef
    """MASKS, row by row beside ALIGNED."""


def align_landmarks(
    workspace: Workspace,
    video: FileRef,
    frames: ManifestRef,
    tracks: ManifestRef,
    settings: AlignSettings,
    progress: Progress = no_progress,
) -> AlignedChunk:
    """Cut out the subject's face in every frame of one chunk.

    A chip is cut along the similarity of the smoothed points; the matrix beside it maps frame px to chip px and
    is the one its patch is pasted with.
    """
    cap_threads(1)
    chunk, _ = published_chunk(workspace, frames)
    faces: dict[int, list[Row]] = defaultdict(list)
    for row in manifest.stream(workspace, tracks, TRACKS):
        if row["subject"] is not None:
            faces[row["frame_index"]].append(row)
    masks: list[Row] = []

    def rows() -> Iterator[Row]:
        for done, frame in enumerate(read_frames(workspace, video, frames), start=1):
            if faces.get(frame.frame_index):
                image = to_rgb(frame.frame)
                for face in faces[frame.frame_index]:
                    row, mask = _cut_out(image, face, settings)
                    masks.append({k: row[k] for k in ("frame_index", "face_index")} | {"mask": pack(mask)})
                    yield row | {"video": video["sha256"]}
            progress(done, frames["rows"], "frames")

    name = layout.chunk_name("aligned", chunk.chunk_index)
    aligned = manifest.publish(workspace, layout.ALIGNED, name, ALIGNED, rows())
    name = layout.chunk_name("masks", chunk.chunk_index)
    return AlignedChunk(aligned=aligned, masks=manifest.publish(workspace, layout.ALIGNED, name, MASKS, masks))


def _cut_out(image: U8, face: Row, settings: AlignSettings) -> tuple[Row, U8]:
    to_chip = template_to_chip(settings.size, settings.eye_distance, settings.coverage)
    to_frame = similarity_matrix(np.array(face["similarity"]))
    matrix = compose(to_chip, invert(to_frame))
    chip = warp_chip(image, matrix, settings.size)
    points = apply(invert(to_frame), np.array(face["points5"], np.float64).reshape(5, 2))
    mask = face_mask(points, to_chip, settings.size)
    sums = sum_colors(chip, mask)
    row = {
        k: face[k]
        for k in ("frame_index", "face_index", "track_id", "subject", "shot", "interpolated", "to_edge", "score")
    }
    row |= {
        "matrix": matrix.ravel().tolist(),
        "chip": pack(chip),
        "sharpness": float(cv2.Laplacian(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()),
        "pose": head_pose(np.array(face["points5"], np.float64).reshape(5, 2)).tolist(),
        "color_sum": sums.total.tolist(),
        "color_square_sum": sums.square.tolist(),
        "color_weight": sums.weight,
    }
    return row, mask


def warp_chip(image: U8, matrix: F64, size: int) -> U8:
    """Cut a chip (size, size, 3) out of a frame along ``matrix`` (2, 3), frame px -> chip px.

    Where the frame is larger than the chip it is reduced first, so that nothing aliases; beyond the frame its
    border repeats.
    """
    shrink = 1.0 / max(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1e-6)
    if shrink > 1.5:
        image, matrix = _reduced(image, matrix, size, shrink)
    chip = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(chip, np.uint8)


def _reduced(image: U8, matrix: F64, size: int, shrink: float) -> tuple[U8, F64]:
    """The part of the frame that a chip shows, reduced by ``shrink``, and the matrix from there."""
    corners = apply(invert(matrix), np.array([[-1, -1], [size, -1], [size, size], [-1, size]], float))
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, image.shape[1::-1])
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, np.maximum(high - 2, 0))
    part = image[low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
    size_wh = np.maximum(np.round(np.array(part.shape[1::-1]) / shrink).astype(int), 1)
    small = cv2.resize(part, tuple(size_wh.tolist()), interpolation=cv2.INTER_AREA)
    scale = np.array(part.shape[1::-1]) / size_wh
    to_part = np.array([[scale[0], 0, (scale[0] - 1) / 2 + low[0]], [0, scale[1], (scale[1] - 1) / 2 + low[1]]])
    return np.asarray(small, np.uint8), compose(matrix, to_part)
