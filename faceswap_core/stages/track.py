"""detections -> tracks: shots, tracks within them, gaps filled, points smoothed, the subject chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import TrackSettings
from faceswap_core.faces.geometry import fit_similarity, template5
from faceswap_core.faces.tracking import (
    Detection,
    Track,
    choose_subject,
    fill,
    link,
    shots_from_scores,
    smooth,
    to_edge,
)
from faceswap_core.manifest import Row
from faceswap_core.schemas import DETECTIONS, FRAMES, TRACKS
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, I64, ManifestRef
from faceswap_core.video.checked import thumbnail_of
from faceswap_core.video.planes import cut_score


def track_faces(
    workspace: Workspace,
    frames: Sequence[ManifestRef],
    detections: Sequence[ManifestRef],
    subject: str,
    settings: TrackSettings,
) -> list[ManifestRef]:
    """Follow the faces of a whole video.

    Args:
        workspace: where manifests are.
        frames: FRAMES of every chunk, in order.
        detections: DETECTIONS of every chunk, in order.
        subject: name given to the largest face of each moment.
        settings: thresholds, longest gap, reach of the filter.

    Returns:
        TRACKS of every chunk, in order.
    """
    shots = shots_from_scores(cut_scores(workspace, frames), settings.cut_threshold)
    linked = link(_stream(workspace, detections), shots, min_iou=settings.min_iou, max_gap=settings.max_gap)
    sure = [group for group in linked if max(d.score for d in group) >= settings.start_score]
    tracks = [
        smooth(fill(group, track_id=i, shot=int(shots[group[0].frame_index])), settings.smooth_radius)
        for i, group in enumerate(sure)
    ]
    chosen = choose_subject(tracks, shots)
    rows = _rows_by_frame(tracks, chosen, subject, shots)
    refs = []
    for chunk_index, ref in enumerate(frames):
        numbers = manifest.load(workspace, ref, FRAMES, ["frame_index"]).column("frame_index").to_pylist()
        chunk_rows = (row for frame in numbers for row in rows.get(frame, ()))
        name = layout.chunk_name("tracks", chunk_index)
        refs.append(manifest.publish(workspace, layout.TRACKS, name, TRACKS, chunk_rows))
    return refs


def cut_scores(workspace: Workspace, frames: Sequence[ManifestRef]) -> F64:
    """Difference of every frame of a video to the decoded one before, 0..1; 0 for the very first and missing ones."""
    scores: list[float] = []
    last = None
    for ref in frames:
        facts = manifest.metadata(workspace, ref, FRAMES)
        table = manifest.load(workspace, ref, FRAMES, ["frame_index", "cut_score"])
        numbers, column = (table.column(name).to_pylist() for name in ("frame_index", "cut_score"))
        first = thumbnail_of(facts["first_thumbnail"])
        if column:
            column[0] = 0.0 if last is None or first is None else cut_score(last, first)
        for number, score in zip(numbers, column, strict=True):
            scores += [0.0] * (number - len(scores))
            scores.append(score)
        last = thumbnail_of(facts["last_thumbnail"]) if column else last
    return np.array(scores, np.float64)


def _stream(workspace: Workspace, detections: Sequence[ManifestRef]) -> Iterator[Detection]:
    for ref in detections:
        for row in manifest.stream(workspace, ref, DETECTIONS, _COLUMNS):
            yield Detection(
                frame_index=row["frame_index"],
                face_index=row["face_index"],
                box_xyxy=np.array(row["box_xyxy"], np.float64),
                score=row["score"],
                points5=np.array(row["points5"], np.float64).reshape(5, 2),
            )


_COLUMNS = ["frame_index", "face_index", "box_xyxy", "score", "points5"]


def _rows_by_frame(tracks: Sequence[Track], chosen: set[int], subject: str, shots: I64) -> dict[int, list[Row]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for track in tracks:
        edges = to_edge(track, shots)
        for i, frame in enumerate(track.frame_index):
            row = _row(track, i, subject if track.track_id in chosen else None)
            rows[int(frame)].append(row | {"to_edge": edges[i]})
    return rows


def _row(track: Track, i: int, subject: str | None) -> Row:
    return {
        "frame_index": int(track.frame_index[i]),
        "face_index": int(track.face_index[i]),
        "track_id": track.track_id,
        "subject": subject,
        "shot": track.shot,
        "box_xyxy": track.boxes_xyxy[i].tolist(),
        "score": float(track.scores[i]),
        "points5": track.points5[i].ravel().tolist(),
        "points5_raw": track.points5_raw[i].ravel().tolist(),
        "similarity": fit_similarity(template5(), track.points5[i]).tolist(),
        "interpolated": bool(track.interpolated[i]),
    }
