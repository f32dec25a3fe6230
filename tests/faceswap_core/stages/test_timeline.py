import pytest

from faceswap_core.schemas import QUALITY
from faceswap_core.stages.quality_series import SERIES, runs_of, worst_faces
from faceswap_core.stages.timeline import HEIGHT, WIDTH, curves, state_strip


def row(frame, **known):
    base = dict.fromkeys(QUALITY.names) | {
        "variant": "swap",
        "frame_index": frame,
        "face_index": 0,
        "track_id": 0,
        "shot": 0,
        "eye_distance": 10.0,
        "points5": [0.0] * 10,
        "points5_plate": [0.0] * 10,
        "lab_apart": [0.0, 0.0, 0.0],
        "nme": 0.01,
        "warp": 0.002,
        "warp_plate": 0.002,
        "sharpness": 50.0,
        "sharpness_plate": 100.0,
        "seam": 1.0,
    }
    return base | known


def test_states_are_joined_to_runs_that_fill_the_strip():
    states = [{"frame_index": n, "state": s} for n, s in enumerate(["swapped"] * 3 + ["no_face"] + ["swapped"])]
    strip = state_strip(states)
    assert [(run["state"], run["first"], run["last"]) for run in strip] == [
        ("swapped", 0, 2),
        ("no_face", 3, 3),
        ("swapped", 4, 4),
    ]
    assert sum(run["share"] for run in strip) == pytest.approx(1)
    assert state_strip([]) == []


def test_the_worst_frame_of_each_figure_is_found_and_keeps_its_pictures():
    rows = [row(n) for n in range(8)]
    rows[3] |= {"nme": 0.5, "before": b"a", "after": b"b"}
    rows[5] |= {"sharpness": 5.0}
    rows[6] |= {"lab_apart": [9.0, 0.0, 0.0]}
    drawn = {curve["name"]: curve for curve in curves(rows, 7)}
    assert set(drawn) == set(SERIES) - {"identity_transfer"}, "there is no truth"
    assert (drawn["landmark_nme"]["worst_frame"], drawn["landmark_nme"]["pictures"]) == (3, (b"a", b"b"))
    assert (drawn["sharpness"]["worst_frame"], drawn["sharpness"]["worst"]) == (5, 0.05)
    assert drawn["flicker"]["worst_frame"] == 6
    assert drawn["seam_ratio"]["pictures"] is None
    assert {(3, 0), (5, 0), (6, 0)} <= worst_faces(rows)


def test_lines_stay_in_their_box_and_break_where_frames_are_missing():
    curve = next(c for c in curves([row(n, nme=n / 10) for n in (0, 1, 2, 5, 7)], 7) if c["name"] == "landmark_nme")
    assert len(curve["lines"]) == 3
    places = [tuple(map(float, place.split(","))) for line in curve["lines"] for place in line.split()]
    assert all(0 <= x <= WIDTH + 1 and 0 <= y <= HEIGHT for x, y in places)
    assert places[0] == (0, HEIGHT)
    assert curve["mean"] == pytest.approx(0.3)


def test_nothing_measured_draws_nothing():
    assert curves([], 0) == []
    assert curves([row(0, variant="ideal")], 5) == []


def test_runs_end_at_cuts_and_gaps():
    rows = [row(0), row(1), row(2, shot=1), row(3, shot=1), row(5, shot=1)]
    assert [[r["frame_index"] for r in run] for run in runs_of(rows)] == [[0, 1], [2, 3], [5]]
