"""The video stages against FFmpeg's own program, and their memory against the length of the video.

``recode_cpu_ratio``: processor seconds (user and system, children included) of re-encoding a 1080p chunk - reading it
again, an edit of the face's rectangle that changes nothing, encoding - over those of ``ffmpeg`` decoding and encoding
the same frames with the same encoder settings. Both run in turns; the median counts.

``recode_memory_ratio``: highest resident memory of a worker, and of the child that first reads the file, over a video
ten times as long.

    python -m benchmarks.video_recode [--frames N] [--repeats N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import VideoFrame

from benchmarks.video_index import filler, machine, noisy_pictures
from faceswap_core.config import BlendSettings, DecodeSettings, EncodeSettings
from faceswap_core.stages.assemble import assemble_video
from faceswap_core.stages.decode import decode_frames, plan_video, published_chunk, read_frames, video_ref
from faceswap_core.stages.encode import reencode_chunk
from faceswap_core.stages.verify import verify_video
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, ManifestRef
from faceswap_core.video.encoder import encode_chunk
from faceswap_core.video.patch import edit_rect
from faceswap_core.video.presets import encode_spec

MAX_CPU_RATIO, MAX_MEMORY_RATIO = 1.15, 1.1
FACE_XYWH = (811, 301, 300, 340)
"""Where the face would be; odd on purpose, so that it cuts chroma samples."""
SMALL_WH = (320, 180)
"""Size of the long clip: its length, not its pictures, is what must take no memory."""
ENCODINGS = (EncodeSettings(), EncodeSettings(preset="draft", crf=21))


def write_clip(path: Path, frames: int) -> None:
    """1080p of moving gradients with noise, a keyframe every 30 frames."""
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "crf": "20", "x264-params": "keyint=30:bframes=2"}
        stream = out.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for frame in noisy_pictures(frames):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def decoded_chunk(workspace: Workspace, video: FileRef) -> ManifestRef:
    """FRAMES of a clip that is one chunk."""
    plan = plan_video(workspace, video, DecodeSettings(chunk_frames=36000))
    return decode_frames(workspace, video, plan, 0)


def recode(workspace: Workspace, video: FileRef, frames: ManifestRef, settings: EncodeSettings) -> None:
    """Re-encode a chunk as reencode-chunk does, with an edit that changes nothing."""
    _, facts = published_chunk(workspace, frames)

    def edited() -> Iterator[VideoFrame]:
        for frame in read_frames(workspace, video, frames):
            yield edit_rect(frame.frame, FACE_XYWH, lambda rgb: rgb, as_float=True)

    with workspace.scratch(".mp4") as temporary:
        encode_chunk(edited(), encode_spec(settings, facts), facts, temporary)


def recode_by_ffmpeg(workspace: Workspace, video: FileRef, frames: ManifestRef, settings: EncodeSettings) -> None:
    """Decode and encode by FFmpeg's program, on as many threads."""
    _, facts = published_chunk(workspace, frames)
    spec = encode_spec(settings, facts)
    options = [word for name, value in spec.options.items() for word in (f"-{name}", value)]
    threads = str(settings.threads)
    with workspace.scratch(".mp4") as temporary:
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-threads",
            "1",
            "-i",
            video["path"],
            "-c:v",
            spec.codec,
            *options,
        ]
        subprocess.run([*command, "-threads", threads, "-filter_threads", "1", str(temporary)], check=True)


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def cpu_figures(folder: Path, frames: int, repeats: int) -> Iterator[dict[str, object]]:
    """Both ways in turns, for each encoding."""
    workspace, clip = Workspace(folder / "cpu"), folder / "clip.mp4"
    write_clip(clip, frames)
    video = video_ref(clip)
    chunk = decoded_chunk(workspace, video)
    for settings in ENCODINGS:
        seconds: dict[str, list[float]] = {"ours": [], "ffmpeg": []}
        for _ in range(repeats):
            for name, way in (("ours", recode), ("ffmpeg", recode_by_ffmpeg)):
                before = cpu_seconds()
                way(workspace, video, chunk, settings)
                seconds[name].append(cpu_seconds() - before)
        ours, floor = (statistics.median(seconds[name]) for name in ("ours", "ffmpeg"))
        yield {
            "figure": "recode_cpu_ratio",
            "value": round(ours / floor, 3),
            "goal": MAX_CPU_RATIO,
            "holds": ours / floor <= MAX_CPU_RATIO,
            "cpu_seconds": round(ours, 2),
            "cpu_seconds_ffmpeg": round(floor, 2),
            "frames": frames,
            "preset": settings.preset,
        }


