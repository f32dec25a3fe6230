"""swapped patches of one chunk and its neighbours -> patches steadied in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import SmoothSettings
from faceswap_core.faces.smoothing import smooth_patch
from faceswap_core.manifest import Row
from faceswap_core.schemas import SMOOTHED, SWAPPED
from faceswap_core.stages.images import pack, unpack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import U8, ManifestRef

_Entry: TypeAlias = tuple[Row, U8]
"""A row of SWAPPED and its patch (S, S, 4)."""


def smooth_frames(
    workspace: Workspace,
    chunk_index: int,
    swapped: ManifestRef,
    before: Sequence[ManifestRef],
    after: Sequence[ManifestRef],
    settings: SmoothSettings,
) -> ManifestRef:
    """Steady the patches of one chunk.

    Args:
        workspace: where manifests are.
        chunk_index: number of the chunk.
        swapped: SWAPPED of the chunk.
        before: SWAPPED of chunks before it, in order, that reach ``settings.radius`` frames back.
        after: SWAPPED of chunks after it, in order, that reach as far ahead.
        settings: strength, reach and tolerance of the filter.
    """
    cap_threads(1)
    own = {(r["frame_index"], r["face_index"]) for r in _stream(workspace, [swapped], ["frame_index", "face_index"])}
    all_rows = _stream(workspace, [*before, swapped, *after], None)
    rows = (row for row in _smoothed(all_rows, settings) if (row["frame_index"], row["face_index"]) in own)
    return manifest.publish(workspace, layout.SMOOTHED, layout.chunk_name("smoothed", chunk_index), SMOOTHED, rows)


def _stream(workspace: Workspace, refs: Sequence[ManifestRef], columns: list[str] | None) -> Iterator[Row]:
    for ref in refs:
        yield from manifest.stream(workspace, ref, SWAPPED, columns)


def _smoothed(rows: Iterator[Row], settings: SmoothSettings) -> Iterator[Row]:
    """Rows with steadied patches, in order."""
    for row, window in _windows(rows, settings.radius):
        yield row | {"patch": pack(_steady(row, window, settings))}


def _windows(rows: Iterator[Row], radius: int) -> Iterator[tuple[Row, list[_Entry]]]:
    """Each row with all rows at most ``radius`` frames away; no more than that is held in memory."""
    held: list[_Entry] = []
    waiting = 0  # index in ``held`` of the next row to give out
    for row in chain(rows, [None]):
        now = row["frame_index"] if row is not None else None
        while waiting < len(held) and (now is None or held[waiting][0]["frame_index"] + radius < now):
            centre = held[waiting][0]
            yield centre, [e for e in held if abs(e[0]["frame_index"] - centre["frame_index"]) <= radius]
            waiting += 1
        oldest = held[waiting][0]["frame_index"] if waiting < len(held) else now
        while waiting and oldest is not None and held[0][0]["frame_index"] + radius < oldest:
            held.pop(0)
            waiting -= 1
        if row is not None:
            held.append((row, unpack(row["patch"])))


def _steady(row: Row, window: list[_Entry], settings: SmoothSettings) -> U8:
    """The patch of one face, averaged with the unbroken run of its track and shot in the window."""
    same = {
        other["frame_index"]: patch
        for other, patch in window
        if (other["track_id"], other["shot"]) == (row["track_id"], row["shot"])
    }
    now = row["frame_index"]
    first = last = now
    while first - 1 in same:
        first -= 1
    while last + 1 in same:
        last += 1
    patches = np.stack([same[i] for i in range(first, last + 1)])
    return smooth_patch(
        patches, now - first, radius=settings.radius, strength=settings.strength, tolerance=settings.tolerance
    )
