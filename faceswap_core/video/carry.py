"""source streams -> output streams: sound, subtitles, data, attachments, cover art, chapters and tags."""

from __future__ import annotations

import logging
from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, DataStream, Discard, Disposition, Stream

from faceswap_core.video.container import open_input
from faceswap_core.video.facts import codec_of
from faceswap_core.video.holding import copied, refusal

_log = logging.getLogger(__name__)
OWN_TAGS = ("encoder", "software", "duration", "rotate", "major_brand", "minor_version", "compatible_brands")
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
DESCRIBING_TAGS = ITUNES_TAGS | frozenset(
    {
        *("language", "handler_name", "vendor_id", "timecode", "reel_name", "filename", "mimetype"),
        *("author", "director", "producer", "publisher", "keywords", "displayname", "subtitle", "rating", "aigc"),
    }
)
"""Tags that say what a work is and how its streams are to be used. No other is copied: cameras write down where a
picture was taken, by which device and whose, and programs the names of files and folders."""
_QUICKTIME = "com.apple.quicktime."
_UNKNOWN_DATA = (None, "", "bin_data")
"""What FFmpeg calls data that it cannot read."""
_PICTURE_TYPES = {"png": "image/png", "mjpeg": "image/jpeg"}
"""Codec of cover art -> its MIME type."""


def add_other(container: OutputContainer, stream: Stream, path: str | Path, copies: dict[int, Stream]) -> str:
    """Add one stream of the source to the output, without its packets.

    Args:
        container: the output, its header not written.
        stream: a stream of the source beside the video worked on.
        path: the source.
        copies: filled with the streams that packets go into, by source index.

    Returns:
        Which stream is not carried over and why; '' where it is, or is a form of something else that is.
    """
    if is_chapter_track(stream) or is_timecode(stream):
        return ""
    reason = "may tell where it was filmed" if is_camera_data(stream) else why_not(container.format.name, stream)
    if not reason:
        _add(container, stream, path, copies)
        return ""
    _log.warning("not carried over: %s: %s", named(stream), reason)
    return f"{named(stream)}: {reason}"


def is_chapter_track(stream: Stream) -> bool:
    """True for the track in which an MP4 keeps its chapters, which are copied as chapters: the demuxer drops it."""
    return stream.type == "data" and stream.discard == Discard.all


def is_timecode(stream: Stream) -> bool:
    """True for the track in which a QuickTime file keeps its timecode, which is copied as a tag of the video."""
    return stream.type == "data" and "timecode" in stream.metadata


def is_camera_data(stream: Stream) -> bool:
    """True for a track of QuickTime in which a camera writes down where it is and how it is held; it is never copied.

    GoPro, Android, Apple, Sony and DJI have a format each, none of which FFmpeg tells apart from other unknown data.
    """
    return isinstance(stream, DataStream) and stream.name in _UNKNOWN_DATA and "mov" in stream.container.format.name


def why_not(muxer: str, stream: Stream) -> str:
    """Why a stream of the source cannot go into a container; '' where it can, or need not."""
    if is_chapter_track(stream) or is_timecode(stream):
        return ""
    if isinstance(stream, AttachmentStream):
        return "" if muxer == "matroska" else f"{muxer} holds none; use .mkv"
    if stream.disposition & Disposition.timed_thumbnails:
        return "pictures of chapters are not copied"
    if _is_cover(stream) and muxer == "matroska":
        return "" if codec_of(stream) in _PICTURE_TYPES else f"{muxer} holds no {codec_of(stream)} as cover art"
    return refusal(muxer, stream)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _add(container: OutputContainer, stream: Stream, path: str | Path, copies: dict[int, Stream]) -> None:
    if isinstance(stream, AttachmentStream):
        container.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
    elif _is_cover(stream) and container.format.name == "matroska":
        _attach_cover(container, stream, path)
    else:
        copies[stream.index] = copied(container, stream)
        copies[stream.index].metadata.update(kept_tags(stream.metadata))


def _attach_cover(container: OutputContainer, stream: Stream, path: str | Path) -> None:
    """Matroska's own way of cover art is an attachment with a picture's type."""
    mime_type = _PICTURE_TYPES[codec_of(stream)]
    name = stream.metadata.get("filename", f"cover.{mime_type.partition('/')[2]}")
    with open_input(path) as source:
        picture = next((bytes(p) for p in source.demux(source.streams[stream.index]) if p.size), b"")
    container.add_attachment(name, mime_type, picture)


def named(stream: Stream) -> str:
    """Kind, index, codec, language and title of a stream."""
    words = (codec_of(stream), *(stream.metadata.get(tag, "") for tag in ("language", "title", "filename")))
    return " ".join(word for word in (f"{stream.type} stream {stream.index}", *words) if word)


def copy_tags(source: InputContainer, container: OutputContainer, original: Stream, video: Stream) -> None:
    """Container tags, chapters, and the video stream's own tags and disposition, with the timecode."""
    container.metadata.update(kept_tags(source.metadata))
    container.set_chapters([{**chapter, "metadata": kept_tags(chapter["metadata"])} for chapter in source.chapters()])
    for stream in filter(is_timecode, source.streams):
        video.metadata["timecode"] = stream.metadata["timecode"]
    video.metadata.update(kept_tags(original.metadata))
    video.disposition = original.disposition


def kept_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags that are copied: those of `DESCRIBING_TAGS`, in any language."""
    return {key: value for key, value in tags.items() if _plain(key) in DESCRIBING_TAGS}


def left_out(source: InputContainer) -> str:
    """Tags of a file that are not copied, in words; '' where there are none but a muxer's own."""
    tagged = (source, *source.streams)
    keys = {key for holder in tagged for key in holder.metadata if _plain(key) not in DESCRIBING_TAGS}
    told = sorted(key for key in keys if key.lower() not in OWN_TAGS and not key.startswith(_STATISTICS))
    return f"tags {', '.join(told)}: they may tell of a place, a device or a person" if told else ""


def _plain(key: str) -> str:
    """Name of a tag without its language (``title-eng``) and without QuickTime's prefix."""
    return key.lower().partition("-")[0].removeprefix(_QUICKTIME)
