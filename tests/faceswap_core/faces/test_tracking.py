import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceswap_core.faces.geometry import template5
from faceswap_core.faces.tracking import (
    Detection,
    Likeness,
    link,
    mean_embedding,
    overlap,
    predict,
    rejoin,
    shots_from_scores,
)
from faceswap_core.faces.tracks import fill, to_edge


def face(frame, x=100.0, y=100.0, side=50.0, index=0, score=0.99, embedding=None):
    box = np.array([x, y, x + side, y + side])
    points = template5() * side / 2 + [x + side / 2, y + side / 2]
    return Detection(frame, index, box, score, points, None if embedding is None else np.array(embedding, float))


def one_shot(frames):
    return np.zeros(frames, np.int64)


def linked(detections, shots, max_gap=5, min_iou=0.3, min_cosine=0.35):
    return link(detections, shots, Likeness(min_iou, min_cosine), max_gap=max_gap)


def rejoined(groups, shots, max_lost=30, min_iou=0.3, min_cosine=0.35):
    return rejoin(groups, shots, Likeness(min_iou, min_cosine), max_lost=max_lost)


ME, YOU = [1.0, 0, 0], [0, 1.0, 0]


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
    def test_a_cut_between_pictures_that_are_alike_stands_out(self):
        calm = [0.003, 0.004, 0.06, 0.003, 0.002]
        assert shots_from_scores(np.array([0, *calm, *calm]), 0.12).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]

    def test_neither_a_moving_camera_nor_a_flash_is_a_cut(self):
        for scores in ([0, 0.06, 0.05, 0.07, 0.06, 0.1], [0, 0.002, 0.1, 0.1, 0.003], [0, 0, 0, 0.03, 0, 0]):
            assert not shots_from_scores(np.array(scores), 0.12).any()

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

    def test_two_faces_that_pass_through_each_other_keep_their_ways(self):
        detections = [
            f for i in range(21) for f in (face(i, x=100 + 10 * i, index=0), face(i, x=300 - 10 * i, index=1))
        ]
        groups = linked(detections, one_shot(21))
        assert [[d.face_index for d in group] for group in groups] == [[0] * 21, [1] * 21]

    def test_a_face_hidden_while_another_passes_goes_on_behind_it(self):
        front = [face(i, x=100 + 12 * i, index=0) for i in range(21)]
        back = [face(i, x=340 - 12 * i, index=1) for i in range(21) if not 8 <= i <= 12]
        detections = sorted(front + back, key=lambda d: (d.frame_index, d.face_index))
        groups = linked(detections, one_shot(21))
        assert [{d.face_index for d in group} for group in groups] == [{0}, {1}]

    def test_all_faces_together_fit_best_though_one_alone_would_fit_better_elsewhere(self):
        still = [face(i, x=100, index=0) for i in range(6)] + [face(i, x=130, index=1) for i in range(6)]
        moved = [face(6, x=112, index=0), face(6, x=142, index=1)]
        groups = linked(sorted(still, key=lambda d: d.frame_index) + moved, one_shot(7))
        assert [{d.face_index for d in group} for group in groups] == [{0}, {1}]

    def test_an_unlike_embedding_is_another_face_wherever_it_is(self):
        groups = linked([face(0, embedding=ME), face(1, embedding=YOU), face(2, embedding=ME)], one_shot(3))
        assert frames_of(groups) == [[0, 2], [1]]

    def test_embeddings_tell_faces_in_one_place_apart(self):
        pair = [face(0, x=100, index=0, embedding=ME), face(0, x=110, index=1, embedding=YOU)]
        swapped = [face(1, x=100, index=1, embedding=YOU), face(1, x=110, index=0, embedding=ME)]
        groups = linked(pair + swapped, one_shot(2))
        assert [[d.face_index for d in group] for group in groups] == [[0, 0], [1, 1]]

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


