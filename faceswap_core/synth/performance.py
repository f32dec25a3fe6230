"""seed -> performance: what an actor and the camera do over a clip, with exact controls for every frame."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceswap_core.synth.controls import Expression, Light, Pose

F64 = npt.NDArray[np.float64]

MAX_YAW = 0.6
"""No performance turns the head further to a side, radians."""


class Moment(NamedTuple):
    """One frame of a performance."""

    expression: Expression
    """What the face does."""
    pose: Pose
    """Where the head is."""
    light: Light
    """The light of this shot, slowly changing."""
    shot: int
    """Number of the shot, from 0: another shot has another camera, light and background."""


Performance = list[Moment]


def performance(frames: int, *, seed: int, fps: float = 25, cuts: Sequence[int] = ()) -> Performance:
    """Act for this many frames: speech-like mouth, blinks, gaze, slow turns of the head.

    Args:
        frames: Number of frames; 0 gives an empty performance.
        seed: The same seed acts the same; a longer performance begins like a shorter one.
        fps: Frames per second, so that the speed of the acting does not depend on it.
        cuts: First frame of each further shot: the acting goes on, but camera (place, size, side), light and
            background change from one frame to the next. None beyond the end counts.
    """
    seconds = np.arange(frames) / float(fps)
    blinks = _blinks(seconds, np.random.default_rng((seed, 4)))  # draws more for longer clips: its own generator
    expressions = _expressions(seconds, blinks, np.random.default_rng((seed, 0)))
    poses = _poses(seconds, np.random.default_rng((seed, 1)))
    moments = []
    for index, time in enumerate(seconds.tolist()):
        shot = sum(index >= cut for cut in cuts)
        pose = _reframe(poses[index], shot, seed)
        moments.append(Moment(expressions[index], pose, _light(time, shot, seed), shot))
    return moments


def _wobble(seconds: F64, rng: np.random.Generator, size: float, slow: float = 0.1, fast: float = 0.5) -> F64:
    """Return a sum of three sines of random frequency (Hz between slow and fast), mostly within +-size."""
    strength, frequency = rng.uniform(0.4, 1.0, 3), rng.uniform(slow, fast, 3)
    phase = rng.uniform(0.0, 2 * np.pi, 3)
    waves = strength * np.sin(2 * np.pi * frequency * seconds[:, None] + phase)
    result: F64 = size * np.tanh(waves.sum(-1) * 0.6)
    return result


def _expressions(seconds: F64, blinks: F64, rng: np.random.Generator) -> list[Expression]:
    phrase = np.clip(0.65 + _wobble(seconds, rng, 0.9, 0.15, 0.4), 0.0, 1.0)  # pauses between phrases
    syllables = np.clip(0.15 + _wobble(seconds, rng, 0.75, 2.0, 4.5), 0.0, 0.85)
    columns = {
        "jaw": phrase * syllables,
        "smile": np.clip(0.18 + _wobble(seconds, rng, 0.65), -0.25, 0.9),
        "pucker": np.clip(_wobble(seconds, rng, 0.7, 0.5, 1.8), 0.0, 0.7),
        "blink_left": blinks,
        "blink_right": blinks,
        "brow": _wobble(seconds, rng, 0.8),
        "gaze_x": _wobble(seconds, rng, 0.8, 0.2, 0.8),
        "gaze_y": _wobble(seconds, rng, 0.5, 0.2, 0.8),
    }
    return [Expression(**{k: float(v[i]) for k, v in columns.items()}) for i in range(len(seconds))]


def _blinks(seconds: F64, rng: np.random.Generator) -> F64:
    """Return the closing of the eyes: about 0.2 s long every few seconds."""
    closed = np.zeros(len(seconds))
    middle = float(rng.uniform(0.5, 2.5))
    while len(seconds) and middle < seconds[-1] + 1.0:
        closed = np.maximum(closed, np.exp(-(((seconds - middle) / 0.075) ** 4)))
        middle += float(rng.uniform(1.4, 4.0))
    return closed


def _poses(seconds: F64, rng: np.random.Generator) -> list[Pose]:
    columns = {
        "yaw": _wobble(seconds, rng, 0.42),
        "pitch": _wobble(seconds, rng, 0.18),
        "roll": _wobble(seconds, rng, 0.14),
        "x": _wobble(seconds, rng, 0.22),
        "y": _wobble(seconds, rng, 0.07),
    }
    return [Pose(**{k: float(v[i]) for k, v in columns.items()}) for i in range(len(seconds))]


def _reframe(pose: Pose, shot: int, seed: int) -> Pose:
    """See the pose from the camera of this shot."""
    if shot == 0:
        return pose
    rng = np.random.default_rng((seed, 2, shot))
    side = float(rng.choice([-1.0, 1.0]))
    return Pose(
        yaw=float(np.clip(pose.yaw + side * rng.uniform(0.18, 0.32), -MAX_YAW, MAX_YAW)),
        pitch=pose.pitch + float(rng.uniform(-0.08, 0.08)),
        roll=pose.roll,
        x=pose.x - side * float(rng.uniform(0.5, 0.9)),
        y=pose.y + float(rng.uniform(-0.12, 0.02)),
        scale=float(rng.choice([rng.uniform(0.72, 0.82), rng.uniform(1.15, 1.25)])),
    )


def _light(time: float, shot: int, seed: int) -> Light:
    rng = np.random.default_rng((seed, 3, shot))
    ambient = float(rng.uniform(0.30, 0.48))
    return Light(
        azimuth=float(rng.uniform(-0.9, 0.9)) + 0.12 * float(np.sin(time)),
        elevation=float(rng.uniform(0.15, 0.8)),
        ambient=ambient,
        diffuse=1.0 - 0.55 * ambient,
        warmth=float(rng.uniform(-0.8, 0.8)),
    )
