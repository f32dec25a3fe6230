"""frames -> encoded chunk: closed GOPs in the source's own time base, ready to be joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError, SettingsError
from faceswap_core.video.colour import convert
from faceswap_core.video.container import open_input
from faceswap_core.video.facts import StreamFacts, extradata_sha
from faceswap_core.video.outfile import MP4_FAMILY, open_output
from faceswap_core.video.render import write_video
from faceswap_core.video.x264 import x264_params

__all__ = ["EncodeSpec", "EncodedChunk", "encode_chunk", "encoder_options", "write_video"]

_MOV_ONLY = ("prores", "dnxhd")
_INTERLACED_FLAGS = "+ildct+ilme"


@dataclass(frozen=True)
class EncodeSpec:
    """How chunks are encoded. Equal spec, facts and frames give equal bytes."""

    codec: str = "libx264"
    """FFmpeg name of the encoder."""
    crf: float = 16
    """Constant rate factor; constant quality only, as rates cannot be kept across joins."""
    preset: str = "medium"
    """Preset of x264/x265; a number for libsvtav1."""
    lossless: bool = False
    """True: the decoder gives back every sample (x264: qp 0); ``crf`` is ignored."""
    keyint: int = 250
    """Longest distance between keyframes, frames."""
    pix_fmt: str | None = None
    """Pixel format of the output; None = that of the source."""
    threads: int = 1
    """Threads of the encoder; part of what decides the bytes."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Further options of the encoder; they win over those made from the fields above (parameter lists
    such as ``x264-params`` are joined)."""


@dataclass(frozen=True)
class EncodedChunk:
    """What `encode_chunk` wrote."""

    path: Path
    """The file: MP4, or MOV for codecs that MP4 does not hold."""
    frames: int
    """Number of frames."""
    pts: tuple[int, ...]
    """Presentation times, ticks of the source's time base."""
    bytes: int
    """Size of the file."""
    extradata_sha: str
    """sha256 of the codec's parameter sets; equal for all chunks that can be joined."""

    @property
    def first_pts(self) -> int:
        """Time of the first frame, ticks."""
        return self.pts[0]

    @property
    def last_pts(self) -> int:
        """Time of the last frame, ticks."""
        return self.pts[-1]


def encode_chunk(frames: Iterator[VideoFrame], spec: EncodeSpec, facts: StreamFacts, out_path: Path) -> EncodedChunk:
    """Encode frames to a file of their own; they keep their pts in the source's time base.

    An MP4 holds no times before zero: a chunk that begins earlier begins at zero, and `timeline` sets it right.

    Args:
        frames: in presentation order, with pts in ticks of ``facts.time_base``; their picture types
            are reset, or the source's would be forced on the encoder.
        spec: encoder settings.
        facts: facts of the source; size, colour tags, aspect and field order are taken from here.
        out_path: written under a temporary name first.

    Raises:
        SettingsError: the encoder does not exist or refuses the settings, size or pixel format.
        MediaError: no frame, a frame of another size, or times that do not increase.
        DiskFullError: no space left.
    """
    muxer = "mov" if spec.codec.startswith(_MOV_ONLY) else "mp4"
    try:
        with open_output(out_path, muxer, container_options(muxer, facts)) as container:
            pts = _encode_all(container, frames, spec, facts)
    except av.FFmpegError as error:
        raise MediaError(f"{out_path}: encoding with {spec.codec} failed ({error}); try libx264") from error
    with open_input(out_path) as written:
        sha = extradata_sha(written.streams.video[0].codec_context.extradata)
    return EncodedChunk(out_path, len(pts), tuple(pts), out_path.stat().st_size, sha)


def _encode_all(
    container: OutputContainer, frames: Iterator[VideoFrame], spec: EncodeSpec, facts: StreamFacts
) -> list[int]:
    """Encode and mux every frame; their pts."""
    stream = _add_encoder(container, spec, facts)
    pts: list[int] = []
    for frame in frames:
        pts.append(_checked_pts(frame, facts, pts))
        picture = _prepared(frame, stream)
        picture.pts = pts[-1] - min(pts[0], 0)
        container.mux(stream.encode(picture))
    if not pts:
        raise MediaError("there is no frame to encode; the chunk is empty")
    container.mux(stream.encode(None))
    return pts


def container_options(muxer: str, facts: StreamFacts) -> dict[str, str]:
    """Muxer options that keep times exact.

    An MP4 rounds start offsets to its movie time scale; a transport stream adds a delay; the others
    shift everything where sound begins before zero (the priming of AAC).
    """
    if muxer in MP4_FAMILY:
        return {"movie_timescale": str(facts.time_base.denominator)}
    if muxer == "mpegts":
        return {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}
    return {"avoid_negative_ts": "disabled"}


