"""A performance is smooth, blinks, stays in range, and cuts where asked."""

from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest

from faceswap_core.synth.actor import frames
from faceswap_core.synth.identity import identity
from faceswap_core.synth.performance import MAX_YAW, performance


def _poses(moments):
    return np.array([astuple(m.pose) for m in moments])


def test_zero_frames_are_an_empty_performance():
    assert performance(0, seed=1) == []
    assert list(frames(identity(1), [])) == []


def test_the_same_seed_acts_the_same_and_longer_begins_alike():
    assert performance(20, seed=3) == performance(20, seed=3)
    assert performance(50, seed=3)[:20] == performance(20, seed=3)
    assert performance(20, seed=3) != performance(20, seed=4)


@pytest.mark.parametrize("seed", range(5))
def test_controls_stay_in_their_ranges(seed):
    for moment in performance(250, seed=seed, cuts=(100,)):
        assert abs(moment.pose.yaw) <= MAX_YAW
        assert abs(moment.pose.pitch) < 0.4
        assert 0 <= moment.expression.jaw <= 1
        assert -0.3 <= moment.expression.smile <= 1
        assert 0 <= moment.expression.blink_left <= 1


@pytest.mark.parametrize("seed", range(5))
def test_the_actor_blinks_and_speaks_within_ten_seconds(seed):
    expressions = [m.expression for m in performance(250, seed=seed)]
    assert max(e.blink_left for e in expressions) > 0.9
    assert np.std([e.jaw for e in expressions]) > 0.05


def test_motion_is_smooth_without_a_cut():
    assert np.abs(np.diff(_poses(performance(250, seed=2)), axis=0)).max() < 0.08


def test_the_cut_is_one_jump_of_the_camera_and_the_acting_goes_on():
    whole, cut = performance(60, seed=5), performance(60, seed=5, cuts=(30,))
    assert cut[:30] == whole[:30]
    assert [m.shot for m in cut] == [0] * 30 + [1] * 30
    assert [m.expression for m in cut] == [m.expression for m in whole]
    jumps = np.abs(np.diff(_poses(cut), axis=0)).max(-1)
    assert jumps.argmax() == 29
    assert jumps[29] > 0.4
    assert cut[29].light != cut[30].light


def test_the_second_shot_has_another_background():
    moments = performance(4, seed=5, cuts=(2,))
    pictures = [f.rgb.astype(int) for f in frames(identity(1), moments, width=160, height=90, face_px=30)]
    corner = [np.abs(a - b)[:20, :20].mean() for a, b in pairwise(pictures)]
    assert corner[1] > 3 * max(corner[0], corner[2])


def test_each_frame_has_its_own_noise():
    moments = performance(2, seed=5)
    one, two = (f.rgb for f in frames(identity(1), moments, width=160, height=90, face_px=30))
    assert (one[:20, :20] != two[:20, :20]).mean() > 0.3
