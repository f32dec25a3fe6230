"""muxer + stream -> why it cannot be held: tried by writing a header to memory, so that no table has to know."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream

from faceswap_core.errors import SettingsError
from faceswap_core.video.facts import codec_of
from faceswap_core.video.outfile import MP4_FAMILY, muxer_of

_TRANSPORT_CODECS = frozenset(
    {
        *("h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4"),
        *("mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "pcm_bluray"),
        *("dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle"),
    }
)
"""What MPEG-TS has a stream type for; its muxer would take anything and mark it private data."""


def refusal(muxer: str, stream: Stream) -> str:
    """Why a muxer cannot hold a copy of a stream; '' where it can.

    Data means something to its own kind of container only, so that it is copied to the same kind alone.
    """
    codec = codec_of(stream)
    if stream.type == "data":
        if _family(stream.container.format.name) != _family(muxer):
            return f"{muxer} has no such data"
    elif muxer == "mpegts" and codec not in _TRANSPORT_CODECS:
        return f"{muxer} cannot hold {codec or 'an unknown codec'}; use .mkv"
    if _fault(muxer, lambda container: copied(container, stream)) is None:
        return ""
    return f"{muxer} cannot hold {codec or 'it'}; use {'another container' if 'matroska' in muxer else '.mkv'}"


def copied(container: OutputContainer, stream: Stream) -> Stream:
    """A new stream of an output container for the packets of another, with its time base and disposition.

    Raises:
        FFmpegError: the muxer knows no such codec (a ValueError too).
    """
    copy = container.add_stream_from_template(stream, opaque=True)
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    return copy


def check_codec(path: Path, encoder: str) -> None:
    """Refuse a file name whose container cannot hold what an encoder makes.

    Args:
        path: the file to write.
        encoder: FFmpeg name of the encoder.

    Raises:
        SettingsError: the suffix stands for no container that can be written, or for one of other codecs.
    """
    muxer, codec = muxer_of(path), av.Codec(encoder, "w").canonical_name
    fault = _fault(muxer, lambda c: c.add_mux_stream(codec, rate=25, width=64, height=64))
    needs_parameter_sets = isinstance(fault, av.error.InvalidDataError)
    if (fault is not None and not needs_parameter_sets) or (muxer == "mpegts" and codec not in _TRANSPORT_CODECS):
        raise SettingsError(f"{path}: a {path.suffix} file cannot hold {codec} (encoder {encoder}); write a .mkv")


def _fault(muxer: str, add: Callable[[OutputContainer], object]) -> Exception | None:
    """What goes wrong where a header with one stream is written to memory."""
    try:
        with av.open(BytesIO(), "w", format=muxer) as trial:
            add(trial)
            trial.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        return error
    return None


def _family(container: str) -> str:
    """Name of the kind of container, for demuxers and muxers alike."""
    name = container.split(",")[0]
    return "mov" if name in MP4_FAMILY else name