def _add_encoder(container: OutputContainer, spec: EncodeSpec, facts: StreamFacts) -> VideoStream:
    options = _merged(encoder_options(spec, facts), spec.options)
    try:
        stream = container.add_stream(spec.codec, rate=facts.average_rate, options=options)
    except (av.FFmpegError, ValueError) as error:
        raise SettingsError(f"encoder {spec.codec!r} cannot be used ({error}); use libx264") from error
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = facts.width, facts.height
    context.pix_fmt = spec.pix_fmt or facts.pix_fmt
    context.sample_aspect_ratio = facts.sample_aspect_ratio
    context.color_range, context.colorspace = facts.color_range, facts.colorspace
    context.color_primaries, context.color_trc = facts.color_primaries, facts.color_trc
    context.time_base = stream.time_base = facts.time_base
    context.thread_count = spec.threads
    _open_encoder(stream, spec, facts)
    return stream


def _open_encoder(stream: VideoStream, spec: EncodeSpec, facts: StreamFacts) -> None:
    context = stream.codec_context
    wanted = dict(context.options)
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        raise SettingsError(
            f"encoder {spec.codec} refuses {facts.width}x{facts.height} {context.pix_fmt} with "
            f"{wanted} ({error}); choose another encoder, pixel format (odd sizes need "
            "yuv444p) or options"
        ) from error
    if context.options:  # what the encoder did not take
        raise SettingsError(f"encoder {spec.codec} knows no option {', '.join(context.options)}; remove it")


def _merged(made: dict[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Given options win; parameter lists (``x264-params``) are joined, the later entry winning."""
    joined = {k: f"{made[k]}:{v}" for k, v in given.items() if k.endswith("-params") and k in made}
    return {**made, **given, **joined}


def encoder_options(spec: EncodeSpec, facts: StreamFacts) -> dict[str, str]:
    """Encoder options from a spec: closed GOPs, constant quality, and interlaced coding where needed."""
    if spec.codec in ("libx264", "libx264rgb"):
        return {"preset": spec.preset, "g": str(spec.keyint)} | _x264_quality(spec) | _x264_fields(facts)
    if spec.codec == "libx265":
        quality = {} if spec.lossless else {"crf": str(spec.crf)}
        params = f"open-gop=0:log-level=error:frame-threads=1:pools={spec.threads}"
        params += ":lossless=1" if spec.lossless else ""
        return {"preset": spec.preset, "g": str(spec.keyint), "x265-params": params} | quality
    if spec.codec == "ffv1":
        return {"level": "3", "g": "1"}
    if spec.lossless:
        raise SettingsError(f"encoder {spec.codec} has no lossless mode here; use libx264, libx265 or ffv1")
    if spec.codec == "libsvtav1":
        return {"preset": spec.preset, "crf": str(round(spec.crf)), "g": str(spec.keyint)}
    return {}


def _x264_quality(spec: EncodeSpec) -> dict[str, str]:
    return {"qp": "0"} if spec.lossless else {"crf": str(spec.crf)}


def _x264_fields(facts: StreamFacts) -> dict[str, str]:
    params = x264_params()
    if not facts.interlaced:
        return {"x264-params": params}
    first = "bff=1" if facts.field_order in (3, 5) else "tff=1"
    return {"x264-params": f"{params}:{first}", "flags": _INTERLACED_FLAGS}


def _checked_pts(frame: VideoFrame, facts: StreamFacts, before: list[int]) -> int:
    if (frame.width, frame.height) != (facts.width, facts.height):
        raise MediaError(
            f"a frame of {frame.width}x{frame.height} in a video of {facts.width}x{facts.height}; "
            "cut the file where the size changes"
        )
    if frame.pts is None or (before and frame.pts <= before[-1]):
        last = before[-1] if before else None
        raise MediaError(f"frame times must increase: {frame.pts} after {last}; index the video again")
    return frame.pts


def _prepared(frame: VideoFrame, stream: VideoStream) -> VideoFrame:
    context = stream.codec_context
    if context.pix_fmt is not None and frame.format.name != context.pix_fmt:
        matrix = int(context.colorspace)
        frame = convert(frame, context.pix_fmt, matrix=None if matrix in (0, 2) else matrix)
    frame.pict_type = 0
    frame.time_base = stream.codec_context.time_base
    return frame
