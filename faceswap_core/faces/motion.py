"""views of one face in neighbouring frames -> where each pixel went, and images carried along.

Convention: a flow (H, W, 2) from one image to another holds, for every pixel of the first, how far (x, y) in px the
same spot lies in the second.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from faceswap_core.types import F32, U8

FLOW_SIDE = 96
"""Largest side, in px, at which motion is searched for; it is smooth, so that larger views need no more."""


def flow_between(one: U8, other: U8) -> F32:
    """Flow (S, S, 2) from one view (S, S, 3) to another, by dense inverse search (Kroeger et al. 2016).

    It depends on the two views alone and is the same on every run.
    """
    side = one.shape[0]
    reduced = min(side, FLOW_SIDE)
    grey = [_grey(view, reduced) for view in (one, other)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.asarray(search.calc(grey[0], grey[1], None), np.float32)  # type: ignore[call-overload]
    if reduced == side:
        return flow
    scale = np.float32(side / reduced)
    return np.asarray(cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR) * scale, np.float32)


def _grey(view: U8, side: int) -> U8:
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    if side != grey.shape[0]:
        grey = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def places(flow: F32) -> tuple[F32, F32]:
    """Where each pixel of the first image lies in the second: columns and rows (H, W), for `carried`."""
    x, y = cv2.split(_grid(flow.shape[0]) + flow)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def carried(image: F32, at: tuple[F32, F32], interpolation: int = cv2.INTER_LINEAR) -> F32:
    """The second image (H, W, C) as it lies in the first, whose pixels it holds at these places."""
    moved = cv2.remap(image, *at, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32).reshape(image.shape)


def joined(first: F32, second: F32) -> F32:
    """Flow from a to c, from the flows from a to b and from b to c."""
    return first + carried(second, places(first))


@cache
def _grid(side: int) -> F32:
    axis = np.arange(side, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis), axis=-1)
