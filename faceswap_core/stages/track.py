"""detections -> tracks: shots, tracks within them, gaps filled, points smoothed, the subject chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config_track import Choice, TrackSettings
from faceswap_core.errors import ManifestError
from faceswap_core.faces.choosing import choose
from faceswap_core.faces.steadying import Steadied, steady
from faceswap_core.faces.tracking import (
    Detection,
    Group,
    Likeness,
    link,
    rejoin,
    shots_from_scores,
)
from faceswap_core.faces.tracks import Track, fill, to_edge
from faceswap_core.manifest import Row
from faceswap_core.schemas import DETECTIONS, FRAMES, TRACKS
from faceswap_core.stages.track_mesh import Meshes, fits_of, meshes_of, similarities_by_mesh, with_mesh
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
    choice: Choice | None = None,
) -> list[ManifestRef]:
    """Follow the faces of a whole video, and name the subject's.

    Args:
        workspace: where manifests are.
        frames: FRAMES of every chunk, in order.
        detections: DETECTIONS of every chunk, in order.
        subject: name given to the chosen tracks.
        settings: thresholds, longest gaps, reach of the filters.
        choice: who is meant where several people are seen; by default whoever is alone.

    Returns:
        TRACKS of every chunk, in order. Where nobody could be chosen no face has a subject (`undecided`).

    Raises:
        SettingsError: the choice names tracks that do not exist, or cannot be compared with what was detected.
        ManifestError: the detections come from more than one backend.
    """
    shots = shots_from_scores(cut_scores(workspace, frames), settings.cut_threshold)
    tracks = follow(_stream(workspace, detections), shots, settings)
    chosen = choose(tracks, shots, choice or Choice(), settings.min_cosine)
    rows = _rows_by_frame(tracks, chosen.ids, subject, settings, shots, fits_of(workspace, detections))
    refs = []
    for chunk_index, ref in enumerate(frames):
        numbers = manifest.load(workspace, ref, FRAMES, ["frame_index"]).column("frame_index").to_pylist()
        meshes = meshes_of(workspace, detections[chunk_index])
        chunk_rows = (with_mesh(row, meshes) for frame in numbers for row in rows.get(frame, ()))
        name = layout.chunk_name("tracks", chunk_index)
        said = {_UNDECIDED: chosen.undecided}
        refs.append(manifest.publish(workspace, layout.TRACKS, name, TRACKS, chunk_rows, said))
    return refs


_UNDECIDED = "undecided"


def undecided(workspace: Workspace, tracks: Sequence[ManifestRef]) -> str:
    """Why nobody could be chosen among the tracks of a video; empty where somebody was."""
    return next((manifest.metadata(workspace, ref, TRACKS)[_UNDECIDED] for ref in tracks[:1]), "")


def follow(detections: Iterator[Detection], shots: I64, settings: TrackSettings) -> list[Track]:
    """The tracks of a video, numbered by when they begin: equal input gives equal numbers."""
    likeness = Likeness(settings.min_iou, settings.min_cosine)
    groups = link(detections, shots, likeness, max_gap=settings.max_gap)
    groups = rejoin(groups, shots, likeness, max_lost=max(settings.max_lost, settings.max_gap))
    sure = [group for group in groups if is_sure(group, settings.start_score)]
    return [fill(group, track_id=i, shots=shots, max_gap=settings.max_gap) for i, group in enumerate(sure)]


def is_sure(group: Group, start_score: float) -> bool:
    """True for a face that was once found beyond doubt, or for long with little: its median may be 0.15 lower."""
    scores = [d.score for d in group]
    return max(scores) >= start_score or (len(scores) >= _LASTING and median(scores) >= start_score - _LENIENCE)


_LASTING = 10
"""Detections from which a face has lasted for long."""
_LENIENCE = 0.15


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
    """All detections, which must be of one backend: each puts its points elsewhere on a face."""
    backend = None
    for ref in detections:
        for row in manifest.stream(workspace, ref, DETECTIONS, _COLUMNS):
            backend = backend or row["backend"]
            if row["backend"] != backend:
                raise ManifestError(
                    f"{ref['path']} holds faces found by {row['backend']!r} beside those found by {backend!r}: "
                    "detectors cannot be mixed; remove it and run the same command again"
                )
            yield Detection(
                frame_index=row["frame_index"],
                face_index=row["face_index"],
                box_xyxy=np.array(row["box_xyxy"], np.float64),
                score=row["score"],
                points5=np.array(row["points5"], np.float64).reshape(5, 2),
                embedding=None if row["embedding"] is None else np.array(row["embedding"], np.float64),
            )


_COLUMNS = ["frame_index", "face_index", "box_xyxy", "score", "points5", "embedding", "backend"]


def _rows_by_frame(
    tracks: Sequence[Track], chosen: frozenset[int], subject: str, settings: TrackSettings, shots: I64, fits: Meshes
) -> dict[int, list[Row]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for track in tracks:
        steadied = steady(track, points_radius=settings.smooth_radius, similarity_radius=settings.similarity_radius)
        by_mesh = similarities_by_mesh(track, steadied, fits, settings.similarity_radius)
        edges = to_edge(track, shots)
        for i, frame in enumerate(track.frame_index):
            row = _row(track, steadied, i, subject if track.track_id in chosen else None)
            row |= {"to_edge": edges[i], "similarity_dense": None if by_mesh is None else by_mesh[i].tolist()}
            rows[int(frame)].append(row)
    return rows


def _row(track: Track, steadied: Steadied, i: int, subject: str | None) -> Row:
    return {
        "frame_index": int(track.frame_index[i]),
        "face_index": int(track.face_index[i]),
        "track_id": track.track_id,
        "subject": subject,
        "shot": track.shot,
        "box_xyxy": track.boxes_xyxy[i].tolist(),
        "score": float(track.scores[i]),
        "points5": steadied.points5[i].ravel().tolist(),
        "points5_raw": track.points5_raw[i].ravel().tolist(),
        "similarity": steadied.similarities[i].tolist(),
        "interpolated": bool(track.interpolated[i]),
    }
