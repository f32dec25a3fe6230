import subprocess
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import NEEDED

from faceswap_core.video.timecode import Timecode, parse_timecode, read_timecode

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("text", "rate", "frames"),
    [
        ("00:00:00:00", Fraction(25), 0),
        ("01:00:00:00", Fraction(25), 90000),
        ("10:20:30:12", Fraction(24000, 1001), 893532),
        ("00:00:59;29", NTSC, 1799),
        ("00:01:00;02", NTSC, 1800),
        ("00:10:00;00", NTSC, 17982),
        ("01:00:00;00", NTSC, 107892),
        ("01:00:00;00", 2 * NTSC, 215784),
        ("00:00:01.05", NTSC, 35),
    ],
)
def test_a_clock_counts_frames(text, rate, frames):
    found = parse_timecode(text, rate)
    assert found.frames == frames
    assert str(found) == text.replace(".", ";")


@pytest.mark.parametrize(
    ("text", "rate"),
    [("", 25), ("1:2:3:4", 25), ("00:00:00:25", 25), ("24:00:00:00", 25), ("00:00:00;00", 25), ("12:00", 25)],
)
def test_what_is_no_timecode_is_none(text, rate):
    assert parse_timecode(text, Fraction(rate)) is None


@given(st.integers(0, 24 * 107892 - 1))
def test_drop_frame_time_goes_through_its_text(frames):
    assert parse_timecode(str(Timecode(frames, 30, True)), NTSC) == Timecode(frames, 30, True)


@given(st.integers(0, 86400 * 24 - 1))
def test_plain_time_goes_through_its_text(frames):
    assert parse_timecode(str(Timecode(frames, 24)), Fraction(24000, 1001)) == Timecode(frames, 24)


def test_later_frames_count_on_and_midnight_begins_anew():
    start = Timecode(25 * 86400 - 1, 25)
    assert str(start.later(Fraction(0), Fraction(25))) == "23:59:59:24"
    assert str(start.later(Fraction(1, 25), Fraction(25))) == "00:00:00:00"
    assert Timecode(0, 30, True).later(1001 * Fraction(60, 1000), NTSC).frames == 1800


@NEEDED
@pytest.mark.parametrize(
    ("suffix", "text"), [("mov", "01:02:03:04"), ("mp4", "01:02:03;04"), ("mkv", "01:02:03:04"), ("mxf", "01:02:03:04")]
)
def test_the_timecode_of_a_file_is_found(tmp_path, suffix, text):
    path = tmp_path / f"t.{suffix}"
    codec = "mpeg2video" if suffix == "mxf" else "libx264"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=30000/1001:duration=0.2",
         "-c:v", codec, "-timecode", text, path],
        check=True,
    )  # fmt: skip
    assert str(read_timecode(path, 0, NTSC)) == text


def test_a_file_without_one_has_none(clip):
    assert read_timecode(clip("b.mp4"), 0, Fraction(30)) is None
