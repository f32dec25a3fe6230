from __future__ import annotations

import errno
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from recoding import RECT, recode

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.errors import DiskFullError, MediaError, SettingsError
from faceswap_core.video.assemble import assemble
from faceswap_core.video.destination import own_suffix
from faceswap_core.video.encoder import encode_chunk, write_video
from faceswap_core.video.index import build_index, plan_chunks
from faceswap_core.video.outfile import open_output
from faceswap_core.video.presets import encode_spec
from faceswap_core.video.reader import decode_linear, read_chunk, to_rgb
from faceswap_core.video.timing import decode_times
from faceswap_core.video.verify import verify_video

FAST = EncodeSettings(preset="draft", crf=20)
LOSSLESS = EncodeSettings(preset="draft", crf=0, codec="libx264")


def with_options(options: dict[str, str]) -> EncodeSettings:
    return EncodeSettings(preset="draft", crf=20, options=options)


@pytest.mark.parametrize(
    "name",
    ["b.mp4", "b.mkv", "b.ts", "vfr.mp4", "vfr.mkv", "open.mp4", "rotated.mp4", "subs.mkv", "edit.mp4"],
)
def test_recoded_clip_has_the_frames_times_and_streams_of_its_source(clip, tmp_path, name):
    out = tmp_path / name
    index, parts, report = recode(clip(name), out, FAST)
    checked = verify_video(out, index, clip(name))
    assert len(parts) > 1
    assert checked.frames == len(index) == report.frames
    assert checked.pts_equal
    assert checked.max_pts_error_seconds == 0
    assert checked.streams_equal, checked.not_carried
    assert checked.sample_decoded == 16 or checked.sample_decoded >= len(parts)
    assert checked.ok
    assert report.not_carried == ()
    assert report.streams_copied == tuple(s.index for s in index.facts.other_streams if s.kind != "data")
    assert own_suffix(index) == (out.suffix,)
    assert checked.changed == ()


@pytest.mark.parametrize("name", ["b.mp4", "vfr.mkv", "ten.mp4", "c444.mp4", "rotated.mp4", "raw.h264"])
def test_lossless_recode_is_equal_outside_the_edited_rectangle(clip, tmp_path, planes, name):
    out = tmp_path / (name if name != "raw.h264" else "raw.mp4")
    recode(clip(name), out, LOSSLESS, edit=lambda rgb: 255 - rgb)
    wide = 2 if name == "ten.mp4" else 1
    pairs = zip(decode_linear(clip(name)), decode_linear(out), strict=True)
    for before, after in pairs:
        assert before.format.name == after.format.name
        for number, (a, b) in enumerate(zip(planes(before), planes(after), strict=True)):
            sub = before.width // before.planes[number].width
            x, y, w, h = (v // sub for v in RECT)
            assert (a != b).any()
            b[y : y + h, x * wide : (x + w) * wide] = a[y : y + h, x * wide : (x + w) * wide]
            assert np.array_equal(a, b)


def test_ffv1_chunks_are_lossless_too(clip, tmp_path, planes):
    out = tmp_path / "ffv1.mkv"
    recode(clip("b.mkv"), out, EncodeSettings(codec="ffv1"))
    for before, after in zip(decode_linear(clip("b.mkv")), decode_linear(out), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes(before), planes(after), strict=True))


def test_equal_input_gives_equal_bytes(clip, tmp_path):
    """Twelve times: x264's AVX-512 code, which is switched off, differs in about every third encode."""
    made = [recode(clip("b.mp4"), tmp_path / f"{n}.mp4", FAST)[1] for n in range(12)]
    assert len({b"".join(part.path.read_bytes() for part in parts) for parts in made}) == 1
    assert len({part.extradata_sha for parts in made for part in parts}) == 1


@pytest.mark.parametrize("codec", ["libx265", "ffv1", "prores_ks"])
def test_equal_input_gives_equal_bytes_with_other_encoders(clip, tmp_path, codec):
    facts = build_index(clip("ten.mp4")).facts
    spec = encode_spec(EncodeSettings(codec=codec, preset="draft"), facts)
    for n in range(3):
        encode_chunk(decode_linear(clip("ten.mp4")), spec, facts, tmp_path / f"{n}.mov")
    assert len({path.read_bytes() for path in tmp_path.glob("*.mov")}) == 1


