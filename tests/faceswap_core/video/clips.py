"""recipe -> video file: small clips of every kind that the reader must treat exactly, made when first asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import oracle
import pytest
from av.audio.frame import AudioFrame
from av.stream import Disposition
from av.video.frame import VideoFrame

FORMATS = {".ts": "mpegts", ".mkv": "matroska", ".h264": "h264", ".mpg": "mpeg"}
"""Muxers whose name is not that of the suffix."""
TIME_BASES = {
    ".ts": Fraction(1, 90000),
    ".mpg": Fraction(1, 90000),
    ".mkv": Fraction(1, 1000),
    ".webm": Fraction(1, 1000),
    ".gif": Fraction(1, 100),
    ".avi": Fraction(1, 30),
}
"""Seconds per tick where the container leaves no choice; 1/15360 elsewhere."""
MOVIES = (".mp4", ".mov")
RATE = 30


@dataclass(frozen=True)
class Recipe:
    """How a test clip is made: encoded here, or by the ffmpeg program from another clip."""

    name: str
    """File name; the suffix chooses the container."""
    codec: str = "libx264"
    """FFmpeg name of the encoder."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the encoder."""
    params: str = ""
    """Options of x264 or x265 itself."""
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    """Width and height, pixels."""
    frames: int = 60
    pts: Callable[[int], int] | None = None
    """Ordinal -> presentation time in ticks; None = 30 frames a second from zero."""
    colorspace: int = 1
    """Matrix, primaries and transfer: 1 = BT.709, 6 = BT.601, 9 = BT.2020 with PQ."""
    color_range: int = 1
    """1 = limited, 2 = full."""
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    """Degrees counter-clockwise."""
    audio: int = 0
    """Number of AAC tracks."""
    subtitle: bool = False
    exact: bool = True
    """False where the container gives frames no times."""
    ffmpeg: tuple[str, ...] = ()
    """Arguments of the ffmpeg program, with {source} for the clip named by ``source``; empty = encoded here."""
    source: str = ""

    @property
    def suffix(self) -> str:
        """Ending of the file name, with its dot."""
        return Path(self.name).suffix

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        return TIME_BASES.get(self.suffix, Fraction(1, 15360))

    def time(self, number: int) -> int:
        """Presentation time of a frame, ticks."""
        return self.pts(number) if self.pts else round(number / (RATE * self.time_base))


def vfr(n: int) -> int:
    """A frame rate that changes within the clip, with one pause of a second."""
    return 500 + 512 * n + (n % 5) * 37 + (15360 if n >= 25 else 0)


