"""source + finished video -> what of the source beside its frames is absent or changed."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer
from av.stream import AttachmentStream, Discard, Disposition, Stream

from faceswap_core.video.carry import is_chapter_track, is_timecode, kept_tags, named
from faceswap_core.video.container import open_input, to_the_damage
from faceswap_core.video.facts import StreamFacts, codec_of

if TYPE_CHECKING:
    from av.container.core import Chapter

_UNSPECIFIED = {
    "sample_aspect_ratio": (),
    "color_range": (0,),
    "color_primaries": (2,),
    "color_trc": (2,),
    "colorspace": (2,),
    "rotation": (),
    "field_order": (0, 1),
}
"""Facts of the video that must stay -> values that say nothing, so that another is no loss."""
_SHORTEST_NOTE = Fraction(1, 1000)
"""Chapters may shift by this many seconds: containers count them in milliseconds."""


@dataclass(frozen=True)
class Comparison:
    """What differs beside the frames of the video."""

    lost: tuple[str, ...]
    """Streams of the source that are absent or altered."""
    changed: tuple[str, ...]
    """Facts of the file and of its streams that the finished file does not say, or says otherwise."""


def compare(source_path: str | Path, path: str | Path, source: StreamFacts, found: StreamFacts) -> Comparison:
    """Compare streams by payload and time, and what headers say of the video, its streams and its chapters.

    One tick of the coarser time base is allowed, as containers differ.

    Raises:
        MediaError: one of the files cannot be read.
    """
    from_ts, to_ts = (facts.container == "mpegts" for facts in (source, found))
    with open_input(source_path) as before, open_input(path) as after:
        originals = _tracks(before, source.stream_index, strip_adts=from_ts and not to_ts)
        copies = _tracks(after, found.stream_index, strip_adts=to_ts and not from_ts)
        lost, changed = _match(originals, copies)
        changed = [*_changed_facts(source, found), *_changed_headers(before, after, source, found), *changed]
    return Comparison(tuple(lost), tuple(changed))


@dataclass
class _Track:
    """One copied stream: payload digests and times of its packets, 24 bytes for each."""

    name: str
    language: str
    disposition: Disposition
    tick: Fraction
    timed: bool
    digests: bytearray = field(default_factory=bytearray)
    pts: array[int] = field(default_factory=lambda: array("q"))


def _tracks(container: InputContainer, video: int, *, strip_adts: bool) -> list[_Track]:
    """All streams but the video worked on, chapters and timecode."""
    others = [s for s in container.streams if s.index != video and not is_chapter_track(s) and not is_timecode(s)]
    tracks = {s.index: _track(s) for s in others}
    packed = [s for s in others if not isinstance(s, AttachmentStream)]
    for stream in container.streams:
        if stream not in packed:
            stream.discard = Discard.all
    for packet in to_the_damage(container.demux(packed)) if packed else ():
        if not packet.size:
            continue
        track = tracks[packet.stream_index]
        if packet.pts is not None or not track.timed:  # priming included: not every file marks it
            adts = strip_adts and codec_of(packet.stream) == "aac"
            track.digests += _digest(bytes(packet), adts=adts)
            track.pts.append((packet.pts or 0) if track.timed else 0)
    return list(tracks.values())


def _track(stream: Stream) -> _Track:
    cover, attached = bool(stream.disposition & Disposition.attached_pic), isinstance(stream, AttachmentStream)
    language = stream.metadata.get("language", "").replace("und", "")
    disposition = Disposition(0) if cover or attached else Disposition(stream.disposition)
    tick = stream.time_base or Fraction(1)
    track = _Track(named(stream), language, disposition, tick, timed=not (cover or attached))
    if isinstance(stream, AttachmentStream):
        track.digests += _digest(stream.data, adts=False)
        track.pts.append(0)
    return track


def _digest(payload: bytes, *, adts: bool) -> bytes:
    """Digest of a packet; an AAC frame of a transport stream without its ADTS header."""
    if adts and payload[:1] == b"\xff":
        payload = payload[7 if payload[1] & 1 else 9 :]
    return hashlib.blake2b(payload, digest_size=16).digest()


def _match(originals: list[_Track], copies: list[_Track]) -> tuple[list[str], list[str]]:
    """Source tracks without an equal in the finished file, each matched once, in order; and what changed of others."""
    lost, changed = list[str](), list[str]()
    for original in originals:
        match = next((c for c in copies if _same_track(original, c)), None)
        if match is None:
            lost.append(original.name)
            continue
        copies.remove(match)
        if match.language != original.language:
            changed.append(f"{original.name}: language {original.language} became {match.language or 'unknown'}")
        if gone := original.disposition & ~match.disposition:
            changed.append(f"{original.name}: disposition {gone.name} is gone")
        if _largest_error(original, match):
            changed.append(f"{original.name}: times rounded to {match.tick} s")
    return lost, changed


def _same_track(a: _Track, b: _Track) -> bool:
    if a.digests != b.digests or a.timed != b.timed:
        return False
    return _largest_error(a, b) <= (max(a.tick, b.tick) if a.tick != b.tick else 0)


def _largest_error(a: _Track, b: _Track) -> Fraction:
    """Largest difference of the times of two tracks with as many packets, seconds."""
    errors = (abs(x * a.tick - y * b.tick) for x, y in zip(a.pts, b.pts, strict=True))
    return max(errors, default=Fraction(0))


def _changed_facts(source: StreamFacts, found: StreamFacts) -> Iterator[str]:
    """Colours, range, aspect, rotation and field order of the video."""
    for name, silent in _UNSPECIFIED.items():
        before, after = _said(source, name), _said(found, name)
        if before != after and before not in silent:
            yield f"{name.replace('_', ' ')} {before} became {after}"


def _said(facts: StreamFacts, name: str) -> object:
    """A fact; pixels of unspecified shape count as square."""
    return getattr(facts, name) or Fraction(1) if name == "sample_aspect_ratio" else getattr(facts, name)


def _changed_headers(
    before: InputContainer, after: InputContainer, source: StreamFacts, found: StreamFacts
) -> Iterator[str]:
    """Tags of the file, timecode and chapters."""
    held = {key.lower(): value for key, value in after.metadata.items()}
    for key, value in kept_tags(before.metadata).items():
        if held.get(key.lower()) != value:
            yield f"tag {key} ({value}) is not held"
    old, new = (
        {s.metadata.get(k, "") for s in c.streams for k in ("timecode", "TIMECODE")} - {""} for c in (before, after)
    )
    if old - new:
        yield f"timecode {', '.join(sorted(old - new))} is not held"
    if not _same_chapters(before, after):
        yield f"chapters are not held as they were: {len(before.chapters())} before, {len(after.chapters())} now"


def _same_chapters(before: InputContainer, after: InputContainer) -> bool:
    a, b = ([(_span(c), c["metadata"].get("title")) for c in f.chapters()] for f in (before, after))
    return len(a) == len(b) and all(
        title == other and all(abs(x - y) <= _SHORTEST_NOTE for x, y in zip(span, found, strict=True))
        for (span, title), (found, other) in zip(a, b, strict=True)
    )


def _span(chapter: Chapter) -> tuple[Fraction, Fraction]:
    """Begin and end of a chapter, seconds."""
    base = chapter["time_base"] or Fraction(1)
    return chapter["start"] * base, chapter["end"] * base