def test_equal_pictures_render_to_equal_bytes(tmp_path):
    for n in range(6):
        write_video(tmp_path / f"{n}.mp4", pictures(20), fps=Fraction(25))
    assert len({(tmp_path / f"{n}.mp4").read_bytes() for n in range(6)}) == 1


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("kbps", [100, 250])
def test_average_rate_is_met(clip, tmp_path, codec, kbps):
    """Ten seconds, as a rate needs some to settle; the source has 70 kbit/s."""
    facts = build_index(clip("ten_seconds.mp4")).facts
    settings = EncodeSettings(codec=codec, bitrate=kbps, options={"preset": "ultrafast"})
    made = encode_chunk(decode_linear(clip("ten_seconds.mp4")), encode_spec(settings, facts), facts, tmp_path / "x.mp4")
    assert made.frames == 300
    assert abs(made.bytes * 8 / 10_000 / kbps - 1) < 0.05


def test_given_parameter_lists_are_joined_to_our_own(clip, tmp_path):
    facts = build_index(clip("b.mp4")).facts
    spec = encode_spec(with_options({"x264-params": "keyint=4:scenecut=0"}), facts)
    encode_chunk(decode_linear(clip("b.mp4")), spec, facts, tmp_path / "x.mp4")
    keys = np.flatnonzero(build_index(tmp_path / "x.mp4").key_class == "idr")
    assert keys.tolist() == list(range(0, 60, 4))


def test_rotation_colour_tags_and_container_tags_are_kept(clip, tmp_path):
    out = tmp_path / "rotated.mp4"
    index, _, _ = recode(clip("rotated.mp4"), out, FAST)
    found = build_index(out).facts
    for name in (
        "rotation",
        "display_matrix",
        "color_range",
        "colorspace",
        "color_primaries",
        "width",
        "height",
    ):
        assert getattr(found, name) == getattr(index.facts, name), name
    assert found.metadata["title"] == "A clip"


def test_languages_chapters_and_subtitles_are_kept(clip, tmp_path):
    out = tmp_path / "subs.mkv"
    recode(clip("subs.mkv"), out, FAST)
    with av.open(str(clip("subs.mkv"))) as before, av.open(str(out)) as after:
        assert [s.language for s in after.streams] == [s.language for s in before.streams]
        assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]
        assert [c["metadata"] for c in after.chapters()] == [{"title": "one"}]
        assert [c["end"] * c["time_base"] for c in after.chapters()] == [
            c["end"] * c["time_base"] for c in before.chapters()
        ]


def test_what_the_container_cannot_hold_is_named(clip, tmp_path):
    index, _, report = recode(clip("subs.mkv"), tmp_path / "subs.mp4", FAST)
    assert report.streams_copied == (1, 2)
    assert len(report.not_carried) == 1
    assert "subrip" in report.not_carried[0]
    checked = verify_video(tmp_path / "subs.mp4", index, clip("subs.mkv"))
    assert not checked.streams_equal
    assert len(checked.not_carried) == 1


@pytest.mark.parametrize(("suffix", "ratio"), [(".mp4", Fraction(64, 45)), (".mkv", Fraction(1))])
def test_aspect_ratio_is_kept_or_named_where_the_codec_does_not_say_it(clip, tmp_path, suffix, ratio):
    out = tmp_path / f"sar{suffix}"
    index, _, _ = recode(clip("sar.mp4"), out, EncodeSettings(codec="ffv1"))
    assert (build_index(out).facts.sample_aspect_ratio or 1) == ratio
    named = [text for text in verify_video(out, index, clip("sar.mp4")).changed if "64:45" in text or "64/45" in text]
    assert len(named) == (suffix == ".mkv")


def test_matroska_from_mp4_rounds_times_to_a_millisecond_and_shifts_nothing(clip, tmp_path):
    index, _, report = recode(clip("b.mp4"), tmp_path / "b.mkv", FAST)
    checked = verify_video(tmp_path / "b.mkv", index, clip("b.mp4"))
    assert checked.frames == 60
    assert 0 < checked.max_pts_error_seconds <= 0.0005
    assert not checked.pts_equal
    assert checked.times_explained == "frame times rounded to 1/1000 s, the container's clock"
    assert checked.streams_equal, checked.not_carried
    assert report.not_carried == ()


def test_sound_of_an_mp4_is_kept_in_a_transport_stream(clip, tmp_path):
    index, _, _ = recode(clip("b.mp4"), tmp_path / "b.ts", FAST)
    checked = verify_video(tmp_path / "b.ts", index, clip("b.mp4"))
    assert checked.ok, checked


