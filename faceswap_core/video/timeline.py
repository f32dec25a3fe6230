"""encoded chunks + source's index -> one clock over all their packets: the frames' own times, and dts for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceswap_core.errors import MediaError
from faceswap_core.video.container import open_input
from faceswap_core.video.facts import extradata_sha
from faceswap_core.video.index import FrameIndex
from faceswap_core.video.timing import decode_times, frame_durations

_Ticks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Timeline:
    """Times of all video packets in decoding order, ticks of ``time_base``; arrays of shape (N,)."""

    pts: _Ticks
    """Presentation times: those of the source's frames."""
    dts: _Ticks
    """Decoding times, strictly increasing, none behind its pts."""
    duration: _Ticks
    """Ticks to the next frame in time."""
    time_base: Fraction
    """Seconds per tick: the source's."""


def timeline(parts: Sequence[str | Path], index: FrameIndex) -> Timeline:
    """Give the packets of all chunks the times of the source's frames, and lay one decoding clock over them.

    A chunk's own times must be those of the source's frames; one that begins before zero counts from zero.

    Args:
        parts: chunk files in order of time.
        index: the frames that they hold, in order.

    Raises:
        MediaError: chunks made with different settings, of other frames, or not of all of them.
    """
    if not parts:
        raise MediaError("there is no chunk to assemble; encode the chunks first")
    base, pts = index.facts.time_base, np.empty(0, np.int64)
    sha = ""
    for part in parts:
        ticks, found = _ticks_of(part, base)
        if sha not in ("", found):
            raise MediaError(f"{part}: encoded with other settings than {parts[0]}; encode both alike")
        sha = found
        source = index.pts[len(pts) : len(pts) + len(ticks)]
        early = min(int(source[0]), 0) if len(source) else 0
        if not len(ticks) or not np.array_equal(np.sort(ticks) + early, source):
            raise MediaError(f"{part}: holds other frames than those of the source; give all chunks in order of time")
        pts = np.append(pts, ticks + early)
    if len(pts) != len(index):
        raise MediaError(f"the chunks hold {len(pts)} frames of {len(index)}; give all chunks in order of time")
    return Timeline(pts, decode_times(pts), frame_durations(pts, int(index.duration[-1])), base)


def _ticks_of(part: str | Path, base: Fraction) -> tuple[_Ticks, str]:
    """Times of a chunk's packets in decoding order, in ticks of ``base``, and the digest of its parameter sets."""
    with open_input(part) as container:
        stream = container.streams.video[0]
        ticks = [_exactly(p.pts, p.time_base / base, part) for p in container.demux(stream) if p.size]
        return np.array(ticks, np.int64), extradata_sha(stream.codec_context.extradata)


def _exactly(pts: int | None, ticks_per_tick: Fraction, part: str | Path) -> int:
    ticks = (pts or 0) * ticks_per_tick
    if pts is None or ticks.denominator != 1:
        raise MediaError(f"{part}: pts {pts} is no whole tick of the source; encode this chunk again")
    return ticks.numerator
