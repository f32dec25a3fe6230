"""source + encoded chunk + wanted name -> the file to write: its container, where the name leaves that open."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from faceswap_core.video.carry import why_not
from faceswap_core.video.container import open_input
from faceswap_core.video.holding import refusal
from faceswap_core.video.index import FrameIndex
from faceswap_core.video.outfile import muxer_of

_FALLBACKS = (".mkv", ".mp4", ".mov")
_CLOCKS = {"matroska": Fraction(1, 1000), "mpegts": Fraction(1, 90000)}
"""Seconds that a container counts in, where it leaves no choice."""


def destination(output: Path, source_path: str | Path, part: str | Path, index: FrameIndex) -> Path:
    """The file to write: ``output`` itself, or with the suffix of a container where it has none.

    That is the container of the source where it holds every stream and the exact time of every frame, else Matroska,
    MP4 or QuickTime where one of them does, else Matroska.

    Args:
        output: as the user names it.
        source_path: the source.
        part: an encoded chunk.
        index: the source's index.

    Raises:
        MediaError: a file cannot be read.
    """
    if output.suffix:
        return output
    for suffix in dict.fromkeys((*own_suffix(index), *_FALLBACKS)):
        path = output.with_name(output.name + suffix)
        if _holds_times(muxer_of(path), index) and _holds_streams(muxer_of(path), source_path, part, index):
            return path
    return output.with_name(output.name + _FALLBACKS[0])


def own_suffix(index: FrameIndex) -> tuple[str, ...]:
    """Suffix of the source's kind of container; none where that kind is not written."""
    names = index.facts.container.split(",")
    if "mov" in names:
        return (".mov" if index.facts.metadata.get("major_brand", "").strip() == "qt" else ".mp4",)
    suffix = {"matroska": ".mkv", "mpegts": ".ts"}.get(names[0])
    return (suffix,) if suffix else ()


def _holds_times(muxer: str, index: FrameIndex) -> bool:
    clock = _CLOCKS.get(muxer)
    if clock is None:
        return int(index.pts[0]) >= 0
    ticks = index.facts.time_base / clock
    return all(pts * ticks.numerator % ticks.denominator == 0 for pts in index.pts.tolist())


def _holds_streams(muxer: str, source_path: str | Path, part: str | Path, index: FrameIndex) -> bool:
    with open_input(part) as encoded, open_input(source_path) as source:
        others = (s for s in source.streams if s.index != index.facts.stream_index)
        return not refusal(muxer, encoded.streams.video[0]) and not any(why_not(muxer, s) for s in others)
