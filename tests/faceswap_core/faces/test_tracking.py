import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from faceswap_core.faces.geometry import template5
from faceswap_core.faces.tracking import (
    Detection,
    choose_subject,
    fill,
    jitter,
    link,
    overlap,
    shots_from_scores,
    smooth,
    smooth_series,
    to_edge,
)


def face(frame, x=100.0, y=100.0, side=50.0, index=0, score=0.99):
    box = np.array([x, y, x + side, y + side])
    return Detection(frame, index, box, score, template5() * side / 2 + [x + side / 2, y + side / 2])


def one_shot(frames):
    return np.zeros(frames, np.int64)


def linked(detections, shots, max_gap=5, min_iou=0.3):
    return link(detections, shots, min_iou=min_iou, max_gap=max_gap)


def frames_of(groups):
    return [[d.frame_index for d in group] for group in groups]


class TestOverlap:
    def test_is_intersection_over_union(self):
        box = np.array([0.0, 0, 2, 2])
        others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [5, 5, 6, 6], [0, 0, 1, 1]], float)
        np.testing.assert_allclose(overlap(box, others), [1, 1 / 3, 0, 0, 1 / 4])

    def test_with_nothing_is_nothing(self):
        assert overlap(np.array([0.0, 0, 2, 2]), np.empty((0, 4))).shape == (0,)

    def test_of_an_empty_box_is_zero(self):
        assert overlap(np.zeros(4), np.zeros((1, 4)))[0] == 0


class TestShots:
    def test_a_score_above_the_threshold_begins_a_shot(self):
        assert shots_from_scores(np.array([0, 0.1, 0.5, 0.12, 0.9]), 0.12).tolist() == [0, 0, 1, 1, 2]

    def test_the_first_frame_never_is_a_cut(self):
        assert shots_from_scores(np.array([0.9, 0.0]), 0.12).tolist() == [0, 0]

    def test_missing_scores_are_no_cuts(self):
        assert shots_from_scores(np.array([np.nan, np.nan]), 0.12).tolist() == [0, 0]

    def test_no_frames_have_no_shots(self):
        assert shots_from_scores(np.empty(0), 0.12).shape == (0,)


class TestLink:
    def test_moving_face_is_one_track(self):
        assert frames_of(linked([face(i, x=100 + 10 * i) for i in range(5)], one_shot(5))) == [[0, 1, 2, 3, 4]]

    def test_jump_begins_another_track(self):
        assert frames_of(linked([face(0), face(1, x=400)], one_shot(2))) == [[0], [1]]

    def test_two_faces_keep_to_themselves_whatever_their_order(self):
        detections = []
        for i in range(4):
            pair = [face(i, x=100 + 5 * i), face(i, x=300 - 5 * i)]
            detections += pair if i % 2 else pair[::-1]
        groups = linked(detections, one_shot(4))
        assert frames_of(groups) == [[0, 1, 2, 3]] * 2
        for group in groups:
            assert np.abs(np.diff([d.box_xyxy[0] for d in group])).max() == 5

    def test_better_overlap_wins(self):
        groups = linked([face(0), face(1, x=115, index=0), face(1, x=102, index=1)], one_shot(2))
        assert [[d.face_index for d in g] for g in groups] == [[0, 1], [0]]

    def test_no_track_crosses_a_cut(self):
        shots = np.array([0, 0, 1, 1])
        assert frames_of(linked([face(i) for i in range(4)], shots)) == [[0, 1], [2, 3]]

    def test_a_track_may_rest_for_max_gap_frames_and_no_longer(self):
        assert frames_of(linked([face(0), face(4)], one_shot(5), max_gap=3)) == [[0, 4]]
        assert frames_of(linked([face(0), face(5)], one_shot(6), max_gap=3)) == [[0], [5]]
        assert frames_of(linked([face(0), face(2)], one_shot(3), max_gap=0)) == [[0], [2]]

    def test_overlap_at_the_limit_is_enough(self):
        side, shift = 50.0, 25.0  # intersection 25*50, union 75*50: one third
        pair = [face(0, side=side), face(1, x=100 + shift, side=side)]
        assert len(linked(pair, one_shot(2), min_iou=1 / 3 - 1e-9)) == 1
        assert len(linked(pair, one_shot(2), min_iou=0.34)) == 2

    def test_nothing_gives_no_tracks(self):
        assert linked([], one_shot(3)) == []
        assert linked([], one_shot(0)) == []

    @given(st.lists(st.tuples(st.integers(0, 12), st.floats(0, 200)), max_size=30), st.integers(0, 4))
    def test_every_detection_is_in_exactly_one_track(self, places, max_gap):
        detections = [face(f, x=x, index=i) for i, (f, x) in enumerate(sorted(places))]
        shots = np.arange(13) // 5
        groups = linked(detections, shots, max_gap=max_gap)
        ids = sorted(d.face_index for group in groups for d in group)
        assert ids == list(range(len(detections)))
        for group in groups:
            steps = np.diff([d.frame_index for d in group])
            assert (steps >= 1).all()
            assert (steps <= max_gap + 1).all()
            assert len({int(shots[d.frame_index]) for d in group}) == 1


