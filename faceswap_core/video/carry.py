"""source streams -> output streams: sound, subtitles, attachments, chapters and tags."""

from __future__ import annotations

import logging
from contextlib import suppress

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream

from faceswap_core.video.facts import OtherStream, StreamFacts, codec_of

_log = logging.getLogger(__name__)
OWN_TAGS = ("encoder", "duration", "rotate", "major_brand", "minor_version", "compatible_brands")
"""Tags that a muxer writes itself or that speak of the source file only."""
_STATISTICS = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS")
ITUNES_TAGS = frozenset(
    {
        *("title", "artist", "album_artist", "album", "composer", "comment", "date", "genre", "copyright"),
        *("description", "synopsis", "show", "episode_id", "network", "lyrics", "grouping", "compilation"),
        *("track", "disc", "creation_time"),
    }
)
"""Tags an MP4 can hold without the QuickTime key list."""
_TRANSPORT_CODECS = frozenset(
    {
        *("mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "pcm_bluray"),
        *("dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle"),
    }
)
"""What MPEG-TS has a stream type for; its muxer would take anything and mark it private data."""


def add_others(
    container: OutputContainer, source: InputContainer, facts: StreamFacts
) -> tuple[dict[int, Stream], list[str]]:
    """Streams to copy packets into, by source index, and what cannot be copied."""
    copies: dict[int, Stream] = {}
    refused: list[str] = []
    for other in facts.other_streams:
        stream = source.streams[other.index]
        if _is_chapter_track(stream, source):
            continue
        reason = _add_copy(container, stream, copies)
        if reason:
            refused.append(f"{_named(other)}: {reason}")
            _log.warning("not carried over: %s", refused[-1])
    return copies, refused


def _is_chapter_track(stream: Stream, source: InputContainer) -> bool:
    """True for the text track in which an MP4 keeps its chapters: those are copied as chapters."""
    return stream.type == "data" and "mov" in source.format.name and bool(source.chapters())


def _add_copy(container: OutputContainer, stream: Stream, copies: dict[int, Stream]) -> str:
    """Add one stream to the output; the reason where that is not possible, else ''."""
    muxer = container.format.name
    if isinstance(stream, AttachmentStream):
        return _attach(container, stream)
    if stream.type not in ("audio", "subtitle") and not stream.disposition & Disposition.attached_pic:
        return f"{stream.type} streams are not copied"
    if codec_of(stream) not in _codecs_of(container):
        return f"{muxer} cannot hold {codec_of(stream) or 'an unknown codec'}; use .mkv"
    try:
        copy = container.add_stream_from_template(stream, opaque=True)
    except (av.FFmpegError, ValueError) as error:
        return f"{muxer} refused it ({error})"
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    copy.metadata.update(_kept_tags(stream.metadata))
    copies[stream.index] = copy
    return ""


def _attach(container: OutputContainer, stream: AttachmentStream) -> str:
    if "matroska" not in container.format.name:
        return f"{container.format.name} holds no attachments; use .mkv"
    container.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
    return ""


def _codecs_of(container: OutputContainer) -> set[str]:
    """Canonical names of the codecs a muxer says it can hold."""
    if container.format.name == "mpegts":
        return set(_TRANSPORT_CODECS)
    return {name for codec in container.supported_codecs for name in (codec, _canonical(codec))}


def _canonical(codec: str) -> str:
    """Name of the format that an encoder or decoder (``libmp3lame``, ``dca``) works on."""
    for mode in ("r", "w"):
        with suppress(ValueError, av.FFmpegError):
            return av.Codec(codec, mode).canonical_name
    return codec


def _named(other: OtherStream) -> str:
    words = (f"{other.kind} stream {other.index}", other.codec, other.language, other.title)
    return " ".join(word for word in words if word)


def copy_tags(source: InputContainer, container: OutputContainer, original: Stream, video: Stream) -> None:
    """Container tags, chapters, and the video stream's own tags and disposition."""
    container.metadata.update(_kept_tags(source.metadata))
    container.set_chapters(source.chapters())
    video.metadata.update(_kept_tags(original.metadata))
    video.disposition = original.disposition


def _kept_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags worth copying: not those the muxer writes itself, nor mkvmerge's statistics."""
    return {
        key: value for key, value in tags.items() if key.lower() not in OWN_TAGS and not key.startswith(_STATISTICS)
    }
