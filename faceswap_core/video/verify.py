"""finished video + source -> report: same frames, same times, same other streams, and it decodes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from faceswap_core.errors import MediaError
from faceswap_core.video.container import open_input, to_the_damage
from faceswap_core.video.facts import StreamFacts, codec_of
from faceswap_core.video.index import Chunk, FrameIndex, build_index, plan_chunks
from faceswap_core.video.reader import read_chunk

_COPIED = ("audio", "subtitle")
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
    streams_equal: bool
    """True where every sound and subtitle stream of the source is there, packet by packet."""
    not_carried: tuple[str, ...]
    """Streams of the source that are absent or altered."""
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

    Frame count and times come from its packets, compared as exact fractions; sound and subtitle packets
    by payload and time (one tick of the coarser time base is allowed, as containers differ); up to
    ``sample`` frames spread over the film are decoded.

    Raises:
        MediaError: one of the files cannot be read.
    """
    found = build_index(path)
    equal, error = _compare_times(index, found)
    lost = _compare_streams(source_path, path, index.facts, found.facts)
    decoded, failed = _decode_sample(path, found, sample)
    return VerifyReport(
        frames=len(found),
        pts_equal=equal,
        max_pts_error_seconds=error,
        streams_equal=not lost,
        not_carried=tuple(lost),
        sample_decoded=decoded,
        sample_failed=tuple(failed),
    )


def _compare_times(source: FrameIndex, found: FrameIndex) -> tuple[bool, float | None]:
    if len(source) != len(found):
        return False, None
    base, other = source.facts.time_base, found.facts.time_base
    errors = [abs(a * base - b * other) for a, b in zip(source.pts.tolist(), found.pts.tolist(), strict=True)]
    worst = max(errors, default=Fraction(0))
    return worst == 0, float(worst)


@dataclass(frozen=True)
class _Track:
    """One copied stream: payload digests and times of its packets."""

    name: str
    digests: list[bytes]
    seconds: list[Fraction]
    tick: Fraction


def _compare_streams(source_path: str | Path, path: str | Path, source: StreamFacts, found: StreamFacts) -> list[str]:
    """Source tracks without an equal in the finished file, each matched once, in order."""
    from_ts, to_ts = (facts.container == "mpegts" for facts in (source, found))
    originals = _tracks(source_path, strip_adts=from_ts and not to_ts)
    copies = _tracks(path, strip_adts=to_ts and not from_ts)
    lost: list[str] = []
    for original in originals:
        match = next((c for c in copies if _same_track(original, c)), None)
        if match is None:
            lost.append(original.name)
        else:
            copies.remove(match)
    return lost


def _same_track(a: _Track, b: _Track) -> bool:
    if a.digests != b.digests:
        return False
    tolerance = max(a.tick, b.tick) if a.tick != b.tick else Fraction(0)
    return all(abs(x - y) <= tolerance for x, y in zip(a.seconds, b.seconds, strict=True))


def _tracks(path: str | Path, *, strip_adts: bool) -> list[_Track]:
    with open_input(path) as container:
        streams = [s for s in container.streams if s.type in _COPIED]
        tracks = {
            s.index: _Track(f"{s.type} stream {s.index} {codec_of(s)}", [], [], s.time_base or Fraction(1))
            for s in streams
        }
        if not streams:
            return []
        for packet in to_the_damage(container.demux(streams)):
            if packet.size and packet.pts is not None:  # priming included: not every container marks it
                adts = strip_adts and codec_of(packet.stream) == "aac"
                track = tracks[packet.stream_index]
                track.digests.append(_digest(bytes(packet), adts=adts))
                track.seconds.append(packet.pts * packet.time_base)
    return list(tracks.values())


def _digest(payload: bytes, *, adts: bool) -> bytes:
    """Digest of a packet; an AAC frame of a transport stream without its ADTS header."""
    if adts and payload[:1] == b"\xff":
        payload = payload[7 if payload[1] & 1 else 9 :]
    return hashlib.blake2b(payload, digest_size=16).digest()


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
