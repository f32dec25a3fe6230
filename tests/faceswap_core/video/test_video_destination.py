from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.errors import MediaError, SettingsError
from faceswap_core.video.assemble import assemble
from faceswap_core.video.destination import destination
from faceswap_core.video.encoder import encode_chunk
from faceswap_core.video.holding import check_codec
from faceswap_core.video.index import build_index
from faceswap_core.video.presets import encode_spec
from faceswap_core.video.reader import decode_linear

X264 = EncodeSettings(preset="draft", codec="libx264")
FFV1 = EncodeSettings(codec="ffv1")


@pytest.fixture
def wanted(clip, tmp_path):
    """A function from a clip and how to encode it to where an output without a suffix goes."""

    def where(name, settings):
        index = build_index(clip(name))
        spec = encode_spec(settings, index.facts)
        part = encode_chunk(islice(decode_linear(clip(name)), 3), spec, index.facts, tmp_path / "part.mp4")
        return destination(tmp_path / "out", clip(name), part.path, index).name

    return where


@pytest.mark.parametrize(
    ("name", "spec", "file"),
    [
        ("b.mp4", X264, "out.mp4"),
        ("b.mp4", FFV1, "out.mp4"),
        ("b.mov", X264, "out.mov"),
        ("b.mov", FFV1, "out.mp4"),  # QuickTime holds no FFV1, and Matroska would round the times
        ("b.ts", X264, "out.ts"),
        ("b.ts", FFV1, "out.mp4"),
        ("vfr.mkv", X264, "out.mkv"),
        ("subs.mkv", FFV1, "out.mkv"),
        ("b.flv", X264, "out.mkv"),
        ("mpeg2.mpg", X264, "out.mp4"),
    ],
)
def test_container_without_a_suffix_holds_streams_and_times(wanted, name, spec, file):
    assert wanted(name, spec) == file


def test_a_given_suffix_is_kept(clip):
    index = build_index(clip("b.mp4"))
    assert destination(Path("x.mkv"), clip("b.mp4"), "none", index) == Path("x.mkv")


@pytest.mark.parametrize(
    ("file", "encoder"),
    [("x.mov", "ffv1"), ("x.mp4", "prores_ks"), ("x.ts", "ffv1"), ("x.webm", "libx264"), ("x.ts", "libsvtav1")],
)
def test_a_suffix_that_does_not_go_with_the_encoder_is_refused(file, encoder):
    with pytest.raises(SettingsError, match=rf"{file}: .* cannot hold .*{encoder}"):
        check_codec(Path(file), encoder)


@pytest.mark.parametrize("file", ["x.mkv", "x.mp4", "x.mov", "x.ts", "x.m2ts"])
def test_x264_goes_into_every_other_container(file):
    check_codec(Path(file), "libx264")
    check_codec(Path("x.mkv"), "prores_ks")


def test_frames_before_zero_are_not_hidden_in_an_mp4(clip, tmp_path):
    index = build_index(clip("wrap.ts"))
    assert index.pts[0] < 0
    part = encode_chunk(
        decode_linear(clip("wrap.ts")), encode_spec(X264, index.facts), index.facts, tmp_path / "part.mp4"
    )
    with pytest.raises(MediaError, match="before time zero"):
        assemble(clip("wrap.ts"), [part.path], tmp_path / "x.mp4", index)
    assert assemble(clip("wrap.ts"), [part.path], tmp_path / "x.ts", index).frames == len(index)
    assert build_index(tmp_path / "x.ts").pts.tolist() == index.pts.tolist()
