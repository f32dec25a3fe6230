"""pts in decoding order -> dts: one monotonic decoding clock for chunks that were encoded apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def decode_times(pts: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Strictly increasing dts, none behind its pts, from the pts alone.

    An encoder derives its first dts from its own frame spacing, so where the frame rate varies the dts
    of neighbouring chunks overlap. With reorder depth D, the i-th dts is the (i - D)-th pts in order of
    time; the first D are continued backwards by the smallest frame distance.

    Args:
        pts: (N,) presentation times in decoding order, all different.
    """
    given = np.asarray(pts, np.int64)
    if not given.size:
        return given
    ordered = np.sort(given)
    rank = np.searchsorted(ordered, given)
    depth = max(0, int((np.arange(len(given)) - rank).max()))
    step = int(np.diff(ordered).min()) if len(ordered) > 1 else 1
    before = ordered[0] - step * np.arange(depth, 0, -1)
    return np.concatenate([before, ordered])[: len(given)]


def frame_durations(pts: npt.NDArray[np.int64], last_duration: int) -> npt.NDArray[np.int64]:
    """Ticks from each frame to the next in time, in the order given; the last frame's is told."""
    ordered = np.argsort(pts, kind="stable")
    durations = np.empty(len(pts), np.int64)
    durations[ordered] = np.append(np.diff(pts[ordered]), last_duration)
    return durations
