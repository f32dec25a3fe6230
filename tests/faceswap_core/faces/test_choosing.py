from dataclasses import replace

import numpy as np
import pytest

from faceswap_core.config_track import Choice
from faceswap_core.errors import SettingsError
from faceswap_core.faces.choosing import choose, prominent
from faceswap_core.faces.geometry import template5
from faceswap_core.faces.tracking import Detection
from faceswap_core.faces.tracks import fill

ME, YOU = np.array([1.0, 0]), np.array([0.0, 1])


def track_of(frames, side, track_id, x=100.0, shot=0, embedding=None):
    box = np.array([x, 100, x + side, 100 + side])
    group = [Detection(i, 0, box, 0.99, template5() * side + x, embedding) for i in frames]
    return replace(fill(group, track_id=track_id, shots=np.zeros(max(frames) + 1, int), max_gap=0), shot=shot)


def chosen(found, /, frames=10, shots=None, **choice):
    return choose(found, np.zeros(frames, int) if shots is None else np.array(shots), Choice(**choice), 0.35)


class TestAutomatic:
    def test_one_person_is_taken_in_every_shot(self):
        tracks = [track_of(range(5), 80, 0), track_of(range(5, 10), 30, 1, x=300, shot=1)]
        assert chosen(tracks, shots=[0] * 5 + [1] * 5).ids == {0, 1}

    def test_two_people_side_by_side_are_not_guessed_between(self):
        found = chosen([track_of(range(10), 80, 0), track_of(range(10), 50, 1, x=300)])
        assert found.ids == frozenset()
        assert "tracks 0 and 1 are seen side by side" in found.undecided

    def test_a_bystander_is_left_out(self):
        assert chosen([track_of(range(10), 80, 0), track_of(range(10), 24, 1, x=300)]).ids == {0}
        assert chosen([track_of(range(10), 80, 0), track_of(range(10), 26, 1, x=300)]).undecided

    def test_a_short_false_alarm_is_left_out_however_large(self):
        assert chosen([track_of(range(2), 1000, 0), track_of(range(10), 30, 1, x=300)]).ids == {1}

    def test_a_short_track_is_taken_where_the_shot_is_as_short(self):
        assert chosen([track_of(range(2), 50, 0)], frames=2).ids == {0}
        assert chosen([track_of([0], 50, 0)], frames=1).ids == {0}

    def test_tracks_that_touch_for_a_moment_are_one_after_the_other(self):
        found = chosen([track_of(range(6), 50, 0), track_of(range(5, 10), 50, 1, x=300)])
        assert found.ids == {0}, "one at a time"
        assert not found.undecided

    def test_unlike_embeddings_are_two_people_though_never_seen_together(self):
        shots = [0] * 5 + [1] * 5
        tracks = [track_of(range(5), 80, 0, embedding=ME), track_of(range(5, 10), 80, 1, shot=1, embedding=YOU)]
        assert "different people (cosine 0.00)" in chosen(tracks, shots=shots).undecided
        tracks = [track_of(range(5), 80, 0, embedding=ME), track_of(range(5, 10), 80, 1, shot=1, embedding=ME)]
        assert chosen(tracks, shots=shots).ids == {0, 1}

    def test_of_nothing_nothing_is_taken_and_nothing_asked(self):
        for frames in (0, 5):
            found = chosen([], frames=frames)
            assert (found.ids, found.undecided) == (frozenset(), "")


class TestRules:
    trio = (track_of(range(10), 60, 0, x=300), track_of(range(10), 80, 1, x=500), track_of(range(10), 60, 2, x=100))

    @pytest.mark.parametrize(("pick", "track_id"), [("largest", 1), ("left", 2), ("right", 1)])
    def test_a_rule_takes_one_of_those_seen_together(self, pick, track_id):
        assert chosen(self.trio, pick=pick).ids == {track_id}

    def test_a_rule_takes_one_face_at_a_time_and_fills_the_rest(self):
        tracks = [track_of(range(5), 80, 0), track_of(range(3, 10), 40, 1), track_of(range(6, 10), 30, 2)]
        assert chosen(tracks, pick="largest").ids == {0, 2}

    def test_a_bystander_is_never_the_leftmost(self):
        assert chosen([track_of(range(10), 80, 0, x=300), track_of(range(10), 20, 1, x=10)], pick="left").ids == {0}

    def test_of_two_equal_faces_the_first_is_the_largest(self):
        assert chosen([track_of(range(5), 50, 4, x=300), track_of(range(5), 50, 2)], pick="largest").ids == {2}


class TestNamed:
    def test_named_tracks_are_taken_before_all_else(self):
        pair = [track_of(range(10), 80, 0), track_of(range(2), 10, 1, x=300)]
        assert chosen(pair, tracks=(1,), pick="largest").ids == {1}
        assert chosen(pair, tracks=(0, 1)).ids == {0, 1}

    def test_unknown_tracks_are_refused_and_the_known_ones_named(self):
        with pytest.raises(SettingsError, match=r"\[7\] are no tracks of this video, which has 0, 3"):
            chosen([track_of(range(5), 50, 0), track_of(range(5), 50, 3)], tracks=(3, 7))


class TestReference:
    def test_the_face_that_resembles_it_is_taken_wherever_it_is(self):
        tracks = [
            track_of(range(5), 80, 0, embedding=YOU),
            track_of(range(5), 40, 1, x=300, embedding=ME),
            track_of(range(6, 10), 40, 2, embedding=(ME + YOU) / np.sqrt(2)),
        ]
        assert chosen(tracks, reference=tuple(ME)).ids == {1, 2}

    def test_the_better_of_two_at_once_is_taken(self):
        near = np.array([0.9, np.sqrt(1 - 0.81)])
        tracks = [track_of(range(5), 80, 0, embedding=near), track_of(range(5), 40, 1, x=300, embedding=ME)]
        assert chosen(tracks, reference=tuple(ME)).ids == {1}

    def test_nobody_like_it_is_said_with_how_near_they_come(self):
        found = chosen([track_of(range(5), 80, 0, embedding=YOU)], reference=tuple(ME))
        assert (found.ids, "best cosine 0.00" in found.undecided) == (frozenset(), True)

    def test_without_embeddings_it_is_refused(self):
        with pytest.raises(SettingsError, match="gives no embeddings"):
            chosen([track_of(range(5), 80, 0)], reference=tuple(ME))


def test_prominent_faces_are_those_of_which_none_beside_dwarfs_them():
    tracks = [track_of(range(10), 80, 0), track_of(range(10), 20, 1), track_of(range(20, 25), 10, 2)]
    assert [t.track_id for t in prominent(tracks, np.zeros(30, int))] == [0, 2]