@pytest.mark.parametrize(
    "settings",
    [
        EncodeSettings(codec="libx265", preset="draft", options={"preset": "ultrafast"}),
        EncodeSettings(codec="libvpx-vp9", preset="draft", options={"deadline": "realtime"}),
        EncodeSettings(codec="libsvtav1", preset="draft", options={"preset": "12"}),
        EncodeSettings(codec="prores_ks"),
    ],
    ids=lambda settings: settings.codec,
)
def test_other_encoders_keep_times_too(clip, tmp_path, settings):
    out = tmp_path / ("out.mov" if settings.codec == "prores_ks" else "out.mp4")
    index, _, _ = recode(clip("b.mp4"), out, settings)
    assert verify_video(out, index, clip("b.mp4")).ok


def test_interlaced_video_stays_interlaced(clip, tmp_path):
    index, _, _ = recode(clip("interlaced.ts"), tmp_path / "i.ts", FAST)
    found = build_index(tmp_path / "i.ts").facts
    assert (found.interlaced, found.field_order) == (index.facts.interlaced, index.facts.field_order)
    assert found.interlaced


def test_container_that_cannot_hold_the_video_is_refused(clip, tmp_path):
    with pytest.raises(MediaError, match=r"\.webm file cannot be written"):
        recode(clip("b.mp4"), tmp_path / "b.webm", EncodeSettings(codec="prores_ks"))
    for suffix in (".xyz", ".avi"):
        with pytest.raises(SettingsError, match=rf"cannot write a \{suffix} file"):
            recode(clip("b.mp4"), tmp_path / f"b{suffix}", FAST)
    assert not list(tmp_path.glob(".*partial"))


def test_sound_of_a_transport_stream_is_kept_in_mp4(clip, tmp_path):
    index, _, _ = recode(clip("b.ts"), tmp_path / "b.mp4", FAST)
    checked = verify_video(tmp_path / "b.mp4", index, clip("b.ts"))
    assert checked.pts_equal
    assert checked.streams_equal, checked.not_carried


def test_verify_sees_a_missing_frame_and_altered_sound(clip, tmp_path):
    index, parts, _ = recode(clip("b.mp4"), tmp_path / "b.mp4", FAST)
    first = parts[0].frames
    short = replace(index, pts=index.pts[:first], duration=index.duration[:first])
    assemble(clip("b.mp4"), [parts[0].path], tmp_path / "short.mp4", short)
    assert not verify_video(tmp_path / "short.mp4", index, clip("b.mp4")).pts_equal
    assert not verify_video(tmp_path / "b.mp4", index, clip("vfr.mp4")).streams_equal


def test_verify_sees_one_altered_byte_of_sound(clip, tmp_path):
    index = build_index(clip("b.mp4"))
    with av.open(str(clip("b.mp4"))) as source, av.open(str(tmp_path / "x.mp4"), "w") as out:
        copies = [out.add_stream_from_template(s) for s in source.streams if s.type != "data"]
        for number, packet in enumerate(p for p in source.demux(0, 1) if p.size):
            stream = copies[packet.stream_index]
            if packet.stream_index == 1 and number > 20:
                data = bytearray(bytes(packet))
                data[-1] ^= 1
                times = packet.pts, packet.dts, packet.time_base
                packet = av.Packet(bytes(data))
                packet.pts, packet.dts, packet.time_base = times
            packet.stream = stream
            out.mux(packet)
    checked = verify_video(tmp_path / "x.mp4", index, clip("b.mp4"))
    assert not checked.streams_equal
    assert checked.not_carried == ("audio stream 1 aac eng",)


def test_chunks_out_of_order_or_of_other_settings_are_refused(clip, tmp_path):
    source = clip("b.mp4")
    index, parts, _ = recode(source, tmp_path / "b.mp4", FAST)
    paths = [p.path for p in parts]
    for wrong in (paths[::-1], paths[1:], paths[:-1], [*paths, paths[-1]], [paths[0], *paths[2:]]):
        with pytest.raises(MediaError, match="order of time"):
            assemble(source, wrong, tmp_path / "x.mp4", index)
    chunk = plan_chunks(index, 12)[1]
    other = encode_chunk(
        (f.frame for f in read_chunk(source, chunk)), encode_spec(with_options({"bf": "0"}), index.facts),
        index.facts, tmp_path / "other.mp4",
    )  # fmt: skip
    with pytest.raises(MediaError, match="other settings"):
        assemble(source, [parts[0].path, other.path], tmp_path / "x.mp4", index)
    assert not (tmp_path / "x.mp4").exists()
    assert not list(tmp_path.glob(".*partial"))


