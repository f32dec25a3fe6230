"""video -> facts about it, as Debian's ffprobe and ffmpeg see them; nothing here is the product's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

# the oracle is FFmpeg's own program: the product needs none, and no Python package brings one
NEEDED = pytest.mark.skipif(
    shutil.which("ffprobe") is None or shutil.which("ffmpeg") is None, reason="ffprobe and ffmpeg are not here"
)
_PICTURE = ("width", "height", "sample_aspect_ratio", "color_range", "color_space", "color_transfer")
_PICTURE += ("color_primaries", "field_order")
_FRAME = ("interlaced_frame", "top_field_first", "color_range", "color_space", "color_primaries", "color_transfer")
_NOT_SAID = (None, "unknown", "progressive", "1:1")


@dataclass
class Track:
    """One stream beside the video."""

    kind: str
    language: str
    dispositions: list[str]
    packets: list[tuple[Fraction | None, str]]
    """Time in seconds and digest of the payload."""
    payload: str
    """Digest of an attachment."""


@dataclass
class Facts:
    """All that must be equal in a source and in its copy."""

    times: list[Fraction | None]
    """Presentation time of each frame, seconds."""
    frames: list[str]
    """Digest of each decoded frame, all planes."""
    picture: dict[str, Any]
    """Colour, range, aspect, rotation and field order, where the file says them."""
    tracks: list[Track]
    chapters: list[tuple[Fraction, Fraction, str]]
    """Begin, end, title."""
    timecode: set[str]
    title: str
    rate: str


def facts_of(path: Path) -> Facts:
    """Ask both programs about a file."""
    packets = ("-show_packets", "-show_data_hash", "MD5")
    whole = ffprobe(path, "-show_streams", "-show_chapters", "-show_format", *packets)
    shown = ffprobe(path, "-select_streams", "v:0", "-show_frames")["frames"]
    video = next(s for s in whole["streams"] if s["codec_type"] == "video" and not s["disposition"]["attached_pic"])
    base = Fraction(video["time_base"])
    return Facts(
        times=[f["best_effort_timestamp"] * base if "best_effort_timestamp" in f else None for f in shown],
        frames=decoded(path),
        picture=picture(video, shown[0]),
        tracks=[track(s, whole["packets"]) for s in whole["streams"] if s is not video and not_derived(s)],
        chapters=[chapter(c) for c in whole["chapters"]],
        timecode={s["tags"][k] for s in whole["streams"] for k in s.get("tags", {}) if k.lower() == "timecode"},
        title=whole["format"].get("tags", {}).get("title", ""),
        rate=video["avg_frame_rate"],
    )


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """Sections that ffprobe prints."""
    command = ["ffprobe", "-v", "error", *arguments, "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def decoded(path: Path) -> list[str]:
    """Digest of every frame of the first video stream, as stored: neither turned nor dropped nor doubled."""
    ways = ("-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
    command = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(path), *ways]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if not line.startswith("#")]


def picture(stream: dict[str, Any], frame: dict[str, Any]) -> dict[str, Any]:
    """What a stream and its first frame say of the picture; what they leave open is left out."""
    sides = [*stream.get("side_data_list", []), *frame.get("side_data_list", [])]
    turned = {"rotation": {s["rotation"] for s in sides if "rotation" in s}}
    said = {name: stream.get(name) for name in _PICTURE} | {f"frame {name}": frame.get(name) for name in _FRAME}
    return {name: value for name, value in (said | turned).items() if value not in _NOT_SAID}


def not_derived(stream: dict[str, Any]) -> bool:
    """False for tracks that a muxer makes of chapters and timecode."""
    tags = stream.get("tags", {})
    chapters = stream["codec_type"] == "data" and tags.get("handler_name") == "SubtitleHandler"
    return not chapters and stream.get("codec_tag_string") != "tmcd"


def track(stream: dict[str, Any], packets: list[dict[str, Any]]) -> Track:
    """Facts of a stream beside the video."""
    base = Fraction(stream["time_base"])
    own = [p for p in packets if p.get("stream_index") == stream["index"]]
    return Track(
        kind=f"{stream['codec_type']} {stream.get('codec_name')}",
        language=stream.get("tags", {}).get("language", "und"),
        dispositions=sorted(name for name, on in stream["disposition"].items() if on),
        packets=[(int(p["pts"]) * base if "pts" in p else None, p["data_hash"]) for p in own],
        payload=stream.get("extradata_hash", "") if stream["codec_type"] == "attachment" else "",
    )


def chapter(found: dict[str, Any]) -> tuple[Fraction, Fraction, str]:
    """Begin and end in seconds, and title."""
    base = Fraction(found["time_base"])
    return found["start"] * base, found["end"] * base, found.get("tags", {}).get("title", "")
