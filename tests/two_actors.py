"""Two rendered actors in one picture, the first in front, on ways of their own."""

from fractions import Fraction

import numpy as np

from faceswap_core.synth import Pose, identity, render
from faceswap_core.synth.performance import performance
from faceswap_core.synth.scene import background
from faceswap_core.video.render import write_video

SIZE = {"width": 256, "height": 144}
ROOM = 5
"""Seed of the background."""


def crossing(frames=48, front=(3, -2.6, 2.6, 64), back=(8, 2.6, -2.6, 54)):
    """Pictures (H, W, 3) and the true centres of both faces (2, 2), frame by frame.

    Each actor is identity, first and last place from the middle in head units, and height of the head in pixels.
    """
    empty = background(ROOM, SIZE["width"], SIZE["height"]).astype(int)
    moments = [performance(frames, seed=seed) for seed in (1, 2)]
    for i in range(frames):
        picture, centres = empty.astype(np.uint8), []
        for actor, acted in zip((back, front), moments, strict=True):
            seed, first, last, face_px = actor
            pose = Pose(x=first + (last - first) * i / (frames - 1), yaw=acted[i].pose.yaw / 2)
            drawn = render(
                identity(seed), acted[i].expression, pose, face_px=face_px, background_seed=ROOM, sensor_noise=0, **SIZE
            )
            body = np.abs(drawn.rgb.astype(int) - empty).max(-1, keepdims=True) > 3
            picture = np.where(body, drawn.rgb, picture)
            centres.append(drawn.landmarks[27:].mean(0))
        yield picture, np.array(centres[::-1])


def write_crossing(path, frames=48, **actors):
    """Write the pictures as a video; returns the centres (N, 2, 2), the front actor's first."""
    drawn = list(crossing(frames, **actors))
    write_video(path, (picture for picture, _ in drawn), fps=Fraction(25), crf=14, keyint=12)
    return np.array([centres for _, centres in drawn])


def write_side_by_side(path, frames=24):
    """Two actors of equal height who stay on their sides: the first left, the second right."""
    return write_crossing(path, frames, front=(3, -1.6, -1.5, 70), back=(8, 1.6, 1.5, 70))
