"""What each preset makes of each kind of source: as it is decided, and as it comes out."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from recoding import recode

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.errors import EnvironmentFault, SettingsError
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.encoder import encode_chunk, require_encoder
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import build_index
from faceswap_core.video.pixel_format import pixel_format
from faceswap_core.video.presets import PRESET_CODECS, encode_spec
from faceswap_core.video.reader import decode_linear
from faceswap_core.video.verify import verify_video

PLAIN = StreamFacts(
    **{"container": "mov,mp4,m4a,3gp,3g2,mj2", "stream_index": 0, "codec": "h264", "extradata_sha": ""},
    **{"time_base": Fraction(1, 15360), "average_rate": Fraction(30), "width": 96, "height": 64},
    **{"pix_fmt": "yuv420p", "sample_aspect_ratio": Fraction(1), "color_range": 1, "color_primaries": 1},
    **{"color_trc": 1, "colorspace": 1, "rotation": 0, "display_matrix": None, "interlaced": False, "field_order": 1},
)
DISPLAY = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 1, 10000000)


def spec(facts=PLAIN, **settings):
    return encode_spec(EncodeSettings(**settings), facts)


def source(**changes):
    return replace(PLAIN, **changes)


class TestChoice:
    @pytest.mark.parametrize(
        ("preset", "facts", "codec", "pix_fmt"),
        [
            ("draft", source(), "libx264", "yuv420p"),
            ("draft", source(pix_fmt="yuv422p10le"), "libx264", "yuv422p10le"),
            ("draft", source(pix_fmt="yuv420p", color_trc=16), "libx264", "yuv420p10le"),
            ("draft", source(pix_fmt="yuv411p"), "libx264", "yuv422p"),
            ("draft", source(pix_fmt="yuvj422p", color_range=2), "libx264", "yuvj422p"),
            ("draft", source(pix_fmt="bgra"), "libx264rgb", "bgr0"),
            ("standard", source(), "libx264", "yuv420p"),
            ("standard", source(pix_fmt="yuv444p"), "libx264", "yuv444p"),
            ("standard", source(pix_fmt="gray"), "libx264", "gray"),
            ("standard", source(pix_fmt="yuv420p10le"), "libx265", "yuv420p10le"),
            ("standard", source(pix_fmt="yuv422p12le"), "libx265", "yuv422p12le"),
            ("standard", source(pix_fmt="p010le"), "libx265", "yuv420p10le"),
            ("standard", source(pix_fmt="yuv420p", color_trc=18), "libx265", "yuv420p10le"),
            ("standard", source(pix_fmt="yuva444p10le"), "libx265", "yuv444p10le"),
            ("standard", source(pix_fmt="gbrp10le"), "libx265", "gbrp10le"),
            ("standard", source(pix_fmt="yuv420p10le", interlaced=True), "libx264", "yuv420p10le"),
            ("standard", source(width=97), "libx264", "yuv444p"),
            ("standard", source(height=65), "libx264", "yuv422p"),
            ("standard", source(width=97, pix_fmt="yuv422p10le"), "libx265", "yuv444p10le"),
            ("master", source(), "prores_ks", "yuv422p10le"),
            ("master", source(pix_fmt="yuv444p"), "prores_ks", "yuv444p10le"),
            ("master", source(pix_fmt="yuva420p"), "prores_ks", "yuva444p10le"),
            ("master", source(pix_fmt="bgra"), "ffv1", "bgra"),
            ("master", source(color_range=2), "ffv1", "yuv420p"),
            ("nvenc", source(), "h264_nvenc", "yuv420p"),
            ("nvenc", source(pix_fmt="yuv420p10le"), "hevc_nvenc", "p010le"),
            ("nvenc", source(width=97), "h264_nvenc", "yuv444p"),
        ],
        ids=lambda value: value if isinstance(value, str) else f"{value.pix_fmt}-{value.width}x{value.height}",
    )
    def test_encoder_and_samples(self, preset, facts, codec, pix_fmt):
        found = spec(facts, preset=preset)
        assert (found.codec, found.pix_fmt) == (codec, pix_fmt)
        assert codec in PRESET_CODECS[preset]

    def test_standard_is_the_default_and_slow_at_crf_16(self):
        found = spec()
        assert found == spec(preset="standard")
        assert (found.options["preset"], found.options["crf"]) == ("slow", "16")

    def test_prores_profile_follows_the_samples(self):
        assert spec(preset="master").options["profile"] == "hq"
        assert spec(source(pix_fmt="yuv444p"), preset="master").options["profile"] == "4444"

    def test_lossless_master_is_ffv1(self):
        assert spec(preset="master", crf=0).codec == "ffv1"

    def test_every_preset_names_its_encoders(self):
        assert set(PRESET_CODECS) == {"draft", "standard", "master", "nvenc"}


class TestOptions:
    def test_codec_crf_and_options_override_the_preset(self):
        found = spec(preset="draft", codec="libx265", crf=22.5, options={"preset": "slower", "bf": 3})
        assert found.codec == "libx265"
        assert (found.options["crf"], found.options["preset"], found.options["bf"]) == ("22.5", "slower", "3")

    def test_parameter_lists_are_joined_to_our_own(self):
        found = spec(options={"x264-params": "keyint=4"})
        assert found.options["x264-params"].startswith("open-gop=0")
        assert found.options["x264-params"].endswith(":keyint=4")

    def test_bitrate_is_held_within_a_buffer(self):
        options = spec(bitrate=4000).options
        assert (options["b"], options["maxrate"], options["bufsize"]) == ("4000000", "6000000", "8000000")
        assert "crf" not in options

    @pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
    def test_crf_0_is_lossless(self, codec):
        options = spec(codec=codec, crf=0).options
        assert "crf" not in options
        text = " ".join(f"{k}={v}" for k, v in options.items())
        assert "qp=0" in text or "lossless=1" in text

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"crf": 20, "bitrate": 1000}, "exclude each other"),
            ({"codec": "ffv1", "crf": 20}, "ffv1"),
            ({"preset": "master", "bitrate": 1000}, "preset master"),
            ({"preset": "master", "crf": 12}, "preset master"),
            ({"codec": "libsvtav1", "bitrate": 1000}, "libsvtav1"),
            ({"codec": "prores_ks", "crf": 0}, "never lossless"),
        ],
    )
    def test_rates_that_cannot_be_are_refused(self, settings, said):
        with pytest.raises(ValueError, match=said):
            EncodeSettings(**settings)

    def test_fields_are_coded_as_the_source_has_them(self):
        top, bottom = (source(interlaced=True, field_order=n) for n in (2, 3))
        assert "tff=1" in spec(top).options["x264-params"]
        assert "bff=1" in spec(bottom).options["x264-params"]
        assert spec(bottom, preset="master").options["field_order"] == "bb"
        assert "ff=1" not in spec().options["x264-params"]


class TestLosses:
    def test_what_an_encoder_keeps_is_not_named(self):
        hdr = source(pix_fmt="yuv420p10le", color_trc=16, mastering_display=DISPLAY, content_light=(1000, 400))
        assert spec(hdr).lost == ()
        assert spec(source(interlaced=True)).lost == ()
        assert spec(source(width=97, height=65)).lost == ()

    @pytest.mark.parametrize(
        ("facts", "settings", "said"),
        [
            (source(pix_fmt="bgra"), {}, ["transparency"]),
            (source(pix_fmt="yuv444p"), {"codec": "libsvtav1"}, ["chroma at 4:4:4"]),
            (source(pix_fmt="yuv420p12le"), {"codec": "libx264"}, ["12 bits"]),
            (source(pix_fmt="gbrp"), {"codec": "libx264"}, ["RGB samples"]),
            (source(interlaced=True), {"codec": "libx265"}, ["marks of interlaced fields"]),
            (
                source(mastering_display=DISPLAY, content_light=(1, 2)),
                {"codec": "ffv1"},
                ["mastering", "content light"],
            ),
            (source(dynamic_hdr=("HDR10+", "Dolby Vision")), {}, ["HDR10+", "Dolby Vision"]),
        ],
        ids=lambda value: str(value) if isinstance(value, list) else "",
    )
    def test_what_it_cannot_keep_is(self, facts, settings, said):
        lost = spec(facts, **settings).lost
        assert len(lost) == len(said)
        assert all(text.startswith(word) for text, word in zip(lost, said, strict=True)), lost

    def test_what_is_stored_otherwise_is_noted(self):
        assert spec(source(width=97)).note == "97x64 yuv420p is stored as yuv444p, every chroma sample repeated"
        assert spec().note == ""


class TestEncoderThatIsNotHere:
    @pytest.fixture
    def no_gpu(self):
        try:
            require_encoder("h264_nvenc")
        except EnvironmentFault as error:
            return error
        pytest.skip("this machine has a GPU with a video encoder")

    def test_a_gpu_encoder_is_refused_with_what_to_do(self, no_gpu):
        assert no_gpu.exit_code == 3
        assert "NVIDIA" in str(no_gpu)
        assert 'encode.preset = "standard"' in str(no_gpu)

    def test_a_chunk_is_refused_the_same_way(self, no_gpu, clip, tmp_path):
        facts = build_index(clip("b.mp4")).facts
        with pytest.raises(EnvironmentFault, match="h264_nvenc cannot be opened"):
            encode_chunk(decode_linear(clip("b.mp4")), spec(facts, preset="nvenc"), facts, tmp_path / "x.mp4")

    @pytest.mark.parametrize("codec", [c for p, codecs in PRESET_CODECS.items() if p != "nvenc" for c in codecs])
    def test_the_others_are_part_of_pyav(self, codec):
        require_encoder(codec)

    def test_an_encoder_that_nobody_has_is_refused(self):
        with pytest.raises(EnvironmentFault, match="nothing"):
            require_encoder("nothing")

    def test_wrong_options_are_not_blamed_on_the_machine(self, clip, tmp_path):
        facts = build_index(clip("b.mp4")).facts
        with pytest.raises(SettingsError, match="no-such"):
            encode_chunk(
                decode_linear(clip("b.mp4")), spec(facts, options={"preset": "no-such"}), facts, tmp_path / "x.mp4"
            )


KEPT = ("width", "height", "sample_aspect_ratio", "rotation", "color_range", "colorspace", "color_primaries",
        "color_trc", "interlaced", "mastering_display", "content_light")  # fmt: skip
KINDS = ("b.mp4", "ten.mp4", "c422.mp4", "c444.mp4", "interlaced.mp4", "interlaced.ts", "sar.mp4", "rotated.mp4",
         "hdr10.mp4", "odd.webm", "vfr.mkv", "prores.mov")  # fmt: skip
FASTER = {"libx264": {"preset": "superfast"}, "libx265": {"preset": "ultrafast"}}


@pytest.mark.parametrize(
    ("name", "codec", "tags"), [("moving.gif", "libx264", (1, 1)), ("b.mp4", "libx264rgb", (2, 0))]
)
def test_a_change_of_colour_model_is_tagged_and_named(clip, tmp_path, name, codec, tags):
    settings = EncodeSettings(codec=codec, crf=0, options={"preset": "ultrafast"})
    out = tmp_path / "out.mkv"
    index, _, _ = recode(clip(name), out, settings)
    found = build_index(out).facts
    assert (found.color_range, found.colorspace) == tags
    lost = encode_spec(settings, index.facts).lost
    assert lost[0].startswith(("RGB" if codec == "libx264" else "YUV") + " samples")
    for before, after in zip(decode_linear(clip(name)), decode_linear(out), strict=True):
        assert np.abs(to_rgb(before).astype(int) - to_rgb(after)).mean() < 3


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("preset", ["draft", "standard", "master"])
def test_every_preset_keeps_what_a_source_is(clip, tmp_path, preset, name):
    """With the encoders' own speeds raised: what is kept does not depend on them."""
    facts = build_index(clip(name)).facts
    chosen = spec(facts, preset=preset)
    settings = EncodeSettings(preset=preset, options=FASTER.get(chosen.codec, {}))
    out = tmp_path / ("out.mov" if chosen.codec == "prores_ks" else "out.mkv")
    index, parts, _ = recode(clip(name), out, settings, chunk_frames=20)
    found = build_index(out).facts
    assert len({part.extradata_sha for part in parts}) == 1
    assert verify_video(out, index, clip(name)).sample_failed == ()
    lost = " ".join(chosen.lost)
    for fact in KEPT:
        if fact.replace("_", " ").removesuffix(" display").removesuffix(" light") not in lost:
            assert (getattr(found, fact) or 1) == (getattr(facts, fact) or 1), fact  # no aspect ratio: square
    if facts.interlaced:
        assert found.field_order in ((2, 4) if facts.field_order in (2, 4) else (3, 5))
    given, taken = pixel_format(facts.pix_fmt), pixel_format(found.pix_fmt)
    assert taken.holds(given), (facts.pix_fmt, found.pix_fmt)
    if preset != "master":
        assert lost == ""