class TestPredict:
    @given(st.integers(1, 20), st.integers(1, 10), st.floats(-5, 5))
    def test_steady_motion_is_continued_forwards_and_backwards(self, count, away, speed):
        group = [face(i, x=100 + speed * i) for i in range(count)]
        if count == 1:
            speed = 0
        ahead = predict(group, count - 1 + away)
        back = predict(group, -away)
        np.testing.assert_allclose(ahead[0], 100 + speed * (count - 1 + away), atol=1e-6)
        np.testing.assert_allclose(back[0], 100 - speed * away, atol=1e-6)
        np.testing.assert_allclose(ahead[2:] - ahead[:2], 50)

    def test_a_gap_within_does_not_change_the_speed(self):
        group = [face(i, x=100 + 4 * i) for i in (0, 1, 5, 6)]
        assert predict(group, 8)[0] == pytest.approx(132)


class TestRejoin:
    def test_a_face_found_where_its_motion_leads_is_the_same(self):
        before, after = [face(i, x=10 * i) for i in range(10)], [face(i, x=10 * i) for i in range(25, 35)]
        assert frames_of(rejoined([before, after], one_shot(40))) == [[*range(10), *range(25, 35)]]

    def test_a_face_found_in_its_old_place_is_the_same(self):
        before = [face(i, x=100 + max(0, i - 6)) for i in range(10)]
        after = [face(i, x=103 + max(0, i - 28)) for i in range(25, 35)]
        assert len(rejoined([before, after], one_shot(40))) == 1

    @pytest.mark.parametrize(
        ("x", "shots", "max_lost"),
        [
            (400, one_shot(40), 30),  # elsewhere
            (100, one_shot(40), 14),  # too late
            (100, np.repeat([0, 1], 20), 30),  # in another shot
        ],
    )
    def test_another_face_is_not(self, x, shots, max_lost):
        groups = [[face(i) for i in range(10)], [face(i, x=x) for i in range(25, 35)]]
        assert len(rejoined(groups, shots, max_lost=max_lost)) == 2

    def test_lost_for_just_as_long_as_allowed_is_not_too_late(self):
        groups = [[face(i) for i in range(10)], [face(i) for i in range(25, 35)]]
        assert len(rejoined(groups, one_shot(40), max_lost=15)) == 1

    def test_of_two_that_fit_alike_none_is_taken(self):
        before = [face(i) for i in range(10)]
        groups = [before, [face(i, x=90) for i in range(20, 30)], [face(i, x=112) for i in range(20, 30)]]
        assert len(rejoined(groups, one_shot(40))) == 3

    def test_one_face_lost_twice_stays_one(self):
        groups = [[face(i) for i in range(first, first + 5)] for first in (0, 12, 24)]
        assert frames_of(rejoined(groups, one_shot(30))) == [[*range(5), *range(12, 17), *range(24, 29)]]

    def test_embeddings_know_a_face_anywhere_and_however_late_and_refuse_another_in_its_place(self):
        mine = [face(i, embedding=ME) for i in range(10)]
        yours = [face(i, embedding=YOU) for i in range(15, 20)]
        late = [face(i, x=900, embedding=ME) for i in range(500, 510)]
        assert frames_of(rejoined([mine, yours, late], one_shot(600))) == [
            [*range(10), *range(500, 510)],
            list(range(15, 20)),
        ]

    def test_faces_seen_at_once_are_never_joined(self):
        groups = [[face(i, embedding=ME) for i in range(10)], [face(i, x=300, embedding=ME) for i in range(5, 20)]]
        assert len(rejoined(groups, one_shot(20))) == 2

    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8), st.floats(0, 200)), max_size=8))
    def test_every_face_stays_in_one_group_and_no_group_has_two_faces_in_a_frame(self, spans):
        groups = [
            [face(i, x=x, index=n) for i in range(first, first + count)] for n, (first, count, x) in enumerate(spans)
        ]
        joined = rejoined(groups, np.arange(50) // 25)
        assert sorted(id(d) for g in joined for d in g) == sorted(id(d) for g in groups for d in g)
        for group in joined:
            assert (np.diff([d.frame_index for d in group]) >= 1).all()

    def test_nothing_gives_nothing(self):
        assert rejoined([], one_shot(3)) == []


def test_the_mean_embedding_has_length_one_and_ignores_faces_without():
    group = [face(0, embedding=[1, 0]), face(1), face(2, embedding=[0, 1])]
    np.testing.assert_allclose(mean_embedding(group), np.array([1, 1]) / np.sqrt(2))
    assert mean_embedding([face(0)]) is None


def filled(group, track_id=0, shots=None, max_gap=5):
    """By default the shot lasts as long as its detections."""
    first, last = group[0].frame_index, group[-1].frame_index
    shots = np.array([0] * first + [1] * (last + 1 - first)) if shots is None else shots
    return fill(group, track_id=track_id, shots=shots, max_gap=max_gap)


class TestFill:
    def test_gap_is_filled_linearly_and_marked(self):
        track = filled([face(2, x=100, index=7), face(5, x=130, index=4)], track_id=3)
        assert track.frame_index.tolist() == [2, 3, 4, 5]
        assert track.interpolated.tolist() == [False, True, True, False]
        np.testing.assert_allclose(track.boxes_xyxy[:, 0], [100, 110, 120, 130])
        np.testing.assert_allclose(track.points5_raw[:, 0, 0] - track.points5_raw[0, 0, 0], [0, 10, 20, 30])
        assert track.scores.tolist() == [0.99, 0, 0, 0.99]
        assert track.face_index[[0, 3]].tolist() == [7, 4]
        assert (track.face_index[1:3] < 0).all()
        assert (track.track_id, track.shot, len(track)) == (3, 1, 4)

    def test_filled_faces_of_two_tracks_are_told_apart(self):
        one, two = (filled([face(0), face(2)], track_id=i) for i in range(2))
        assert one.face_index[1] != two.face_index[1]

    def test_track_without_gaps_is_as_detected(self):
        detections = [face(i, x=100 + i * i) for i in range(4)]
        track = filled(detections)
        assert not track.interpolated.any()
        np.testing.assert_array_equal(track.points5_raw, [d.points5 for d in detections])

    def test_a_gap_as_long_as_allowed_is_filled_and_a_longer_one_left_open(self):
        track = filled([face(0), face(4), face(9)], max_gap=3)
        assert track.frame_index.tolist() == [0, 1, 2, 3, 4, 9]
        assert track.interpolated.tolist() == [False, True, True, True, False, False]
        assert filled([face(0), face(2)], max_gap=0).frame_index.tolist() == [0, 2]

    def test_a_face_found_soon_after_a_cut_and_lost_soon_before_the_next_is_carried_to_both(self):
        shots = np.array([0] * 5 + [1] * 14 + [2] * 5)
        track = filled([face(frame, x=100 + 10 * frame) for frame in range(8, 16)], shots=shots)
        assert track.frame_index.tolist() == list(range(5, 19))
        assert track.interpolated.tolist() == [True] * 3 + [False] * 8 + [True] * 3
        np.testing.assert_allclose(track.boxes_xyxy[:, 0], 100 + 10 * track.frame_index)
        np.testing.assert_allclose(np.diff(track.points5_raw[:, 0, 0]), 10)
        assert (track.face_index[track.interpolated] < 0).all()
        assert to_edge(track, shots) == [None] * 14, "it neither enters nor leaves"

    @pytest.mark.parametrize(("first", "count"), [(6, 8), (3, 5)])
    def test_it_is_not_carried_farther_than_a_gap_may_be_nor_for_few_detections(self, first, count):
        group = [face(frame) for frame in range(first, first + count)]
        track = filled(group, shots=np.zeros(first + count, int), max_gap=5)
        assert track.frame_index.tolist() == [d.frame_index for d in group]


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
    track = fill([face(frame) for frame in frames], track_id=0, shots=shots, max_gap=0)
    assert to_edge(track, shots) == wanted


def test_a_gap_that_was_not_filled_is_left_and_entered():
    frames = [0, 1, 2, 7, 8, 9]
    track = fill([face(frame) for frame in frames], track_id=0, shots=one_shot(10), max_gap=2)
    assert track.frame_index.tolist() == frames
    assert to_edge(track, one_shot(10)) == [2, 1, 0, 0, 1, 2]
