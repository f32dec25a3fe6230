"""Every kind of clip passes the video stages with nothing to swap and comes out as it went in."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import clips
import oracle
import pytest

from faceswap_core.config import BlendSettings, DecodeSettings, EncodeSettings
from faceswap_core.stages.assemble import assemble_video
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.encode import reencode_chunk
from faceswap_core.stages.verify import verify_video, video_report
from faceswap_core.storage import Workspace
from faceswap_core.types import Json

X264 = EncodeSettings(preset="draft", codec="libx264", crf=0, options={"preset": "ultrafast"})
FFV1 = EncodeSettings(codec="ffv1")
ONLY_FFV1 = ("odd.webm", "odd.mkv", "odd422.mkv", "odd_ten.mkv", "odd.gif", "moving.gif")
"""What x264 cannot hold as it is: an odd size with halved chroma, and red, green and blue with alpha."""
QUICK = ("vfr.mp4", "subs.mkv", "b.ts", "rotated270.mov", "one_frame.mp4")
CONTAINERS = {
    **{"b.flv": ".mkv", "b.avi": ".mp4", "mpeg4.avi": ".mp4", "odd.webm": ".mkv", "moving.gif": ".mkv"},
    "odd.gif": ".mkv",
    **{"raw.h264": ".mkv", "raw.hevc": ".mkv", "mpeg2.mpg": ".mp4"},
}
"""Where the source's own container is not written: Matroska where its milliseconds hold the times, else MP4."""


@dataclass
class Passed:
    """A clip that went through the stages."""

    path: Path
    report: Json


def passed(source: Path, output: Path, encode: EncodeSettings) -> Passed:
    """Plan, decode, encode, assemble and verify, with nothing to swap."""
    workspace = Workspace(output.with_name("workspace"))
    video = video_ref(source)
    plan = plan_video(workspace, video, DecodeSettings(chunk_frames=8))
    frames = [decode_frames(workspace, video, plan, i) for i in range(plan["chunks"])]
    chunks = [reencode_chunk(workspace, video, ref, None, BlendSettings(), encode) for ref in frames]
    done = assemble_video(workspace, video, frames, chunks, output)
    checks = verify_video(workspace, video, frames, done["video"], done["not_carried"])
    return Passed(Path(done["video"]["path"]), video_report(workspace, checks))


def assert_equal(name: str, source: Path, done: Passed) -> None:
    """Compare a clip with its copy by another program's eyes."""
    before, after = oracle.facts_of(source), oracle.facts_of(done.path)
    exact = clips.RECIPES[name].exact
    assert done.report["failed_checks"] == []
    assert done.report["not_carried"] == []
    assert after.frames == before.frames
    if exact:
        assert len(after.times) == len(before.times)
        assert all(then in (None, now) for then, now in zip(before.times, after.times, strict=True))
        assert before.times.count(None) <= 1  # ffprobe knows no time of the last frame of AVI and MPEG-PS
    else:  # the source gives its frames no times: even ones are made up
        assert len(set(differences(after.times))) == 1
    assert after.picture | before.picture == after.picture
    assert after.tracks == before.tracks
    assert after.chapters == before.chapters
    assert after.timecode == before.timecode
    assert after.title == before.title


def differences(times: list[Fraction]) -> list[Fraction]:
    return [b - a for a, b in pairwise(times)]


@oracle.NEEDED
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[*([] if n in QUICK else [pytest.mark.release]), *[oracle.NEEDED] * bool(r.ffmpeg)])
        for n, r in clips.RECIPES.items()
    ],
)
def test_clip_with_nothing_to_swap_comes_out_as_it_went_in(clip, tmp_path, name):
    done = passed(clip(name), tmp_path / "out", FFV1 if name in ONLY_FFV1 else X264)
    assert done.path.suffix == CONTAINERS.get(name, Path(name).suffix)
    assert_equal(name, clip(name), done)


@oracle.NEEDED
@pytest.mark.release
@pytest.mark.parametrize("name", ["b.mp4", "ten.mp4", "c444.mp4", "prores.mov", "mpeg2.ts", "hdr10.mp4"])
def test_ffv1_holds_every_sample_too(clip, tmp_path, name):
    done = passed(clip(name), tmp_path / "out", FFV1)
    assert done.report["failed_checks"] == []
    assert oracle.decoded(done.path) == oracle.decoded(clip(name))


LOSSES = [
    ("b.mp4", ".mkv", ["frame times rounded to 1/1000 s", "audio stream 1 aac eng: times rounded to 1/1000 s"]),
    ("subs.mkv", ".mp4", ["subtitle stream 3 subrip fre: mp4 cannot hold subrip; use .mkv"]),
    ("tracks.mp4", ".mkv", ["subtitle stream 3 mov_text", "times rounded"]),
    (
        "attached.mkv",
        ".mp4",
        ["subtitle stream 3", "attachment stream 4 notes.x: mp4 holds none", "chapters"],
    ),
    ("cover.mp4", ".mkv", ["frame times rounded", "audio stream 1 aac eng: times rounded"]),
    ("timecode.mov", ".ts", ["tag title (A clip)", "timecode 01:00:00:00"]),
    ("data.ts", ".mp4", ["data stream 2: mp4 has no such data", "audio stream 1 aac eng: times rounded to 1/48000 s"]),
    ("rotated.mp4", ".ts", ["tag title", "rotation", "chapters"]),
]
"""Clip, container, and beginnings of what the report must name, no more and no less."""


@pytest.mark.release
@pytest.mark.parametrize(("name", "suffix", "named"), LOSSES)
def test_what_the_wanted_container_cannot_hold_is_named(clip, tmp_path, name, suffix, named):
    done = passed(clip(name), tmp_path / f"out{suffix}", X264)
    assert done.report["failed_checks"] == []
    lost = done.report["not_carried"]
    assert [any(text in entry for entry in lost) for text in named] == [True] * len(named), lost
    assert [any(text in entry for text in named) for entry in lost] == [True] * len(lost), lost
