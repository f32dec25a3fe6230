"""states of frames + rows of QUALITY -> what the report draws over time, and its worst frames as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from faceswap_core.manifest import Row
from faceswap_core.stages.quality_series import HIGHER_IS_BETTER, SERIES, Moment, worst_of
from faceswap_core.types import Json

WIDTH, HEIGHT = 1000, 56
"""Size of one drawing, in its own units; the page stretches it."""
_LABELS: Mapping[str, tuple[str, str]] = {
    "landmark_nme": ("landmarks", "distance to the plate's, share of the eyes' distance"),
    "residual_jitter": ("jitter", "trembling that the plate does not show, share of the eyes' distance"),
    "flicker": ("flicker", "changes of colour that the plate does not show, CIE L*a*b*"),
    "warping_error_ratio": (
        "warping error",
        "change along the plate's motion, over the plate's own",
    ),
    "sharpness": ("sharpness", "over that of the truth, or of the plate without one; more is better"),
    "seam_ratio": ("seam", "steepness across the patch's edge, over the plate's; 1 is no seam"),
    "identity_transfer": ("identity", "from the plate (0) to the truth (1)"),
}


def state_strip(states: Sequence[Mapping[str, str | int]]) -> list[Json]:
    """Runs of frames that ended alike: state, first and last frame_index, and share of all frames."""
    runs: list[Json] = []
    for state in states:
        if runs and runs[-1]["state"] == state["state"]:
            runs[-1]["last"] = state["frame_index"]
            runs[-1]["count"] += 1
        else:
            first = {"first": state["frame_index"], "last": state["frame_index"]}
            runs.append({"state": state["state"], **first, "count": 1})
    return [run | {"share": run["count"] / len(states)} for run in runs]


def curves(rows: Sequence[Row], last_frame: int) -> list[Json]:
    """Every figure over time: name, label, meaning, lines, mean, worst, and where that is.

    Lines are points of an SVG polyline in a box of `WIDTH` by `HEIGHT`; the y axis runs from 0 to ``top``.
    """
    swap = [row for row in rows if row["variant"] == "swap"]
    drawn = []
    for name, moments_of in SERIES.items():
        moments = sorted(moments_of(swap))
        worst = worst_of(name, moments)
        if worst is None:
            continue
        label, meaning = _LABELS[name]
        top = max(*(moment.value for moment in moments), 1e-9) * 1.05
        drawn.append(
            {
                "name": name,
                "label": label,
                "meaning": meaning,
                "lines": [_line(run, last_frame, top) for run in _unbroken(moments)],
                "top": top,
                "mean": sum(moment.value for moment in moments) / len(moments),
                "worst": worst.value,
                "worst_frame": worst.frame_index,
                "worst_xy": _place(worst, last_frame, top),
                "higher_is_better": name in HIGHER_IS_BETTER,
                "pictures": _pictures(swap, worst),
            }
        )
    return drawn


def _unbroken(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Moments of frames that follow each other."""
    runs = [[moments[0]]]
    for before, now in pairwise(moments):
        if now.frame_index - before.frame_index > 1:
            runs.append([])
        runs[-1].append(now)
    return runs


def _place(moment: Moment, last_frame: int, top: float) -> tuple[float, float]:
    x = WIDTH * moment.frame_index / max(last_frame, 1)
    return round(x, 1), round(HEIGHT * (1 - max(moment.value, 0) / top), 1)


def _line(run: Sequence[Moment], last_frame: int, top: float) -> str:
    places = [_place(moment, last_frame, top) for moment in run]
    if len(places) == 1:
        places.append((places[0][0] + 1, places[0][1]))
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _pictures(rows: Sequence[Row], worst: Moment) -> tuple[bytes, bytes] | None:
    """The plate's face and the swapped one as JPEG; None where none were kept."""
    for row in rows:
        if (row["frame_index"], row["face_index"]) == worst[:2] and row["before"]:
            return row["before"], row["after"]
    return None
