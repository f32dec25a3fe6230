"""rows of QUALITY -> each figure over time, and the frames in which it is worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from faceswap_core.manifest import Row
from faceswap_core.quality.temporal import flickers, trembles
from faceswap_core.types import F64


class Moment(NamedTuple):
    """One figure of one face in one frame."""

    frame_index: int
    face_index: int
    value: float


def runs_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one variant as unbroken runs: one face of one shot, frame after frame."""
    found: dict[tuple[int, int], list[list[Row]]] = {}
    for row in sorted(rows, key=lambda r: r["frame_index"]):
        runs = found.setdefault((row["track_id"], row["shot"]), [])
        if runs and runs[-1][-1]["frame_index"] == row["frame_index"] - 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return [run for runs in found.values() for run in runs]


def jitter_moments(rows: Sequence[Row]) -> list[Moment]:
    """`trembles` of the five points against the plate's, by the eyes' median distance."""
    seen = [row for row in rows if row["points5"] is not None]
    size = median(row["eye_distance"] for row in seen) if seen else 1.0
    found: list[Moment] = []
    for run in runs_of(seen):
        made, plate = (_column(run, name).reshape(-1, 5, 2) for name in ("points5", "points5_plate"))
        found += _inner(run, trembles(made, plate, size))
    return found


def flicker_moments(rows: Sequence[Row]) -> list[Moment]:
    """`flickers` of the face's mean colour against the plate's."""
    return [moment for run in runs_of(rows) for moment in _inner(run, flickers(_column(run, "lab_apart")))]


def warping_moments(rows: Sequence[Row]) -> list[Moment]:
    """Warping error of each frame by the mean one of the plate."""
    known = [row for row in rows if row["warp"] is not None]
    plate = float(np.mean([row["warp_plate"] for row in known])) if known else 0.0
    return [_moment(row, row["warp"] / plate) for row in known] if plate > 0 else []


def sharpness_moments(rows: Sequence[Row]) -> list[Moment]:
    """Sharpness of each frame by that of the truth where all of it is known, else of the plate."""
    pairs = [
        (row, row["sharpness_plate"] if row["sharpness_truth"] is None else row["sharpness_truth"]) for row in rows
    ]
    return [_moment(row, row["sharpness"] / beside) for row, beside in pairs if beside]


def _plain(column: str) -> Callable[[Sequence[Row]], list[Moment]]:
    return lambda rows: [_moment(row, row[column]) for row in rows if row[column] is not None]


SERIES: Mapping[str, Callable[[Sequence[Row]], list[Moment]]] = {
    "landmark_nme": _plain("nme"),
    "residual_jitter": jitter_moments,
    "flicker": flicker_moments,
    "warping_error_ratio": warping_moments,
    "sharpness": sharpness_moments,
    "seam_ratio": _plain("seam"),
    "identity_transfer": _plain("transfer"),
}
"""Figures over time by their name."""
HIGHER_IS_BETTER = frozenset({"sharpness", "identity_transfer"})


def worst_of(name: str, moments: Sequence[Moment]) -> Moment | None:
    """The moment in which a figure is worst; the first of equal ones."""
    if not moments:
        return None
    return min(moments, key=lambda m: m.value if name in HIGHER_IS_BETTER else -m.value)


def worst_faces(rows: Sequence[Row]) -> set[tuple[int, int]]:
    """frame_index and face_index of the moments in which any figure is worst."""
    found = (worst_of(name, moments(rows)) for name, moments in SERIES.items())
    return {(moment.frame_index, moment.face_index) for moment in found if moment}


def _column(run: Sequence[Row], name: str) -> F64:
    return np.array([row[name] for row in run], np.float64)


def _inner(run: Sequence[Row], values: F64) -> Iterator[Moment]:
    """Values of all frames of a run but the first and the last."""
    return (_moment(row, float(value)) for row, value in zip(run[1:-1], values, strict=True))


def _moment(row: Row, value: float) -> Moment:
    return Moment(row["frame_index"], row["face_index"], float(value))
