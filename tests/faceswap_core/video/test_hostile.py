"""Broken and hostile files end as a MediaError or as a decode whose damage is named; nothing else happens."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from faceswap_core.errors import MediaError
from faceswap_core.video import container as container_module
from faceswap_core.video.checked import decode_unchecked, index_unchecked
from faceswap_core.video.container import open_input, pick_video
from faceswap_core.video.index import plan_chunks
from faceswap_core.video.render import write_video
from faceswap_core.video.sandbox import Limits

SOURCES = ("b.mp4", "b.mkv", "b.ts", "prores.mov", "mpeg4.avi", "odd.webm", "moving.gif", "raw.h264")
CASES = 200
FAST = 24
LIMITS = Limits(memory_mb=2048, seconds=10)
LONGEST_SECONDS = 60


@contextmanager
def opened_fifo(path: Path) -> Iterator[list[str]]:
    """Collects a word whenever anyone opens the FIFO for reading; a blocking reader cannot slip through."""
    os.mkfifo(path)
    caught: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads
                    caught.append(str(error))
                continue
            caught.append(path.name)
            os.close(writer)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield caught
    finally:
        done.set()
        thread.join()


@pytest.fixture
def sibling(tmp_path):
    """A FIFO beside the file, and who opened it."""
    with opened_fifo(tmp_path / "sibling.ts") as caught:
        yield caught


@pytest.fixture
def port():
    """A listening socket of this machine; connections wait in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def connections(listener: socket.socket) -> int:
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def playlist(port: int, folder: Path) -> bytes:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", str(folder / "sibling.ts")]
    lines += ["#EXTINF:2,", f"http://127.0.0.1:{port}/x.ts", "#EXT-X-ENDLIST", ""]
    return "\n".join(lines).encode()


def concat_script(port: int, folder: Path) -> bytes:
    return b"ffconcat version 1.0\nfile sibling.ts\n"


def session_description(port: int, folder: Path) -> bytes:
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} TCP 96\n".encode()


def png(port: int, folder: Path) -> bytes:
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(4096))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def gif(port: int, folder: Path) -> bytes:
    return gif_of(65535, 65535)


def gif_of(width: int, height: int) -> bytes:
    size = struct.pack("<HH", width, height)
    image = b"," + bytes(4) + size + b"\0\x02\x16" + bytes(range(22)) + b"\0"
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + image * 50 + b";"


def empty(port: int, folder: Path) -> bytes:
    return b""


def text(port: int, folder: Path) -> bytes:
    return b"this is no video\n" * 99


def noise(port: int, folder: Path) -> bytes:
    return np.random.default_rng(5).bytes(50_000)


def mp4_with_noise(port: int, folder: Path) -> bytes:
    return b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\xc3\x58moov" + np.random.default_rng(6).bytes(49_992)


HOSTILE = [playlist, concat_script, session_description, png, gif, empty, text, noise, mp4_with_noise]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_file_is_refused_and_reaches_nothing(content, suffix, tmp_path, sibling, port):
    path = tmp_path / f"named{suffix}"
    path.write_bytes(content(port.getsockname()[1], tmp_path))
    with pytest.raises(MediaError, match="named") as caught:
        index_unchecked(path, limits=LIMITS)
    assert caught.value.exit_code == 4
    assert not sibling
    assert connections(port) == 0


@pytest.mark.parametrize("height", [100, 500])
def test_a_decoder_allocates_no_picture_beyond_its_cap(tmp_path, monkeypatch, height):
    monkeypatch.setattr(container_module, "MAX_PIXELS", 200 * 200)
    path = tmp_path / "large.gif"
    path.write_bytes(gif_of(100, height))
    with open_input(path) as container:
        frames = container.decode(pick_video(container, path))
        with nullcontext() if height == 100 else pytest.raises(av.FFmpegError):
            assert next(frames).height == height


@pytest.mark.parametrize("name", ["http://127.0.0.1:{port}/x.mp4", "concat:{folder}/sibling.ts|{folder}/sibling.ts"])
def test_name_is_a_file_name(name, tmp_path, sibling, port):
    with pytest.raises(MediaError, match="no such file"):
        index_unchecked(name.format(port=port.getsockname()[1], folder=tmp_path), limits=LIMITS)
    assert not sibling
    assert connections(port) == 0