class TestFill:
    def test_gap_is_filled_linearly_and_marked(self):
        track = fill([face(2, x=100, index=7), face(5, x=130, index=4)], track_id=3, shot=1)
        assert track.frame_index.tolist() == [2, 3, 4, 5]
        assert track.interpolated.tolist() == [False, True, True, False]
        np.testing.assert_allclose(track.boxes_xyxy[:, 0], [100, 110, 120, 130])
        np.testing.assert_allclose(track.points5_raw[:, 0, 0] - track.points5_raw[0, 0, 0], [0, 10, 20, 30])
        assert track.scores.tolist() == [0.99, 0, 0, 0.99]
        assert track.face_index[[0, 3]].tolist() == [7, 4]
        assert (track.face_index[1:3] < 0).all()
        assert (track.track_id, track.shot, len(track)) == (3, 1, 4)

    def test_filled_faces_of_two_tracks_are_told_apart(self):
        one, two = (fill([face(0), face(2)], track_id=i, shot=0) for i in range(2))
        assert one.face_index[1] != two.face_index[1]

    def test_track_without_gaps_is_as_detected(self):
        detections = [face(i, x=100 + i * i) for i in range(4)]
        track = fill(detections, track_id=0, shot=0)
        assert not track.interpolated.any()
        np.testing.assert_array_equal(track.points5_raw, [d.points5 for d in detections])


series = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.floats(-1000, 1000)))


class TestSmoothing:
    @given(st.integers(1, 30), st.integers(0, 8), st.floats(-100, 100), st.floats(-10, 10))
    def test_straight_motion_passes_unchanged_at_the_ends_too(self, count, radius, start, speed):
        values = (start + speed * np.arange(count))[:, None]
        np.testing.assert_allclose(smooth_series(values, radius), values, atol=1e-8)

    @given(series, st.integers(0, 6))
    def test_is_the_same_backwards(self, values, radius):
        np.testing.assert_allclose(smooth_series(values[::-1], radius)[::-1], smooth_series(values, radius), atol=1e-8)

    @pytest.mark.parametrize("radius", [1, 3, 5])
    def test_reach_ends_at_the_radius(self, radius):
        values = np.random.default_rng(0).normal(size=(30, 2))
        changed = values.copy()
        changed[15] += 100
        moved = np.abs(smooth_series(changed, radius) - smooth_series(values, radius)).max(1) > 1e-9
        assert np.flatnonzero(moved).tolist() == list(range(15 - radius, 15 + radius + 1))

    def test_noise_is_reduced_and_more_so_with_a_longer_reach(self):
        noise = np.random.default_rng(0).normal(size=(400, 1))
        spread = [smooth_series(noise, radius).std() for radius in (0, 2, 4, 8)]
        assert spread[0] > 1.5 * spread[1]
        assert spread == sorted(spread, reverse=True)

    def test_slow_wave_keeps_its_phase(self):
        t = np.arange(200)
        wave = np.sin(t / 10)[:, None]
        out = smooth_series(wave, 3)
        assert np.argmax(np.correlate(out[:, 0], wave[:, 0], "full")) == len(t) - 1

    def test_radius_zero_changes_nothing(self):
        values = np.random.default_rng(0).normal(size=(9, 3))
        np.testing.assert_array_equal(smooth_series(values, 0), values)

    @given(st.integers(0, 4))
    def test_few_samples_pass(self, radius):
        for count in (0, 1, 2):
            values = np.arange(count * 2, dtype=float).reshape(count, 2) ** 2
            np.testing.assert_array_equal(smooth_series(values, radius), values)

    def test_track_keeps_its_raw_points_beside_the_smoothed_ones(self):
        rng = np.random.default_rng(1)
        noisy = [face(i, x=100 + rng.normal()) for i in range(40)]
        track = fill(noisy, track_id=0, shot=0)
        steady = smooth(track, 3)
        np.testing.assert_array_equal(steady.points5_raw, track.points5_raw)
        np.testing.assert_array_equal(steady.boxes_xyxy, track.boxes_xyxy)
        assert jitter(steady.points5) < jitter(track.points5) / 2


