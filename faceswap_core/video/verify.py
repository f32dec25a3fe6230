"""finished video + source -> report: same frames, same times, same other streams, and it decodes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from faceswap_core.errors import MediaError
from faceswap_core.video.compare import compare
from faceswap_core.video.index import Chunk, FrameIndex, build_index, plan_chunks
from faceswap_core.video.reader import read_chunk

_SAMPLE_REACH = 8
"""Frames decoded behind a keyframe for one sample, at most."""


@dataclass(frozen=True)
class VerifyReport:
    """Comparison of a finished video with its source."""

    frames: int
    """Frames in the finished video."""
    pts_equal: bool
    """True where number and exact times of all frames are the source's."""
    max_pts_error_seconds: float | None
    """Largest difference of frame times, seconds; None where the numbers of frames differ."""
    times_explained: str
    """Why the times differ, where that is the nature of the container; '' where they do not, or it is not."""
    streams_equal: bool
    """True where every other stream of the source is there, packet by packet."""
    not_carried: tuple[str, ...]
    """Streams of the source that are absent or altered."""
    changed: tuple[str, ...]
    """What else the finished file does not say as the source did: colours, rotation, chapters, languages, tags."""
    sample_decoded: int
    """Frames decoded as a sample."""
    sample_failed: tuple[int, ...]
    """frame_index of sampled frames that did not decode or were damaged."""

    @property
    def ok(self) -> bool:
        """True where nothing differs."""
        return self.pts_equal and self.streams_equal and not self.sample_failed


def verify_video(path: str | Path, index: FrameIndex, source_path: str | Path, sample: int = 16) -> VerifyReport:
    """Check a finished video against its source.

    Frame count and times come from its packets, compared as exact fractions; the packets of other streams
    by payload and time (one tick of the coarser time base is allowed, as containers differ); up to
    ``sample`` frames spread over the film are decoded.

    Raises:
        MediaError: one of the files cannot be read.
    """
    found = build_index(path)
    error = _largest_error(index, found)
    others = compare(source_path, path, index.facts, found.facts)
    decoded, failed = _decode_sample(path, found, sample)
    return VerifyReport(
        frames=len(found),
        pts_equal=error == 0,
        max_pts_error_seconds=None if error is None else float(error),
        times_explained=_explained(error, found),
        streams_equal=not others.lost,
        not_carried=others.lost,
        changed=others.changed,
        sample_decoded=decoded,
        sample_failed=tuple(failed),
    )


def _largest_error(source: FrameIndex, found: FrameIndex) -> Fraction | None:
    """Largest difference of frame times, seconds; None where the numbers of frames differ."""
    if len(source) != len(found):
        return None
    base, other = source.facts.time_base, found.facts.time_base
    errors = (abs(a * base - b * other) for a, b in zip(source.pts.tolist(), found.pts.tolist(), strict=True))
    return max(errors, default=Fraction(0))


def _explained(error: Fraction | None, found: FrameIndex) -> str:
    """Why times differ by no more than half a tick, where the container has a clock of its own; '' elsewhere."""
    tick = found.facts.time_base
    free = "mov" in found.facts.container  # counts in any unit
    return "" if free or not error or error > tick / 2 else f"frame times rounded to {tick} s, the container's clock"


def _decode_sample(path: str | Path, index: FrameIndex, sample: int) -> tuple[int, list[int]]:
    """Decode frames at and shortly behind keyframes spread over the film."""
    gops = plan_chunks(index, 1)
    picked = np.unique(np.linspace(0, len(gops) - 1, num=min(sample, len(gops))).astype(int))
    per_gop = max(1, sample // len(picked))
    decoded, failed = 0, list[int]()
    for gop in (gops[i] for i in picked):
        good = _good_frames(path, gop, min(per_gop, _SAMPLE_REACH, len(gop.pts)))
        decoded += len(good)
        failed += [gop.first_frame + i for i, state in enumerate(good) if not state]
    return decoded, failed


def _good_frames(path: str | Path, gop: Chunk, count: int) -> list[bool]:
    """For the first frames of a GOP: did each decode undamaged?"""
    states = [False] * count
    try:
        for frame in read_chunk(path, gop):
            at = frame.frame_index - gop.first_frame
            if at >= count:
                break
            states[at] = not frame.corrupt
            if at == count - 1:
                break
    except (MediaError, av.FFmpegError):
        pass
    return states
