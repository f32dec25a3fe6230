"""patches of neighbouring frames -> a steadier patch: averaged along the motion of the plate's own face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceswap_core.faces.motion import carried, joined, places
from faceswap_core.types import F32, F64, U8

_COARSE = 1 / 16
"""Standard deviation of the blur that parts coarse from fine, as a share of the side."""
_LIGHT = 1 / 6
"""Side of the mean that takes a change of light for what it is, as a share of the side."""

_MOST_LIGHT = np.float32(12)
"""Largest difference, of 255, that counts as light: a lid or a hand differs by more."""

_MEAN = np.array([[1, 1, 1, 0]] * 4, np.float32) / 3
"""RGBA -> the mean of RGB, in every channel: four equal channels are multiplied at once, a lone one is spread first."""


@dataclass(frozen=True)
class Steadiness:
    """How strongly patches are averaged."""

    strength: float
    """0 returns the patch, 1 counts neighbours fully."""
    detail: float
    """Share of that for the fine structure (eyelids, edges); the coarse one is averaged in full."""
    radius: int
    """Reach in frames to each side."""
    tolerance: float
    """Difference, of 1, of the plate's face to its neighbour carried along, above which nothing is averaged."""


@dataclass(frozen=True)
class Moment:
    """One frame of one face."""

    patch: F32
    """(S, S, 4) RGBA 0..255, as the network drew it."""
    view: F32
    """(S, S, 4) RGB 0..255, the plate's face as the network saw it; the last channel is 0, as alpha knows no light."""
    ahead: F32 | None = None
    """(S, S, 2) flow from this frame's view to the next one's; None at the end."""
    back: F32 | None = None
    """(S, S, 2) flow from the next frame's view to this one's."""

    @classmethod
    def of(cls, patch: U8, view: U8) -> Moment:
        """From a patch (S, S, 4) RGBA and a view (S, S, 3) RGB."""
        padded = np.zeros((*view.shape[:2], 4), np.float32)
        padded[..., :3] = view
        return cls(patch.astype(np.float32), padded)


def time_weights(radius: int) -> F64:
    """Hann weights (2 radius + 1,) over the distance in frames; the middle one is 1."""
    distance = np.arange(-radius, radius + 1)
    weights: F64 = 0.5 + 0.5 * np.cos(np.pi * distance / (radius + 1))
    return weights


def steady_patch(run: Sequence[Moment], center: int, how: Steadiness) -> U8:
    """Average a patch with its neighbours in time, each carried to its place along the plate's motion.

    The network draws each frame alone, so its faults (a shade brighter, a hair to the left) are new in every frame,
    while what it draws of moves with the plate's face. Optical flow between the plate's views brings the
    neighbours' pixels to where they belong; pixel by pixel they count by how well the plate itself comes back
    along the same way (a joint bilateral filter over time, after Eisemann and Durand 2004), so that a blink or a
    hand is not smeared. A slow change of the plate's light is carried over too. The filter is symmetric, hence
    without lag, and of finite support: ``how.radius`` frames to each side.

    Args:
        run: consecutive frames of one track and shot.
        center: index of the patch to steady.
        how: strength, reach and tolerance.

    Returns:
        (S, S, 4) RGBA.
    """
    middle = run[center]
    if how.strength == 0 or how.radius == 0:
        return _rounded(middle.patch)
    weights = how.strength * time_weights(how.radius)
    total, count = middle.patch.copy(), np.ones_like(middle.patch)
    for distance, flow in (*_flows(run, center, how.radius, 1), *_flows(run, center, how.radius, -1)):
        other, trust = _seen_from(middle, run[center + distance], flow, how.tolerance)
        trust *= np.float32(weights[distance + how.radius])
        other *= trust
        total += other
        count += trust
    total /= count
    if how.detail < 1:
        change = total - middle.patch
        coarse = cv2.GaussianBlur(change, (0, 0), _COARSE * change.shape[0])
        total = np.asarray(middle.patch + coarse + np.float32(how.detail) * (change - coarse), np.float32)
    return _rounded(total)


def _rounded(image: F32) -> U8:
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def _flows(run: Sequence[Moment], center: int, radius: int, step: int) -> Iterator[tuple[int, F32]]:
    """(distance, flow from the centre to there), outward; chained from frame to frame."""
    flow: F32 | None = None
    for distance in range(1, radius + 1):
        at = center + step * distance
        if not 0 <= at < len(run):
            return
        link = run[at - 1].ahead if step > 0 else run[at].back
        assert link is not None, "a run holds the flow between each two of its frames"
        flow = link if flow is None else joined(flow, link)
        yield step * distance, flow


def _seen_from(middle: Moment, other: Moment, flow: F32, tolerance: float) -> tuple[F32, F32]:
    """Another frame's patch as it lies in the middle one, and how far it is to be trusted, in four equal channels."""
    side = middle.view.shape[0]
    at = places(flow)
    difference = middle.view - carried(other.view, at)
    window = max(3, round(_LIGHT * side))
    light = cv2.blur(difference, (window, window))
    np.clip(light, -_MOST_LIGHT, _MOST_LIGHT, out=light)
    difference -= light
    unlike = np.asarray(cv2.blur(difference, (3, 3)), np.float32)
    unlike *= unlike
    trust = cv2.exp(cv2.transform(unlike, _MEAN * np.float32(-0.5 / (255 * tolerance) ** 2)))
    moved = carried(other.patch, at, cv2.INTER_CUBIC)
    moved += light
    return moved, np.asarray(trust, np.float32)
