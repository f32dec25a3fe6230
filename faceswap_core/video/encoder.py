"""frames -> encoded chunk: closed GOPs in the source's own time base, ready to be joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceswap_core.errors import EnvironmentFault, MediaError, SettingsError
from faceswap_core.video.colour import convert
from faceswap_core.video.container import open_input
from faceswap_core.video.facts import StreamFacts, extradata_sha
from faceswap_core.video.outfile import MP4_FAMILY, open_output
from faceswap_core.video.pixel_format import pixel_format
from faceswap_core.video.presets import EncodeSpec, encoder_formats
from faceswap_core.video.render import write_video
from faceswap_core.video.samples import describes, widened

__all__ = ["EncodeSpec", "EncodedChunk", "encode_chunk", "require_encoder", "write_video"]

_MOV_ONLY = ("prores", "dnxhd")
_LIMITED, _FULL = 1, 2
_RGB, _BT709 = 0, 1
_NO_MATRIX = (0, 2)
"""H.273 MatrixCoefficients of RGB, and of nothing said."""
_PROBE_SIZE = (256, 144)
"""Pixels of a picture that every encoder takes."""


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
        SettingsError: the encoder refuses the settings, size or pixel format.
        EnvironmentFault: the encoder cannot run on this machine.
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
        picture = _prepared(frame, stream, spec)
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
    try:
        stream = container.add_stream(spec.codec, rate=facts.average_rate, options=dict(spec.options))
    except (av.FFmpegError, ValueError) as error:
        raise SettingsError(f"encoder {spec.codec!r} cannot be used ({error}); use libx264") from error
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = facts.width, facts.height
    context.pix_fmt = spec.pix_fmt
    context.sample_aspect_ratio = facts.sample_aspect_ratio
    context.color_range, context.colorspace = _range_and_matrix(spec, facts)
    context.color_primaries, context.color_trc = facts.color_primaries, facts.color_trc
    context.time_base = stream.time_base = facts.time_base
    context.thread_count = spec.threads
    _open_encoder(stream, spec, facts)
    return stream


def _range_and_matrix(spec: EncodeSpec, facts: StreamFacts) -> tuple[int, int]:
    """Colour range and matrix of the output: the source's, unless RGB becomes YUV or the other way round."""
    given, taken = pixel_format(facts.pix_fmt).model == "rgb", pixel_format(spec.pix_fmt).model == "rgb"
    if given == taken:
        return facts.color_range, facts.colorspace
    return (_FULL, _RGB) if taken else (_LIMITED, _BT709)


def _open_encoder(stream: VideoStream, spec: EncodeSpec, facts: StreamFacts) -> None:
    context = stream.codec_context
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        require_encoder(spec.codec)
        raise SettingsError(
            f"encoder {spec.codec} refuses {facts.width}x{facts.height} {spec.pix_fmt} with "
            f"{dict(spec.options)} ({error}); choose another encode.codec or encode.options"
        ) from error
    if context.options:  # what the encoder did not take
        raise SettingsError(f"encoder {spec.codec} knows no option {', '.join(context.options)}; remove it")


def require_encoder(codec: str) -> None:
    """Refuse an encoder that this machine cannot run, whatever the settings.

    Raises:
        EnvironmentFault: PyAV was built without it, or it needs a GPU or driver that is not here.
    """
    encoder_formats(codec)
    if not codec.endswith("_nvenc"):
        return
    probe = av.CodecContext.create(codec, "w", None)
    assert isinstance(probe, VideoCodecContext)
    probe.width, probe.height = _PROBE_SIZE
    probe.pix_fmt, probe.time_base = "yuv420p", Fraction(1, 25)
    try:
        probe.open()
    except (av.FFmpegError, ValueError) as error:
        raise EnvironmentFault(
            f"encoder {codec} cannot be opened here ({error}): it needs an NVIDIA GPU with a video encoder and its "
            'driver; set encode.preset = "standard" to encode on the CPU'
        ) from error


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


def _prepared(frame: VideoFrame, stream: VideoStream, spec: EncodeSpec) -> VideoFrame:
    """A frame as the encoder takes it; samples are interpolated only where the format cannot hold them."""
    if frame.format.name != spec.pix_fmt:
        frame = _in_format(frame, spec.pix_fmt, int(stream.codec_context.colorspace))
    frame.pict_type = 0
    frame.time_base = stream.codec_context.time_base
    return frame


def _in_format(frame: VideoFrame, name: str, matrix: int) -> VideoFrame:
    given, taken = pixel_format(frame.format.name), pixel_format(name)
    if given.model != "rgb" and taken.holds(given) and describes(frame.format.name) and describes(name):
        return widened(frame, name)
    return convert(frame, name, matrix=None if matrix in _NO_MATRIX else matrix)
