"""Small clips, made with PyAV when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.stream import Disposition
from av.video.frame import VideoFrame

FORMATS = {
    ".ts": "mpegts", ".mkv": "matroska", ".h264": "h264", ".mov": "mov", ".avi": "avi", ".webm": "webm", ".gif": "gif"
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a test clip is made."""

    name: str
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    params: str = ""
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    frames: int = 60
    time_base: Fraction = Fraction(1, 15360)
    pts: Callable[[int], int] = lambda n: 512 * n
    colorspace: int = 1
    color_range: int = 1
    audio: int = 0
    subtitle: bool = False
    rotation: int = 0


def vfr(n: int) -> int:
    """A frame rate that changes within the clip, with one pause of a second."""
    return 500 + 512 * n + (n % 5) * 37 + (15360 if n >= 25 else 0)


RECIPES = {
    r.name: r
    for r in [
        Recipe("b.mp4", params="keyint=15:bframes=3:b-pyramid=normal:scenecut=0", audio=1),
        Recipe("b.mkv", params="keyint=15:bframes=3", time_base=Fraction(1, 1000), pts=lambda n: n * 33 + n % 2),
        Recipe(
            "b.ts",
            params="keyint=15:bframes=3",
            time_base=Fraction(1, 90000),
            pts=lambda n: n * 3003,
            audio=1,
        ),
        Recipe("open.mp4", params="keyint=15:min-keyint=15:bframes=3:open-gop=1:scenecut=0"),
        Recipe(
            "open.ts",
            params="keyint=15:min-keyint=15:bframes=3:open-gop=1:scenecut=0",
            time_base=Fraction(1, 90000),
            pts=lambda n: n * 3003,
        ),
        Recipe("refresh.mp4", params="keyint=15:intra-refresh=1:bframes=0"),
        Recipe("vfr.mp4", params="keyint=10:bframes=3", pts=vfr, audio=2),
        Recipe(
            "vfr.mkv",
            params="keyint=10:bframes=3",
            time_base=Fraction(1, 1000),
            pts=lambda n: 7 + vfr(n) // 15,
        ),
        Recipe("rotated.mp4", params="keyint=20", rotation=90, colorspace=6, color_range=2, pix_fmt="yuvj420p"),
        Recipe("ten.mp4", pix_fmt="yuv420p10le", params="keyint=20"),
        Recipe("c444.mp4", pix_fmt="yuv444p", params="keyint=20"),
        Recipe("hevc.mp4", codec="libx265", params="keyint=15:bframes=3:open-gop=1:log-level=none", frames=45),
        Recipe(
            "vp9.mkv",
            codec="libvpx-vp9",
            options={"g": "15", "deadline": "realtime", "cpu-used": "8"},
            time_base=Fraction(1, 1000),
            pts=lambda n: n * 40,
            frames=45,
        ),
        Recipe("one_key.mp4", params="keyint=infinite", frames=30),
        Recipe(
            "interlaced.ts",
            params="keyint=15:bff=1",
            options={"flags": "+ildct+ilme"},
            time_base=Fraction(1, 90000),
            pts=lambda n: n * 3600,
            frames=30,
        ),
        Recipe(
            "mpeg4.mkv",
            codec="mpeg4",
            options={"bf": "2", "g": "12"},
            time_base=Fraction(1, 1000),
            pts=lambda n: n * 40,
            frames=40,
        ),
        Recipe("edit.mp4", params="keyint=15:bframes=3", pts=lambda n: 512 * (n - 20)),
        Recipe("prores.mov", codec="prores_ks", pix_fmt="yuv422p10le", frames=24),
        Recipe("mpeg4.avi", codec="mpeg4", options={"g": "12"}, time_base=Fraction(1, 30), pts=lambda n: n, frames=40),
        Recipe(
            "vp9.webm",
            codec="libvpx-vp9",
            options={"g": "15", "deadline": "realtime", "cpu-used": "8"},
            time_base=Fraction(1, 1000),
            pts=lambda n: n * 40,
            frames=30,
        ),
        Recipe("loop.gif", codec="gif", pix_fmt="rgb8", time_base=Fraction(1, 100), pts=lambda n: n * 4, frames=24),
        Recipe("raw.h264", params="keyint=15:bframes=2", frames=40),
        Recipe(
            "subs.mkv",
            params="keyint=15",
            time_base=Fraction(1, 1000),
            pts=lambda n: n * 40,
            audio=2,
            subtitle=True,
        ),
    ]
}


