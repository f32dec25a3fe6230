"""frames + tracks -> aligned: cut the chosen faces of one chunk out as chips, and measure them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from typing_extensions import TypedDict

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings
from faceswap_core.errors import SettingsError
from faceswap_core.faces.dense import dense_pose, is_mesh, openness
from faceswap_core.faces.geometry import apply, compose, head_pose, invert, similarity_matrix, template_to_chip
from faceswap_core.faces.measures import measure, sharpness
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED, TRACKS
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.images import pack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.trust.consent import NOBODY, Grant, bound
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
    consents: Mapping[str, Grant] = NOBODY,
) -> ManifestRef:
    """Cut out the subject's face in every frame of one chunk.

    A chip is cut along the similarity of the smoothed points; the matrix beside it maps frame px to chip px and
    is the one its patch is pasted with. ``consents`` (record and digest by subject) stand in the metadata.

    Raises:
        SettingsError: a dense fit was asked for, and the detector gave no mesh.
    """
    cap_threads(1)
    chunk, _ = published_chunk(workspace, frames)
    faces: dict[int, list[Row]] = defaultdict(list)
    for row in manifest.stream(workspace, tracks, TRACKS):
        if row["subject"] is not None:
            faces[row["frame_index"]].append(row)

    def rows() -> Iterator[Row]:
        for done, frame in enumerate(read_frames(workspace, video, frames), start=1):
            if faces.get(frame.frame_index):
                image = to_rgb(frame.frame)
                for face in faces[frame.frame_index]:
                    yield _cut_out(image, face, settings) | {"video": video["sha256"]}
            progress(done, frames["rows"], "frames")

    name = layout.chunk_name("aligned", chunk.chunk_index)
    return manifest.publish(workspace, layout.ALIGNED, name, ALIGNED, rows(), bound(consents))


def to_chip_of(settings: AlignSettings) -> F64:
    """Matrix (2, 3): template units -> chip px."""
    return template_to_chip(settings.size, settings.eye_distance, settings.coverage, settings.centre)


def _cut_out(image: U8, face: Row, settings: AlignSettings) -> Row:
    points = np.array(face["points5"], np.float64).reshape(5, 2)
    dense = np.array(face["points_dense"], np.float64).reshape(-1, 2) if face["points_dense"] is not None else None
    to_chip = to_chip_of(settings)
    matrix = compose(to_chip, invert(similarity_matrix(_similarity(face, settings))))
    chip = warp_chip(image, matrix, settings.size)
    in_chip = apply(matrix, points)
    kept = ("frame_index", "face_index", "track_id", "subject", "shot", "interpolated", "to_edge", "score")
    low, high = np.array(face["box_xyxy"]).reshape(2, 2)
    return (
        {name: face[name] for name in kept}
        | {
            "matrix": matrix.ravel().tolist(),
            "chip": pack(chip),
            "points5": in_chip.ravel().tolist(),
            "points_dense": None if dense is None else apply(matrix, dense).ravel().tolist(),
            "size": float(np.sqrt(np.prod(np.maximum(high - low, 0)))),
        }
        | _turned(points, dense)
        | figures(chip, apply(invert(to_chip), in_chip), settings)
    )


def _similarity(face: Row, settings: AlignSettings) -> F64:
    """Similarity (4,) template units -> frame px."""
    if settings.fit == "five":
        return np.array(face["similarity"])
    if face["similarity_dense"] is None:
        raise SettingsError(
            f"align.fit is 'dense', but frame {face['frame_index']} has no mesh: set it to "
            "'five', or detect.backend to one that gives a mesh"
        )
    return np.array(face["similarity_dense"])


def _turned(points: F64, dense: F64 | None) -> Row:
    """How the head is turned and, where that is known, how far its eyes and mouth are open."""
    if not is_mesh(dense):
        return dict(zip(("yaw", "pitch", "roll"), head_pose(points).tolist(), strict=True))
    eyes, mouth = openness(dense)
    return dict(zip(("yaw", "pitch", "roll"), dense_pose(dense).tolist(), strict=True)) | {
        "eyes_open": eyes,
        "mouth_open": mouth,
    }


def figures(chip: U8, points: F64, settings: AlignSettings) -> Row:
    """What is measured of a chip (S, S, 3) alone; ``points`` (5, 2) in template units."""
    margin = round(settings.size * (1 - settings.coverage) / 2)
    view = chip[margin : settings.size - margin, margin : settings.size - margin]
    return vars(measure(chip, to_chip_of(settings), points)) | {"sharpness": sharpness(view)}


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