OPEN_GOP = "keyint=15:min-keyint=15:bframes=3:open-gop=1:scenecut=0"
HDR10 = (
    "keyint=15:bframes=3:log-level=none:repeat-headers=1:hdr10=1:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
VP9 = {"g": "15", "deadline": "good", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "12"}
SVT_AV1 = {"preset": "12", "g": "15", "svtav1-params": "lp=1"}
COPY = ("-i", "{source}", "-map", "0:v", "-c", "copy")
ALL_OF_IT = ("-i", "{source}", "-map", "0", "-c", "copy")
TIMECODE = ("-timecode", "01:00:00:00", "-map_chapters", "-1")
ATTACHED = ("-attach", "{source}", "-metadata:s:t", "mimetype=application/x-notes", "-metadata:s:t", "filename=notes.x")
COVERED = ("-f", "lavfi", "-i", "color=red:s=32x32:r=1:d=1", "-i", "{source}", "-map", "1", "-map", "0", "-c", "copy")
COVERED += ("-c:v:1", "png", "-disposition:v:1", "attached_pic")

RECIPES = {
    r.name: r
    for r in [
        # H.264
        Recipe("b.mp4", params="keyint=15:bframes=3:b-pyramid=normal:scenecut=0", audio=1),
        Recipe("b.mov", params="keyint=15:bframes=3"),
        Recipe("b.mkv", params="keyint=15:bframes=3", pts=lambda n: n * 33 + n % 2),
        Recipe("b.ts", params="keyint=15:bframes=3", pts=lambda n: n * 3003, audio=1),
        Recipe("open.mp4", params=OPEN_GOP),
        Recipe("open.mkv", params=OPEN_GOP),
        Recipe("open.ts", params=OPEN_GOP, pts=lambda n: n * 3003),
        Recipe("refresh.mp4", params="keyint=15:intra-refresh=1:bframes=0"),
        Recipe("refresh.ts", params="keyint=15:intra-refresh=1:bframes=0"),
        Recipe("c422.mp4", pix_fmt="yuv422p", params="keyint=20"),
        Recipe("c444.mp4", pix_fmt="yuv444p", params="keyint=20"),
        Recipe("ten.mp4", pix_fmt="yuv420p10le", params="keyint=20"),
        Recipe("interlaced.ts", params="keyint=15:bff=1", options={"flags": "+ildct+ilme"}, frames=30),
        Recipe("interlaced.mp4", params="keyint=15:bframes=2:tff=1", options={"flags": "+ildct+ilme"}, frames=40),
        Recipe("odd.mp4", pix_fmt="yuv444p", params="keyint=15", size=(97, 65)),
        Recipe("vfr.mp4", params="keyint=10:bframes=3", pts=vfr, audio=2),
        Recipe("vfr.mkv", params="keyint=10:bframes=3", pts=lambda n: 7 + vfr(n) // 15),
        Recipe("edit.mp4", params="keyint=15:bframes=3", pts=lambda n: 512 * (n - 20)),
        Recipe("edit.mov", params=OPEN_GOP, pts=lambda n: 512 * (n - 20)),
        Recipe("trimmed.mov", source="open.mp4", ffmpeg=("-ss", "0.7", "-i", "{source}", "-c", "copy", "-dn")),
        Recipe("offset.mp4", params="keyint=15:bframes=3", pts=lambda n: 40000 + 512 * n),
        Recipe("delayed.mp4", source="b.mp4", ffmpeg=(*COPY, "-output_ts_offset", "1.5")),
        Recipe("fragments.mp4", source="open.mp4", ffmpeg=(*COPY, "-movflags", "frag_keyframe+empty_moov")),
        Recipe("wrap.ts", params="keyint=15:bframes=3", pts=lambda n: 2**33 - 90000 + 3003 * n),
        Recipe("joined.ts", source="open.ts", ffmpeg=("-i", "concat:{source}|{source}", "-c", "copy")),
        Recipe("cut.mkv", source="open.ts", ffmpeg=("-ss", "0.6", *COPY)),
        Recipe("live.mkv", source="open.mkv", ffmpeg=(*COPY, "-live", "1")),
        Recipe("b.flv", params="keyint=15:bframes=3"),
        Recipe("b.avi", params="keyint=15:bframes=3", exact=False),
        Recipe("offset.ts", params="keyint=15:bframes=3", pts=lambda n: 8_000_000_000 + 3003 * n),
        Recipe("rotated.mp4", params="keyint=20", rotation=90, colorspace=6, color_range=2, pix_fmt="yuvj420p"),
        Recipe("rotated180.mp4", params="keyint=20", rotation=180),
        Recipe("rotated270.mov", params="keyint=20", rotation=270),
        Recipe("sar.mp4", params="keyint=20", sample_aspect_ratio=Fraction(64, 45), colorspace=6),
        Recipe("one_key.mp4", params="keyint=infinite", frames=30),
        Recipe("one_key.ts", params="keyint=infinite:bframes=3", frames=30),
        Recipe("ten_seconds.mp4", params="keyint=30", frames=300),
        Recipe("one_frame.mp4", params="keyint=15", frames=1),
        Recipe("subs.mkv", params="keyint=15", pts=lambda n: n * 40, audio=2, subtitle=True),
        Recipe("tracks.mp4", source="subs.mkv", ffmpeg=(*ALL_OF_IT, "-c:s", "mov_text")),
        Recipe("timecode.mov", source="b.mov", ffmpeg=(*COPY, *TIMECODE)),
        Recipe("attached.mkv", source="subs.mkv", ffmpeg=(*ALL_OF_IT, *ATTACHED, "-disposition:s:0", "forced")),
        Recipe("cover.mp4", source="b.mp4", ffmpeg=COVERED),
        Recipe(
            "pcm.mov", source="subs.mkv", ffmpeg=(*COPY, "-map", "0:a", "-c:a:0", "pcm_s16le", "-c:a:1", "pcm_s24le")
        ),
        Recipe("data.ts", source="b.ts", ffmpeg=("-i", "{source}", "-f", "data", *ALL_OF_IT, "-map", "1")),
        Recipe("angles.mp4", source="b.mp4", ffmpeg=("-i", "{source}", *ALL_OF_IT, "-map", "1:v")),
        Recipe("raw.h264", params="keyint=15:bframes=2", frames=40, exact=False),
        # Other codecs
        Recipe("hevc.mp4", codec="libx265", params="keyint=15:bframes=3:open-gop=1:log-level=none", frames=45),
        Recipe("hevc.ts", codec="libx265", params="keyint=15:bframes=3:open-gop=1:log-level=none", frames=45),
        Recipe("hdr10.mp4", codec="libx265", params=HDR10, pix_fmt="yuv420p10le", colorspace=9, frames=45),
        Recipe("raw.hevc", codec="libx265", params="keyint=15:bframes=3:log-level=none", frames=45, exact=False),
        Recipe("vp9.mkv", codec="libvpx-vp9", options=VP9, pts=lambda n: n * 40, frames=45),
        Recipe("odd.webm", codec="libvpx-vp9", options=VP9, size=(97, 65), frames=45),
        Recipe("av1.mp4", codec="libsvtav1", options=SVT_AV1, frames=45),
        Recipe("av1.mkv", codec="libsvtav1", options=SVT_AV1, frames=45),
        Recipe("mpeg2.ts", codec="mpeg2video", options={"g": "12", "bf": "2", "flags": "+ildct+ilme"}),
        Recipe("mpeg2.mpg", codec="mpeg2video", options={"g": "12", "bf": "2"}),
        Recipe("mpeg4.avi", codec="mpeg4", options={"bf": "2", "g": "12"}, frames=40),
        Recipe("mpeg4.mkv", codec="mpeg4", options={"bf": "2", "g": "12"}, pts=lambda n: n * 40, frames=40),
        Recipe("prores.mov", codec="prores_ks", pix_fmt="yuv422p10le", frames=30),
        Recipe("ffv1.mkv", codec="ffv1", options={"g": "10"}, frames=30),
        Recipe("moving.gif", codec="gif", pix_fmt="rgb8", frames=30),
        Recipe("odd.gif", codec="gif", pix_fmt="rgb8", size=(97, 65), frames=12),
        Recipe("odd.mkv", codec="ffv1", options={"g": "5"}, size=(97, 65), frames=12),
        Recipe("odd422.mkv", codec="ffv1", options={"g": "5"}, pix_fmt="yuv422p", size=(97, 65), frames=12),
        Recipe("odd_ten.mkv", codec="ffv1", options={"g": "5"}, pix_fmt="yuv420p10le", size=(97, 65), frames=12),
    ]
}


def parameters(*names: str) -> list[object]:
    """Names of clips (none = all) as pytest parameters; some are skipped where ffmpeg is not installed."""
    return [pytest.param(n, marks=[oracle.NEEDED] * bool(RECIPES[n].ffmpeg)) for n in names or RECIPES]


def make(folder: Path, name: str) -> Path:
    """Path of a clip in ``folder``, made there unless it is."""
    path = folder / name
    recipe = RECIPES[name]
    if path.exists():
        return path
    if recipe.ffmpeg:
        remux(make(folder, recipe.source), path, recipe)
    else:
        write_clip(path, recipe)
    return path


def remux(source: Path, path: Path, recipe: Recipe) -> None:
    """Let the ffmpeg program make a clip from another."""
    arguments = [a.format(source=source) for a in recipe.ffmpeg]
    exact = ["-fflags", "+bitexact", "-flags", "+bitexact"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, *exact, str(path)], check=True)


def picture(number: int, recipe: Recipe) -> VideoFrame:
    """Moving gradients with a little noise, different for every number."""
    width, height = recipe.size
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 2 + number * 3, y * 3 - number * 5, (x + y) + number * 7], axis=2) % 200 + 20
    rgb = rgb + rng.integers(-8, 9, rgb.shape)
    frame = VideoFrame.from_ndarray(rgb.clip(0, 255).astype(np.uint8), "rgb24")
    if recipe.pix_fmt == "rgb8":
        return frame.reformat(format="rgb8")
    spaces = {1: "ITU709", 6: "ITU601", 9: 9}
    return frame.reformat(
        format=recipe.pix_fmt, dst_colorspace=spaces[recipe.colorspace], dst_color_range=recipe.color_range
    )


