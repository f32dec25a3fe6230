"""The frame index: frames indexed in a second from the page cache, and bytes a frame in the published manifest.

One second of 1080p is encoded and its packets are repeated with shifted times, as mp4, mkv and ts. The floor is the
demuxer alone: the same packets read and thrown away.

    python -m benchmarks.video_index [--frames N] [--repeats N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.stages.decode import default_chunk_frames, publish_packets
from faceswap_core.storage import Workspace
from faceswap_core.video.container import open_input, pick_video, read_only
from faceswap_core.video.index import build_index, plan_chunks

MIN_FRAMES_PER_SECOND, MAX_BYTES_PER_FRAME = 40_000, 16
GOP = 30
MEAN_FILLER_BYTES = 20_000
"""Brings the packets to about 6 Mbit/s."""
MUXERS = {".mp4": "mp4", ".mkv": "matroska", ".ts": "mpegts"}
TIME_BASE = Fraction(1, 90000)


def machine() -> dict[str, object]:
    """Commit, hardware and load."""
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "processor": named[0].partition(": ")[2] if named else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "pyav": av.__version__,
    }


def noisy_pictures(count: int) -> Iterator[VideoFrame]:
    """1080p gradients that move, with noise like a camera's."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:1080, :1920]
    noise = rng.normal(0, 3, (1080 + count, 1920 + count))
    for n in range(count):
        luma = (x // 8 + y // 6 + 4 * n) % 200 + 20 + noise[n : n + 1080, n : n + 1920]
        frame = VideoFrame(1920, 1080, "yuv420p")
        frame.planes[0].update(luma.astype(np.uint8).tobytes())
        for plane in list(frame.planes)[1:]:
            plane.update(np.full((540, 960), 128, np.uint8).tobytes())
        yield frame


def write_second(path: Path) -> None:
    """One closed GOP of H.264 with B-frames, in Annex B form with its own parameter sets."""
    with av.open(str(path), "w", format="mpegts") as out:
        options = {"preset": "veryfast", "crf": "23", "x264-params": f"keyint={GOP}:bframes=3:scenecut=0"}
        stream = out.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for frame in noisy_pictures(GOP):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def write_long(second: Path, path: Path, frames: int) -> None:
    """Repeat the packets of a second until there are at least ``frames``; filler gives each a size of its own."""
    rng = np.random.default_rng(0)
    with av.open(str(second)) as source, av.open(str(path), "w", format=MUXERS[path.suffix]) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        read = [p for p in source.demux(video=0) if p.size]
        packets = [(bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in read]
        for turn in range(-(-frames // GOP)):
            for data, pts, dts, key in packets:
                packet = av.Packet(data + filler(int(rng.gamma(2, MEAN_FILLER_BYTES / 2))))
                packet.stream, packet.time_base, packet.is_keyframe = stream, TIME_BASE, key
                packet.pts, packet.dts, packet.duration = pts + turn * 90000, dts + turn * 90000, 3000
                out.mux(packet)


def filler(size: int) -> bytes:
    """A filler data NAL unit (ITU-T H.264 7.3.2.7) with ``size`` bytes of nothing."""
    return b"\0\0\0\1\x0c" + b"\xff" * size + b"\x80"


def demux(path: Path) -> int:
    """Read all packets of the video stream; returns how many."""
    with open_input(path) as container:
        stream = pick_video(container, path)
        read_only(container, stream)
        return sum(1 for packet in container.demux(stream) if packet.size)


def seconds_of(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Shortest wall time and shortest processor time of several calls, seconds."""
    wall, cpu = [], []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
    return min(wall), min(cpu)


def bytes_per_frame(path: Path, folder: Path) -> float:
    """Size of the published packet index over the number of frames."""
    index = build_index(path)
    workspace = Workspace(folder)
    ref = publish_packets(workspace, index, plan_chunks(index, default_chunk_frames(len(index))))
    return workspace.path(ref["path"]).stat().st_size / len(index)


def measure(path: Path, folder: Path, repeats: int) -> Iterator[dict[str, object]]:
    """The figures of one file."""
    frames = demux(path)  # and now the file is in the page cache
    facts = {"container": path.suffix[1:], "frames": frames, "packet_bytes": path.stat().st_size // frames}
    floor = frames / seconds_of(lambda: demux(path), repeats)[0]
    wall, cpu = seconds_of(lambda: build_index(path), repeats)
    speed = frames / wall
    size = bytes_per_frame(path, folder)
    yield {
        "figure": "index_frames_per_second",
        "value": round(speed),
        "goal": MIN_FRAMES_PER_SECOND,
        "holds": speed >= MIN_FRAMES_PER_SECOND,
        "per_processor_second": round(frames / cpu),
        "floor_demux": round(floor),
        "of_floor": round(speed / floor, 2),
        **facts,
    }
    yield {
        "figure": "index_bytes_per_frame",
        "value": round(size, 2),
        "goal": MAX_BYTES_PER_FRAME,
        "holds": size <= MAX_BYTES_PER_FRAME,
        **facts,
    }


def main() -> None:
    """Print the figures of all containers, one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write the clips (about 300 MB); default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_second(folder / "second.ts")
        for suffix in MUXERS:
            path = folder / f"long{suffix}"
            write_long(folder / "second.ts", path, options.frames)
            for figure in measure(path, folder, options.repeats):
                print(json.dumps({**figure, **machine()}), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
