import zlib

import pytest
from conftest import faceswap

from faceswap_core.errors import EnvironmentFault
from faceswap_core.video.encoder import require_encoder
from faceswap_core.video.planes import plane_bytes
from faceswap_core.video.reader import decode_linear

CHUNKS = ("--set", "decode.chunk_frames=10")


def pixels(path):
    return [zlib.crc32(b"".join(plane_bytes(frame))) for frame in decode_linear(path)]


@pytest.fixture(scope="module")
def first(server, clips, tmp_path_factory):
    output = tmp_path_factory.mktemp("recoded") / "out"
    return faceswap("recode", clips["plate"], output, *CHUNKS, "--set", "encode.codec=ffv1"), output


def test_a_lossless_recoding_keeps_every_pixel(first, clips):
    done, output = first
    assert done.code == 0, done.stderr
    assert done.last["event"] == "done"
    assert done.last["output"] == f"{output}.mp4"
    assert pixels(f"{output}.mp4") == pixels(clips["plate"])


def test_the_report_says_what_was_checked(first):
    report = first[0].report
    assert report["frames"] == {
        **{"total": 40, "swapped": 0, "passed_through": 40, "no_face": 0, "failed": 0},
        "reasons": {"nothing to swap": 40},
        "source_damage": [],
    }
    assert report["video"]["pts_equal"]
    assert report["video"]["container"] == "mp4"
    assert report["video"]["not_carried"] == []
    assert report["video"]["streams_equal"]
    assert report["stages"]["reencode-chunk"]["computed"] == 4
    assert not {"detect-faces", "train-model"} & set(report["stages"])


def test_the_same_command_again_finds_everything(first, clips):
    again = faceswap("recode", clips["plate"], first[1], *CHUNKS, "--set", "encode.codec=ffv1")
    assert (again.code, again.last["computed"]) == (0, 0)


def test_an_average_rate_is_one_stream_and_loses_no_time(server, clips, tmp_path):
    done = faceswap("recode", clips["plate"], tmp_path / "o.mp4", *CHUNKS, "--set", "encode.bitrate=800")
    assert done.code == 0, done.stderr
    assert done.report["stages"]["encode-stream"]["computed"] == 1
    assert "reencode-chunk" not in done.report["stages"]
    assert done.report["frames"]["total"] == 40
    video = done.report["video"]
    assert (video["pts_equal"], video["streams_equal"], video["not_carried"]) == (True, True, [])
    assert video["encoding"]["options"]["b"] == "800000"
    assert 0 < video["encoding"]["kbps"] < 1600


def test_a_gpu_encoder_that_is_not_here_ends_with_3(clips, tmp_path):
    try:
        require_encoder("h264_nvenc")
    except EnvironmentFault:
        done = faceswap("recode", clips["plate"], tmp_path / "o.mp4", "--set", "encode.preset=nvenc")
        assert done.code == 3
        assert "NVIDIA" in done.last["message"]
        assert not list(tmp_path.glob("o.mp4*"))


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("encode.codec=ffv1", 2, ".mov"),
        ("encode.crfx=1", 2, "crfx"),
        ("video=x.mp4", 2, "video"),
        ("encode.crf=99", 2, "encode.crf"),
        ("encode.preset=veryfast", 2, "draft"),
    ],
)
def test_settings_are_checked(server, clips, tmp_path, setting, code, said):
    done = faceswap("recode", clips["second"], tmp_path / "o.mov", "--set", setting)
    assert done.code == code
    assert said in done.stderr


def test_a_missing_video_ends_with_4(tmp_path):
    done = faceswap("recode", tmp_path / "none.mp4", tmp_path / "out.mp4")
    assert done.code == 4
    assert "none.mp4" in done.last["message"]


@pytest.mark.parametrize("suffix", [".mp4", ""])
def test_the_source_is_never_overwritten(clips, suffix):
    done = faceswap("recode", clips["second"], clips["second"].with_suffix(suffix))
    assert done.code == 2
    assert "name another file" in done.last["message"]