def track_of(frames, side, track_id, x=100.0):
    return fill([face(i, x=x, side=side) for i in frames], track_id=track_id, shot=0)


class TestChooseSubject:
    def test_takes_the_largest_face(self):
        tracks = [track_of(range(10), 40, 0), track_of(range(10), 80, 1, x=300)]
        assert choose_subject(tracks, one_shot(10)) == {1}

    def test_takes_one_face_at_a_time_and_fills_the_rest(self):
        tracks = [track_of(range(5), 80, 0), track_of(range(3, 10), 40, 1), track_of(range(6, 10), 30, 2)]
        assert choose_subject(tracks, one_shot(10)) == {0, 2}

    def test_ignores_a_short_false_alarm_however_large(self):
        tracks = [track_of(range(2), 1000, 0), track_of(range(10), 30, 1, x=300)]
        assert choose_subject(tracks, one_shot(10)) == {1}

    def test_takes_a_short_track_where_the_shot_is_as_short(self):
        assert choose_subject([track_of(range(2), 50, 0)], one_shot(2)) == {0}
        assert choose_subject([track_of([0], 50, 0)], one_shot(1)) == {0}

    def test_of_two_equal_faces_takes_the_first(self):
        tracks = [track_of(range(5), 50, 4, x=300), track_of(range(5), 50, 2)]
        assert choose_subject(tracks, one_shot(5)) == {2}

    def test_of_nothing_takes_nothing(self):
        assert choose_subject([], one_shot(5)) == set()
        assert choose_subject([], one_shot(0)) == set()


class TestJitter:
    def test_of_straight_motion_is_zero(self):
        points = template5()[None] * 30 + np.arange(10)[:, None, None]
        assert jitter(points) == pytest.approx(0, abs=1e-12)

    def test_does_not_depend_on_the_size_of_the_face(self):
        points = template5()[None] + np.random.default_rng(0).normal(0, 0.01, (50, 5, 2))
        assert jitter(points * 200) == pytest.approx(jitter(points * 20))
        assert jitter(points) > 0.01

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_of_too_few_frames_is_zero(self, count):
        assert jitter(np.zeros((count, 5, 2))) == 0


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        (0, 9, [None] * 10),  # the whole shot
        (3, 9, [0, 1, 2, 3, 4, 5, 6]),  # enters
        (0, 4, [4, 3, 2, 1, 0]),  # leaves
        (2, 6, [0, 1, 2, 1, 0]),
        (5, 5, [0]),
    ],
)
@pytest.mark.parametrize("before", [0, 4])
def test_a_face_enters_and_leaves_within_its_shot_only(first, last, wanted, before):
    """A shot of ten frames, alone or between two others."""
    shots = np.array([0] * before + [1] * 10 + [2] * before)
    frames = range(before + first, before + last + 1)
    track = fill([face(frame) for frame in frames], track_id=0, shot=1)
    assert to_edge(track, shots) == wanted