def write_clip(path: Path, recipe: Recipe) -> None:
    """Encode a clip with its tracks, tags and chapters."""
    movie = recipe.suffix in MOVIES
    container_options = {"movie_timescale": str(recipe.time_base.denominator)} if movie else {}
    if recipe.time(0) < 0:
        container_options["avoid_negative_ts"] = "disabled"
    muxer = FORMATS.get(path.suffix, path.suffix[1:])
    with av.open(str(path), "w", format=muxer, container_options=container_options) as out:
        video = add_video(out, recipe)
        tracks = [add_audio(out, n) for n in range(recipe.audio)]
        subtitle = out.add_mux_stream("subrip") if recipe.subtitle else None
        if subtitle is not None:
            subtitle.time_base = Fraction(1, 1000)
            subtitle.metadata["language"] = "fre"
        out.metadata["title"] = "A clip"
        if movie or recipe.suffix == ".mkv":
            out.set_chapters([chapter(recipe)])
        for n in range(recipe.frames):
            frame = picture(n, recipe)
            frame.pts, frame.time_base = recipe.time(n), recipe.time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for track in tracks:
            mux_audio(out, track)
        if subtitle is not None:
            out.mux(line_of_text(subtitle))


def add_video(out: av.container.OutputContainer, recipe: Recipe) -> av.VideoStream:
    """The stream of pictures, ready to encode."""
    options = dict(recipe.options)
    if recipe.codec in ("libx264", "libx265"):
        options |= {"preset": "ultrafast" if recipe.codec == "libx265" else "veryfast"}
        options |= {recipe.codec[3:] + "-params": recipe.params}
    video = out.add_stream(recipe.codec, rate=RATE, options=options)
    context = video.codec_context
    context.width, context.height = recipe.size
    context.pix_fmt, context.thread_count = recipe.pix_fmt, 1
    if recipe.pix_fmt != "rgb8":
        context.colorspace, context.color_range = recipe.colorspace, recipe.color_range
        context.color_primaries = recipe.colorspace
        context.color_trc = 16 if recipe.colorspace == 9 else recipe.colorspace
    if recipe.sample_aspect_ratio != 1:
        context.sample_aspect_ratio = recipe.sample_aspect_ratio
    context.time_base = Fraction(1, RATE) if recipe.codec == "mpeg2video" else recipe.time_base
    video.time_base = recipe.time_base
    if recipe.rotation:
        video.set_display_rotation(recipe.rotation)
    return video


