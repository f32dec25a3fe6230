"""container -> StreamFacts: what must be known of a file besides its frames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceswap_core.video.hdr import MasteringDisplay, content_light, dynamic_hdr, mastering_display


@dataclass(frozen=True)
class OtherStream:
    """A stream of the file that is not the video worked on."""

    index: int
    """Index in the container."""
    kind: str
    """video, audio, subtitle, data or attachment."""
    codec: str
    """Canonical codec name; '' where none is known."""
    language: str
    """Language tag; '' where none is given."""
    title: str
    """Title tag; '' where none is given."""
    disposition: int
    """Bit field of `av.stream.Disposition`."""


@dataclass(frozen=True)
class StreamFacts:
    """Facts of the video stream and its container; goes as JSON into manifest metadata.

    Colour tags are the code points of ITU-T H.273 (2 = unspecified); ``color_range`` is 0 = unspecified,
    1 = limited, 2 = full.
    """

    container: str
    """Demuxer name, e.g. ``mov,mp4,m4a,3gp,3g2,mj2``."""
    stream_index: int
    """Index of the video stream in the container."""
    codec: str
    """Canonical codec name, e.g. ``h264``."""
    time_base: Fraction
    """Seconds per tick of every pts and duration."""
    average_rate: Fraction
    """Frames per second on average."""
    width: int
    """Stored width, pixels (before rotation)."""
    height: int
    """Stored height, pixels (before rotation)."""
    pix_fmt: str
    """FFmpeg name of the decoder's pixel format."""
    sample_aspect_ratio: Fraction
    """Width of a pixel over its height; 0 = unspecified."""
    color_range: int
    """0 unspecified, 1 limited, 2 full."""
    color_primaries: int
    """H.273 ColourPrimaries."""
    color_trc: int
    """H.273 TransferCharacteristics."""
    colorspace: int
    """H.273 MatrixCoefficients."""
    rotation: int
    """Degrees, counter-clockwise, by which a player turns the stored picture."""
    display_matrix: tuple[int, ...] | None
    """The container's 3x3 matrix (16.16 and 2.30 fixed point), None where absent."""
    interlaced: bool
    """True where the first frame is field-coded or field-flagged."""
    field_order: int
    """AVFieldOrder: 0 unknown, 1 progressive, 2 and 4 top field first in coding, 3 and 5 bottom."""
    extradata_sha: str
    """sha256 of the codec's parameter sets."""
    mastering_display: MasteringDisplay | None = None
    """The display that an HDR film was graded on, see `hdr`; None where the file does not say."""
    content_light: tuple[int, int] | None = None
    """Largest light level of a pixel and of a frame's mean, cd/m2."""
    dynamic_hdr: tuple[str, ...] = ()
    """Names of metadata that change from frame to frame: HDR10+, Dolby Vision."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Tags of the container."""
    other_streams: tuple[OtherStream, ...] = ()
    """All other streams, in container order."""
    exact: bool = True
    """True where every frame has its own pts, so that chunks can be read by seeking."""
    why: str = ""
    """What limits the index: why it is not exact, or where demuxing stopped."""

    def to_json(self) -> str:
        """JSON text; fractions as ``"num/den"``."""
        return json.dumps(asdict(self), default=str, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> StreamFacts:
        """Inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        for name in ("time_base", "average_rate", "sample_aspect_ratio"):
            values[name] = Fraction(values[name])
        for name in ("display_matrix", "mastering_display", "content_light", "dynamic_hdr"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        values["other_streams"] = tuple(OtherStream(**other) for other in values["other_streams"])
        return cls(**values)

    def limited(self, why: str, *, exact: bool) -> StreamFacts:
        """The same facts with a limit of the index written down."""
        return replace(self, exact=self.exact and exact, why="; ".join(filter(None, (self.why, why))))


def gather_facts(container: InputContainer, stream: VideoStream, first: VideoFrame) -> StreamFacts:
    """Facts of a stream; the first decoded frame knows what the header may not say."""
    context = stream.codec_context
    return StreamFacts(
        container=container.format.name,
        stream_index=stream.index,
        codec=context.codec.canonical_name,
        time_base=stream.time_base or Fraction(1, 1000),
        average_rate=stream.average_rate or stream.guessed_rate or Fraction(25),
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(0),
        color_range=int(first.color_range),
        color_primaries=int(first.color_primaries),
        color_trc=int(first.color_trc),
        colorspace=int(first.colorspace),
        rotation=int(first.rotation),
        display_matrix=_display_matrix(first),
        interlaced=first.interlaced_frame,
        field_order=int(context.field_order),
        extradata_sha=extradata_sha(context.extradata),
        mastering_display=mastering_display(first),
        content_light=content_light(first),
        dynamic_hdr=dynamic_hdr(first),
        metadata=dict(container.metadata),
        other_streams=tuple(_others(container, stream)),
    )


def extradata_sha(extradata: bytes | None) -> str:
    """sha256 (hex) of a codec's parameter sets; of nothing where there are none."""
    return hashlib.sha256(bytes(extradata or b"")).hexdigest()


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    side_data: Any = frame.side_data
    entry = side_data.get("DISPLAYMATRIX")
    if entry is None:
        return None
    return tuple(int(v) for v in np.frombuffer(bytes(entry), np.int32))


def _others(container: InputContainer, video: VideoStream) -> Iterator[OtherStream]:
    for stream in container.streams:
        if stream.index != video.index:
            yield OtherStream(
                index=stream.index,
                kind=str(stream.type),
                codec=codec_of(stream),
                language=str(stream.metadata.get("language", "")),
                title=str(stream.metadata.get("title", "")),
                disposition=int(Disposition(stream.disposition)),
            )


def codec_of(stream: Stream) -> str:
    """Canonical codec name of a stream, '' where FFmpeg knows none."""
    context: av.CodecContext | None = stream.codec_context
    return context.codec.canonical_name if context is not None else ""