def write_long(path: Path, seconds: int) -> None:
    """A small clip of 30 frames, its packets repeated with shifted times."""
    second = path.with_name("second.ts")
    with av.open(str(second), "w", format="mpegts") as out:
        options = {"preset": "veryfast", "x264-params": "keyint=30:bframes=2:scenecut=0"}
        stream = out.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = *SMALL_WH, "yuv420p"
        for frame in noisy_pictures(30):
            out.mux(stream.encode(frame.reformat(*SMALL_WH)))
        out.mux(stream.encode(None))
    with av.open(str(second)) as source, av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        read, time_base = [p for p in source.demux(video=0) if p.size], source.streams.video[0].time_base
        assert time_base is not None
        packets = [(bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in read]
        for turn in range(seconds):
            for data, pts, dts, key in packets:
                packet = av.Packet(data + filler(turn % 97))
                packet.stream, packet.time_base, packet.is_keyframe = stream, time_base, key
                packet.pts, packet.dts, packet.duration = pts + turn * 90000, dts + turn * 90000, 3000
                out.mux(packet)


def work(folder: Path, clip: Path) -> None:
    """All video stages over a clip, one worker; prints the highest resident memory of worker and child, bytes."""
    workspace, video = Workspace(folder), video_ref(clip)
    plan = plan_video(workspace, video, DecodeSettings())
    settings = EncodeSettings(preset="draft", options={"preset": "ultrafast"})
    frames = [decode_frames(workspace, video, plan, i) for i in range(plan["chunks"])]
    chunks = [reencode_chunk(workspace, video, ref, None, BlendSettings(), settings) for ref in frames]
    done = assemble_video(workspace, video, frames, chunks, folder / "out.mp4")
    verify_video(workspace, video, frames, done["video"], done["not_carried"])
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([1024 * peak for peak in peaks]))


def peaks_of(folder: Path, seconds: int) -> tuple[int, int]:
    """Highest resident memory of a fresh worker and of its children over a clip of that length, bytes."""
    folder.mkdir()
    write_long(folder / "clip.mp4", seconds)
    command = [sys.executable, "-m", "benchmarks.video_recode", "--work", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    worker, child = json.loads(done.stdout)
    return worker, child


def memory_figures(folder: Path, seconds: int) -> Iterator[dict[str, object]]:
    """Worker and child over a clip and over one ten times as long."""
    short, long = peaks_of(folder / "short", seconds), peaks_of(folder / "long", 10 * seconds)
    for name, before, after in zip(("worker", "child"), short, long, strict=True):
        yield {
            "figure": "recode_memory_ratio",
            "of": name,
            "value": round(after / before, 3),
            "goal": MAX_MEMORY_RATIO,
            "holds": after / before <= MAX_MEMORY_RATIO,
            "megabytes": [round(peak / 1e6, 1) for peak in (before, after)],
            "frames": [30 * seconds, 300 * seconds],
        }


def main() -> None:
    """Print the figures, one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=30, help="frames of the 1080p chunk")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="length of the shorter clip for the memory")
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary one")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work, options.work / "clip.mp4")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for figure in memory_figures(Path(name), options.seconds):
            print(json.dumps({**figure, **machine()}), flush=True)
        if shutil.which("ffmpeg") is None:
            sys.exit("the ffmpeg program, which the stages are measured against, is not here: install it")
        for figure in cpu_figures(Path(name), options.frames, options.repeats):
            print(json.dumps({**figure, **machine()}), flush=True)


if __name__ == "__main__":
    main()