def picture(number: int, recipe: Recipe) -> VideoFrame:
    """Moving gradients with a little noise, different for every number."""
    width, height = recipe.size
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 2 + number * 3, y * 3 - number * 5, (x + y) + number * 7], axis=2) % 200 + 20
    rgb = rgb + rng.integers(-8, 9, rgb.shape)
    frame = VideoFrame.from_ndarray(rgb.clip(0, 255).astype(np.uint8), "rgb24")
    spaces = {1: "ITU709", 6: "ITU601"}
    return frame.reformat(
        format=recipe.pix_fmt, dst_colorspace=spaces[recipe.colorspace], dst_color_range=recipe.color_range
    )


def write_clip(path: Path, recipe: Recipe) -> None:
    options = dict(recipe.options)
    if recipe.codec in ("libx264", "libx265"):
        options |= {"preset": "ultrafast" if recipe.codec == "libx265" else "veryfast"}
        options |= {recipe.codec[3:] + "-params": recipe.params}
    container_options = {"movie_timescale": str(recipe.time_base.denominator)} if path.suffix == ".mp4" else {}
    if recipe.pts(0) < 0:
        container_options["avoid_negative_ts"] = "disabled"
    with av.open(str(path), "w", format=FORMATS.get(path.suffix, "mp4"), container_options=container_options) as out:
        video = out.add_stream(recipe.codec, rate=30, options=options)
        context = video.codec_context
        context.width, context.height = recipe.size
        context.pix_fmt, context.thread_count = recipe.pix_fmt, 1
        context.colorspace, context.color_range = recipe.colorspace, recipe.color_range
        context.color_primaries = context.color_trc = recipe.colorspace
        context.time_base = video.time_base = recipe.time_base
        if recipe.rotation:
            video.set_display_rotation(recipe.rotation)
        tracks = [add_audio(out, n) for n in range(recipe.audio)]
        subtitle = out.add_mux_stream("subrip") if recipe.subtitle else None
        if subtitle is not None:
            subtitle.time_base = Fraction(1, 1000)
            subtitle.metadata["language"] = "fre"
        out.metadata["title"] = "A clip"
        if path.suffix in (".mp4", ".mkv"):
            half = int(recipe.pts(recipe.frames // 2))
            chapter = {
                "id": 1,
                "start": 0,
                "end": half,
                "time_base": recipe.time_base,
                "metadata": {"title": "one"},
            }
            out.set_chapters([chapter])
        for n in range(recipe.frames):
            frame = picture(n, recipe)
            frame.pts, frame.time_base = int(recipe.pts(n)), recipe.time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for track in tracks:
            mux_audio(out, track)
        if subtitle is not None:
            packet = av.Packet(b"Bonjour")
            packet.stream, packet.time_base = subtitle, Fraction(1, 1000)
            packet.pts = packet.dts = 200
            packet.duration = 500
            out.mux(packet)


def add_audio(out: av.container.OutputContainer, number: int) -> av.AudioStream:
    track = out.add_stream("aac", rate=48000, layout="mono")
    track.metadata["language"] = ["eng", "ger"][number]
    track.disposition = [Disposition.default, Disposition.comment][number]
    return track


def mux_audio(out: av.container.OutputContainer, track: av.AudioStream) -> None:
    wave = np.sin(np.arange(48000 * 2) * (0.05 + 0.01 * track.index)).astype(np.float32)
    for at in range(0, len(wave), 1024):
        block = AudioFrame.from_ndarray(wave[None, at : at + 1024], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = 48000, at, Fraction(1, 48000)
        out.mux(track.encode(block))
    out.mux(track.encode(None))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a recipe's name to the clip."""
    return partial(_made, tmp_path_factory.mktemp("clips"))


def _made(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        write_clip(path, RECIPES[name])
    return path


def planes_of(frame: VideoFrame) -> list[np.ndarray]:
    """Copies of a frame's planes as bytes, without padding."""
    out = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
        samples = np.dtype(np.uint16 if "10" in frame.format.name else np.uint8).itemsize
        step = 2 if frame.format.name == "nv12" and plane.index == 1 else 1
        out.append(rows[:, : plane.width * samples * step].copy())
    return out


@pytest.fixture(scope="session")
def planes() -> Callable[[VideoFrame], list[np.ndarray]]:
    """A function from a frame to copies of its planes."""
    return planes_of
