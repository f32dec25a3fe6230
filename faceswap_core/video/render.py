"""RGB frames + sound -> video file: how synthetic clips come to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import from_rgb
from faceswap_core.video.outfile import MP4_FAMILY, muxer_of, open_output
from faceswap_core.video.x264 import x264_params

_BT709 = 1
_LIMITED = 1
_AAC_FRAME = 1024


def write_video(
    path: str | Path,
    frames_rgb: Iterable[npt.NDArray[np.uint8]],
    *,
    fps: Fraction,
    audio: npt.NDArray[np.float32] | None = None,
    sample_rate: int = 48000,
    crf: float = 16,
    preset: str = "veryfast",
    lossless: bool = False,
    keyint: int | None = None,
    pix_fmt: str = "yuv420p",
    threads: int = 1,
    options: Mapping[str, str] | None = None,
) -> int:
    """Write RGB frames as H.264 with BT.709 limited-range tags, and sound as AAC.

    Args:
        path: mp4, mov, mkv or ts file.
        frames_rgb: (H, W, 3) uint8 each, all of one size.
        fps: exact rate; frame n is shown at n / fps.
        audio: (samples,) float32 in [-1, 1], mono; None = no sound.
        sample_rate: of ``audio``, Hz.
        crf: quality where not lossless.
        preset: x264 preset.
        lossless: the decoder gives back the YUV samples exactly; RGB too with ``pix_fmt="rgb24"``.
        keyint: keyframe at every multiple of it exactly; None = x264 decides.
        pix_fmt: stored format; ``rgb24`` stores RGB (libx264rgb).
        threads: encoder threads.
        options: further x264 options.

    Returns:
        Number of frames written.

    Raises:
        MediaError: no frames.
        DiskFullError: no space left.
    """
    file, frames = Path(path), iter(frames_rgb)
    first = next(frames, None)
    if first is None:
        raise MediaError(f"{file}: there is no frame to write")
    muxer = muxer_of(file)
    scale = {"movie_timescale": str(fps.numerator)} if muxer in MP4_FAMILY else {}
    chosen = _options(crf, preset, lossless, keyint) | dict(options or {})
    with open_output(file, muxer, scale) as container:
        video = _add_video(container, first, fps, pix_fmt, threads, chosen)
        sound = _Sound(container, audio, sample_rate) if audio is not None else None
        count = 0
        for count, rgb in enumerate(chain([first], frames), start=1):
            _mux_picture(container, video, rgb, count - 1, pix_fmt)
            if sound is not None:
                sound.mux_until(Fraction(count) / fps)
        container.mux(video.encode(None))
        if sound is not None:
            sound.finish()
    return count


def _options(crf: float, preset: str, lossless: bool, keyint: int | None) -> dict[str, str]:
    quality = {"qp": "0"} if lossless else {"crf": str(crf)}
    keys = {} if keyint is None else {"g": str(keyint), "keyint_min": str(keyint), "sc_threshold": "0"}
    return {"preset": preset, "x264-params": x264_params()} | quality | keys


def _add_video(
    container: OutputContainer,
    first: npt.NDArray[np.uint8],
    fps: Fraction,
    pix_fmt: str,
    threads: int,
    options: dict[str, str],
) -> VideoStream:
    codec = "libx264rgb" if pix_fmt == "rgb24" else "libx264"
    stream = container.add_stream(codec, rate=fps, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.height, context.width = first.shape[:2]
    context.pix_fmt = pix_fmt
    context.color_primaries = context.color_trc = _BT709
    if pix_fmt != "rgb24":
        context.colorspace, context.color_range = _BT709, _LIMITED
    context.time_base = stream.time_base = 1 / fps
    context.thread_count = threads
    return stream


def _mux_picture(
    container: OutputContainer, stream: VideoStream, rgb: npt.NDArray[np.uint8], number: int, pix_fmt: str
) -> None:
    frame = from_rgb(rgb, pix_fmt, matrix=_BT709)
    frame.pts, frame.time_base = number, stream.codec_context.time_base
    container.mux(stream.encode(frame))


class _Sound:
    """Mono AAC track, fed in step with the pictures so that the file is well interleaved."""

    def __init__(self, container: OutputContainer, audio: npt.NDArray[np.float32], sample_rate: int) -> None:
        self._container, self._audio, self._rate, self._at = container, audio, sample_rate, 0
        stream = container.add_stream("aac", rate=sample_rate, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.codec_context.time_base = Fraction(1, sample_rate)
        self._stream = stream

    def mux_until(self, seconds: Fraction) -> None:
        end = min(Fraction(len(self._audio)), seconds * self._rate)
        while self._at < end:
            block = np.ascontiguousarray(self._audio[None, self._at : self._at + _AAC_FRAME], np.float32)
            frame = AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = self._rate, self._at
            frame.time_base = Fraction(1, self._rate)
            self._container.mux(self._stream.encode(frame))
            self._at += block.shape[1]

    def finish(self) -> None:
        self.mux_until(Fraction(len(self._audio), self._rate))
        self._container.mux(self._stream.encode(None))