def chapter(recipe: Recipe) -> dict[str, object]:
    """One chapter over the first half of a clip."""
    return {
        "id": 1,
        "start": 0,
        "end": max(recipe.time(recipe.frames // 2), 1),
        "time_base": recipe.time_base,
        "metadata": {"title": "one"},
    }


def line_of_text(subtitle: av.stream.Stream) -> av.Packet:
    """A subtitle of half a second."""
    packet = av.Packet(b"Bonjour")
    packet.stream, packet.time_base = subtitle, Fraction(1, 1000)
    packet.pts = packet.dts = 200
    packet.duration = 500
    return packet


def add_audio(out: av.container.OutputContainer, number: int) -> av.AudioStream:
    """The n-th track of sound, ready to encode."""
    track = out.add_stream("aac", rate=48000, layout="mono")
    track.metadata["language"] = ["eng", "ger"][number]
    track.disposition = [Disposition.default, Disposition.comment][number]
    return track


def mux_audio(out: av.container.OutputContainer, track: av.AudioStream) -> None:
    """Two seconds of a tone."""
    wave = np.sin(np.arange(48000 * 2) * (0.05 + 0.01 * track.index)).astype(np.float32)
    for at in range(0, len(wave), 1024):
        block = AudioFrame.from_ndarray(wave[None, at : at + 1024], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = 48000, at, Fraction(1, 48000)
        out.mux(track.encode(block))
    out.mux(track.encode(None))