def test_encoder_refusals_name_the_setting(clip, tmp_path):
    facts = build_index(clip("b.mp4")).facts
    frames = lambda: decode_linear(clip("b.mp4"))  # noqa: E731
    good = encode_spec(FAST, facts)
    for spec, said in [
        (replace(good, codec="nothing"), "nothing"),
        (encode_spec(with_options({"preset": "no-such"}), facts), "no-such"),
        (encode_spec(with_options({"misspelt": "1"}), facts), "misspelt"),
        (replace(good, pix_fmt="bgra"), "bgra"),
    ]:
        with pytest.raises(SettingsError, match=said):
            encode_chunk(frames(), spec, facts, tmp_path / "x.mp4")
    with pytest.raises(MediaError, match="no frame"):
        encode_chunk(iter(()), good, facts, tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())


def test_decode_times_increase_and_precede_presentation():
    rng = np.random.default_rng(0)
    for _ in range(20):
        times = np.cumsum(rng.integers(1, 900, 40))
        coded = np.concatenate([times[i : i + 4][[3, 1, 0, 2]] for i in range(0, 40, 4)])
        dts = decode_times(coded)
        assert (np.diff(dts) > 0).all()
        assert (dts <= coded).all()
    assert decode_times([]).size == 0
    assert decode_times([5]).tolist() == [5]


def pictures(count: int) -> np.ndarray:
    y, x = np.mgrid[:48, :64]
    return np.stack(
        [np.stack([x * 3 + 2 * n, y * 4, 255 - x - 2 * n], axis=2).clip(0, 255) for n in range(count)]
    ).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_rendered_clip_has_its_rate_keyframes_sound_and_colours(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    sound = np.sin(np.arange(48000) / 20).astype(np.float32)
    fps = Fraction(25)
    assert write_video(path, pictures(25), fps=fps, audio=sound, keyint=5, crf=4) == 25
    index = build_index(path)
    facts = index.facts
    assert [int(p) * facts.time_base for p in index.pts] == [Fraction(n, 25) for n in range(25)]
    assert np.flatnonzero(index.key_class == "idr").tolist() == [0, 5, 10, 15, 20]
    assert (facts.colorspace, facts.color_range, facts.color_primaries, facts.color_trc) == (1, 1, 1, 1)
    assert facts.other_streams[0].codec == "aac"
    with av.open(str(path)) as container:
        heard = sum(f.samples for f in container.decode(audio=0))
    assert 48000 <= heard <= 48000 + 2048
    for want, frame in zip(pictures(25), decode_linear(path), strict=True):
        assert np.abs(to_rgb(frame).astype(float) - want).mean() < 3


def test_rendered_clip_at_ntsc_rate_has_exact_times(tmp_path):
    fps = Fraction(30000, 1001)
    write_video(tmp_path / "n.mp4", pictures(10), fps=fps)
    index = build_index(tmp_path / "n.mp4")
    assert [int(p) * index.facts.time_base for p in index.pts] == [n / fps for n in range(10)]


def test_lossless_render_keeps_every_sample(tmp_path, planes):
    write_video(tmp_path / "rgb.mp4", pictures(6), fps=Fraction(25), lossless=True, pix_fmt="rgb24")
    for want, frame in zip(pictures(6), decode_linear(tmp_path / "rgb.mp4"), strict=True):
        assert np.array_equal(to_rgb(frame), want)
    write_video(tmp_path / "yuv.mp4", pictures(6), fps=Fraction(25), lossless=True)
    for want, frame in zip(pictures(6), decode_linear(tmp_path / "yuv.mp4"), strict=True):
        assert np.abs(to_rgb(frame).astype(int) - want)[4:-4, 4:-4].max() <= 6


def test_no_frames_are_refused(tmp_path):
    with pytest.raises(MediaError, match="no frame"):
        write_video(tmp_path / "x.mp4", [], fps=Fraction(25))


def test_full_disk_is_named_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(DiskFullError, match=r"x\.mp4: no space left") as caught,
        open_output(tmp_path / "x.mp4", "mp4", {}),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.exit_code == 3
    assert not list(tmp_path.iterdir())