@pytest.mark.parametrize(
    "name", ["-i", "-y.mp4", "; touch owned", "$(touch owned).mp4", "a\nb.mp4", "%03d.mp4", "pipe:0"]
)
def test_an_odd_name_is_a_name_and_nothing_else(name, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip("b.mp4"), tmp_path / name)
    assert len(index_unchecked(name, limits=LIMITS)) == len(index_unchecked(clip("b.mp4"), limits=LIMITS))
    (tmp_path / "made" / name).mkdir(parents=True)
    pictures = np.zeros((3, 32, 32, 3), np.uint8)
    write_video(Path("made") / name / "out.mp4", pictures, fps=Fraction(25))
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {name, f"made/{name}/out.mp4"}


def test_the_traps_catch_what_opens_without_care(tmp_path, sibling, port):
    """The very files and names reach out when PyAV opens them as it does by default."""
    number = port.getsockname()[1]
    for content in (concat_script, playlist):
        script = tmp_path / ("list.mp4" if content is concat_script else "list.m3u8")
        script.write_bytes(content(number, tmp_path))
        sibling.clear()
        with suppress(av.FFmpegError):
            av.open(str(script), timeout=2).close()
        assert sibling, script
    with suppress(av.FFmpegError):
        av.open(f"http://127.0.0.1:{number}/x.mp4", timeout=0.5).close()
    assert connections(port) > 0


def damaged(data: bytes, case: int) -> bytes:
    """The bytes with some bits flipped, cut off at some place, or both."""
    rng = np.random.default_rng(1000 + case)
    broken = bytearray(data)
    kind = case // len(SOURCES) % 3
    if kind != 1:
        for position in rng.integers(0, len(broken), int(rng.integers(1, 60))):
            broken[position] ^= 1 << int(rng.integers(8))
    if kind != 0:
        del broken[int(len(broken) * rng.uniform(0.02, 0.99)) :]
    return bytes(broken)


def outcome(path: Path) -> str:
    """What a completed decode says of the file: whole, or its damage.

    Raises:
        MediaError: the file is refused.
    """
    index = index_unchecked(path, limits=LIMITS)
    missing, corrupt, pts = [], [], []
    for chunk in plan_chunks(index, 20):
        frames = []
        found = decode_unchecked(path, chunk, limits=LIMITS, told=frames.append)
        shown = [f["frame_index"] for f in frames]
        assert sorted([*shown, *found.missing]) == list(range(chunk.first_frame, chunk.last_frame))
        missing += found.missing
        corrupt += [f["frame_index"] for f in frames if f["corrupt"]]
        pts += [f["pts"] for f in frames]
    assert pts == sorted(set(pts))
    words = [w for w, named in (("missing", missing), ("corrupt", corrupt), ("limited", index.facts.why)) if named]
    return "+".join(words) or "whole"


def outcome_or_refusal(path: Path) -> str:
    """`outcome`, or 'refused' by an error that names the file."""
    error = None
    try:
        return outcome(path)
    except MediaError as caught:
        error = caught
    assert error.exit_code == 4
    assert path.name in str(error)
    assert "crashed" not in str(error)
    return "refused"


@pytest.mark.parametrize(
    "case", [pytest.param(n, marks=[pytest.mark.release] if n >= FAST else []) for n in range(CASES)]
)
def test_damaged_file_is_refused_or_its_damage_is_named(case, clip, tmp_path):
    name = SOURCES[case % len(SOURCES)]
    path = tmp_path / f"damaged-{name}"
    path.write_bytes(damaged(clip(name).read_bytes(), case))
    began = time.monotonic()
    assert outcome_or_refusal(path)
    assert time.monotonic() - began < LONGEST_SECONDS


@pytest.mark.parametrize("name", SOURCES)
def test_whole_file_is_whole(name, clip):
    allowed = {"whole"} if name != "raw.h264" else {"limited"}  # made-up times
    assert outcome(clip(name)) in allowed


def test_truncated_file_gives_its_first_frames(clip, tmp_path):
    whole = index_unchecked(clip("b.mkv"))
    cut = tmp_path / "cut.mkv"
    data = clip("b.mkv").read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    frames = []
    for chunk in plan_chunks(index_unchecked(cut), 20):
        decode_unchecked(cut, chunk, told=frames.append)
    assert 20 < len(frames) < len(whole)
    pts = [f["pts"] for f in frames]
    assert pts[:-3] == whole.pts[: len(pts) - 3].tolist()  # frames between the last two are coded behind both
    assert set(pts) <= set(whole.pts.tolist())
