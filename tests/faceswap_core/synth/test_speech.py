"""The sound is as long as the picture and as loud as the mouth is open."""

from fractions import Fraction

import numpy as np
import pytest

from faceswap_core.synth.controls import Expression, Light, Pose
from faceswap_core.synth.performance import Moment, performance
from faceswap_core.synth.speech import speech_audio


@pytest.mark.parametrize(
    ("frames", "fps", "rate"), [(50, 25, 48000), (7, Fraction(30000, 1001), 48000), (10, 25, 16000)]
)
def test_length_is_that_of_the_frames(frames, fps, rate):
    sound = speech_audio(performance(frames, seed=1), fps, rate)
    assert sound.shape == (round(frames / fps * rate),)
    assert sound.dtype == np.float32


def test_no_frames_give_no_sound():
    assert speech_audio([], 25).shape == (0,)


@pytest.mark.parametrize("seed", range(4))
def test_it_never_clips_and_is_heard(seed):
    sound = speech_audio(performance(75, seed=seed), 25, 16000)
    assert 0.3 < np.abs(sound).max() <= 0.61


def test_the_same_performance_sounds_the_same():
    assert (speech_audio(performance(30, seed=2), 25) == speech_audio(performance(30, seed=2), 25)).all()


def test_a_shut_mouth_is_silent_and_an_open_one_is_not():
    jaws = [0.0] * 25 + [0.8] * 25
    moments = [Moment(Expression(jaw=j), Pose(), Light(), 0) for j in jaws]
    sound = speech_audio(moments, 25, 16000)
    assert np.abs(sound[:14000]).max() < 1e-3
    assert np.abs(sound[18000:]).max() > 0.3
