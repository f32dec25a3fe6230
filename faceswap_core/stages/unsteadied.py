"""tracks + weights -> patches of a few frames, swapped once more with nothing steadied in time: for comparison."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TypedDict

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import (
    AlignSettings,
    MaskSettings,
    QualitySettings,
    RuntimeSettings,
    SmoothSettings,
    SwapTarget,
)
from faceswap_core.faces.dense import fit_dense
from faceswap_core.faces.geometry import fit_similarity, template5
from faceswap_core.manifest import Row
from faceswap_core.schemas import TRACKS
from faceswap_core.stages.align import align_landmarks
from faceswap_core.stages.masks import make_masks
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.stages.swap import swap_frames
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, FileRef, ManifestRef

_LEAST = 24
"""Frames measured of a chunk, at least: figures over time need some in a row."""


class Unsteadied(TypedDict):
    """The frames of a sample that lie in one chunk, on their way from raw points to patches."""

    tracks: ManifestRef
    """TRACKS with every place and point as it was detected."""
    aligned: ManifestRef
    """ALIGNED, cut by them."""
    masks: ManifestRef
    """MASKS."""
    swapped: ManifestRef
    """SWAPPED."""
    smoothed: ManifestRef
    """SMOOTHED at strength 0."""


def measured_of_each(settings: QualitySettings, chunks: int) -> int:
    """Swapped frames that are measured of each chunk, at most."""
    return max(_LEAST, math.ceil(settings.frames / max(chunks, 1))) if settings.frames else 0


def measured_chunks(settings: QualitySettings, chunks: Sequence[int], always: Collection[int]) -> list[int]:
    """Which of the chunks with a face are measured: all of a short plate, of a long one as many as are needed, spread.

    Args:
        settings: how many frames are wanted.
        chunks: numbers of the chunks with a face, in order.
        always: those of them that are measured in any case.
    """
    most = max(1, settings.frames // _LEAST)
    spread = np.linspace(0, len(chunks) - 1, min(most, len(chunks))).round().astype(int).tolist()
    return sorted({chunks[i] for i in spread} | {i for i in chunks if i in always})


def steady_sample(
    workspace: Workspace, tracks: Sequence[ManifestRef], limit: int, count: int
) -> dict[int, tuple[int, int]]:
    """Consecutive frames of one face in one shot: the beginning of the longest such run among those measured.

    Args:
        workspace: where manifests are.
        tracks: TRACKS of every chunk, in order.
        limit: frames with a face that are measured of each chunk, from its first.
        count: frames, at most; of fewer than three in a row nothing can be said.

    Returns:
        First and last frame_index by chunk.
    """
    open_runs: dict[tuple[int, int], list[tuple[int, int]]] = {}
    best: list[tuple[int, int]] = []
    for chunk_index, ref in enumerate(tracks):
        seen: set[int] = set()
        for row in manifest.stream(workspace, ref, TRACKS, ["frame_index", "track_id", "subject", "shot"]):
            frame = int(row["frame_index"])
            if row["subject"] is None or (frame not in seen and len(seen) >= limit):
                continue
            seen.add(frame)
            run = open_runs.get((row["track_id"], row["shot"]), [])
            run = run if run and run[-1][1] == frame - 1 else []
            run.append((chunk_index, frame))
            open_runs[row["track_id"], row["shot"]] = run
            if len(run) > len(best):
                best = list(run) if len(run) <= count else best
    numbers = {chunk: [frame for at, frame in best if at == chunk] for chunk, _ in best}
    return {chunk: (frames[0], frames[-1]) for chunk, frames in numbers.items()} if len(best) > 2 else {}


def swap_unsteadied(
    workspace: Workspace,
    plate: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    tracks: ManifestRef,
    window: tuple[int, int],
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    masks: MaskSettings,
    settings: SwapTarget,
    runtime: RuntimeSettings,
) -> Unsteadied:
    """Swap some frames of one chunk with the steadying of track and patches both off.

    Args:
        workspace: where manifests are.
        plate: the source.
        chunk_index: number of the chunk.
        frames: FRAMES of the chunk.
        tracks: TRACKS of the chunk.
        window: first and last frame_index.
        weights: trained weights.
        direction: subject of the plate, subject to draw.
        align: how chips are cut.
        masks: which part of a face is swapped.
        settings: as in `swap_frames`.
        runtime: device and threads.
    """
    first, last = window
    rows = (r for r in manifest.stream(workspace, tracks, TRACKS) if first <= r["frame_index"] <= last)
    name = layout.chunk_name("tracks", chunk_index)
    raw = manifest.publish(workspace, layout.UNSTEADIED, name, TRACKS, map(_as_detected, rows))
    aligned = align_landmarks(workspace, plate, frames, raw, align)
    covers = make_masks(workspace, chunk_index, aligned, align, masks)
    swapped = swap_frames(workspace, chunk_index, aligned, weights, direction, align, settings, runtime)
    off = SmoothSettings(strength=0)
    smoothed = smooth_frames(workspace, chunk_index, swapped, covers, [], [], align, off)
    return Unsteadied(tracks=raw, aligned=aligned, masks=covers, swapped=swapped, smoothed=smoothed)


def _as_detected(row: Row) -> Row:
    """A row of TRACKS with its points and places as they were before they were steadied."""
    place = fit_similarity(template5(), np.array(row["points5_raw"], np.float64).reshape(5, 2))
    steadied = np.array(row["similarity"], np.float64)
    changed = row | {"points5": row["points5_raw"], "similarity": place.tolist()}
    if row["points_dense"] is not None:
        mesh = _carried(np.array(row["points_dense"], np.float64).reshape(-1, 2), steadied, place)
        changed |= {"points_dense": mesh.ravel().tolist(), "similarity_dense": fit_dense(mesh).tolist()}
    elif row["similarity_dense"] is not None:  # interpolated: what it differs by from the five points stays
        changed["similarity_dense"] = _together(np.array(row["similarity_dense"], np.float64), steadied, place)
    return changed


def _carried(points: F64, one: F64, other: F64) -> F64:
    """Points (N, 2) that stand to the similarity (4,) ``other`` as they stood to ``one``."""
    (scale, shift), (to_scale, to_shift) = _complex(one), _complex(other)
    moved = (points[:, 0] + 1j * points[:, 1] - shift) / scale * to_scale + to_shift
    return np.stack([moved.real, moved.imag], axis=1)


def _together(similarity: F64, one: F64, other: F64) -> list[float]:
    """A similarity (4,) that stands to ``other`` as it stood to ``one``."""
    (scale, shift), (to_scale, to_shift) = _complex(one), _complex(other)
    own, place = _complex(similarity)
    turned, moved = own / scale * to_scale, (place - shift) / scale * to_scale + to_shift
    return [turned.real, turned.imag, moved.real, moved.imag]


def _complex(similarity: F64) -> tuple[complex, complex]:
    a, b, x, y = (float(v) for v in similarity)
    return complex(a, b), complex(x, y)
