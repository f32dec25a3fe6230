"""Metadata of high dynamic range: read from the source, found again in the output, and named where it is lost."""

from __future__ import annotations

import json
import subprocess

import av
import oracle
import pytest
from recoding import recode

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.hdr import content_light, display_decimals, display_text, mastering_display
from faceswap_core.video.index import build_index
from faceswap_core.video.presets import encode_spec
from faceswap_core.video.reader import decode_linear

DISPLAY = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 1, 10000000)
"""What the recipe of hdr10.mp4 says, red first and the least luminance before the most."""
LIGHT = (1000, 400)
ENCODERS = {
    "standard": EncodeSettings(options={"preset": "ultrafast"}),
    "draft": EncodeSettings(preset="draft", options={"preset": "ultrafast"}),
    "lossless": EncodeSettings(crf=0, options={"preset": "ultrafast"}),
    "bitrate": EncodeSettings(bitrate=300, options={"preset": "ultrafast"}),
    "av1": EncodeSettings(codec="libsvtav1", options={"preset": "12"}),
}


def test_facts_say_how_the_film_was_graded(clip):
    facts = build_index(clip("hdr10.mp4")).facts
    assert facts.mastering_display == DISPLAY
    assert facts.content_light == LIGHT
    assert facts.dynamic_hdr == ()
    assert StreamFacts.from_json(facts.to_json()) == facts


def test_other_films_say_nothing(clip):
    facts = build_index(clip("ten.mp4")).facts
    assert (facts.mastering_display, facts.content_light, facts.dynamic_hdr) == (None, None, ())


def test_the_display_is_written_as_encoders_read_it():
    wanted = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert display_text(DISPLAY) == wanted
    decimals = "G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0001)"
    assert display_decimals(DISPLAY) == decimals


@pytest.mark.parametrize("how", ENCODERS)
def test_the_output_carries_it_from_chunk_to_chunk(clip, tmp_path, how):
    out = tmp_path / "out.mp4"
    index, parts, _ = recode(clip("hdr10.mp4"), out, ENCODERS[how], chunk_frames=15)
    assert encode_spec(ENCODERS[how], index.facts).lost == ()
    assert len(parts) == 3
    frames = list(decode_linear(out))
    assert len(frames) == 45
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec_context.codec_tag in ("hvc1", "avc1", "av01")
    told = [frame for frame in frames if frame.key_frame or how != "draft"]  # x264 says it at keyframes
    assert len(told) >= 3
    assert {content_light(frame) for frame in told} == {LIGHT}
    displays = {mastering_display(frame) for frame in told}
    if how == "av1":  # AV1 has units of its own: 16 bits of chromaticity, 8 and 14 bits below a candela
        (found,) = displays
        assert all(abs(a - b) <= 1 for a, b in zip(found[:8], DISPLAY[:8], strict=True))
        assert found[9] == DISPLAY[9]
        assert abs(found[8] - DISPLAY[8]) <= 1
    else:
        assert displays == {DISPLAY}
    assert {(int(f.color_trc), int(f.color_primaries), int(f.colorspace)) for f in frames} == {(16, 9, 9)}


@oracle.NEEDED
def test_ffprobe_reads_the_same_from_source_and_output(clip, tmp_path):
    out = tmp_path / "out.mp4"
    recode(clip("hdr10.mp4"), out, ENCODERS["standard"], chunk_frames=15)
    source, output = (probed(path) for path in (clip("hdr10.mp4"), out))
    assert source == output
    assert [entry["side_data_type"] for entry in output] == [
        "Mastering display metadata",
        "Content light level metadata",
    ]
    assert output[0]["max_luminance"] == "10000000/10000"


def probed(path):
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames"]
    found = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, check=True).stdout
    kinds = ("Mastering display metadata", "Content light level metadata")
    return [entry for entry in json.loads(found)["frames"][0]["side_data_list"] if entry["side_data_type"] in kinds]


def bits(*fields):
    """Unsigned numbers of given widths as bytes, the first bit the highest, filled up with zeros."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def hdr10_plus_message():
    """SMPTE ST 2094-40 in an HEVC SEI message: one window, no curve."""
    window = [(1000, 17)] * 3 + [(400, 17), (1, 4), (50, 7), (900, 17), (0, 10), (0, 1), (0, 1)]
    country_to_version = [(0xB5, 8), (0x3C, 16), (1, 16), (4, 8), (1, 8)]
    payload = bits(*country_to_version, (1, 2), (400, 27), (0, 1), *window)
    return bytes([39 << 1, 1, 4, len(payload)]) + escaped(payload) + b"\x80"


def escaped(payload):
    """With the bytes that keep start codes out of a payload."""
    out = bytearray()
    for byte in payload:
        if out[-2:] == b"\0\0" and byte <= 3:
            out.append(3)
        out.append(byte)
    return bytes(out)


def dolby_vision_unit():
    """A NAL unit that carries Dolby Vision's RPU: prefix, an RPU of a type that is handed on unread, end."""
    return bytes([62 << 1, 1]) + bytes([25, 1 << 2, 1, 1, 1, 1, 0x80])


def with_units(source, path, *, before=(), after=()):
    """Copy raw HEVC with NAL units put into every picture; parameter sets stay in front."""
    with av.open(str(source)) as given, path.open("wb") as out:
        for packet in given.demux(video=0):
            if not packet.size:
                continue
            units = [unit for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
            first = next(i for i, unit in enumerate(units) if unit[0] >> 1 & 63 < 32)
            for unit in (*units[:first], *before, *units[first:], *after):
                out.write(b"\0\0\0\1" + unit)
    return path


@pytest.mark.parametrize(
    ("units", "name"),
    [({"before": [hdr10_plus_message()]}, "HDR10+"), ({"after": [dolby_vision_unit()]}, "Dolby Vision")],
    ids=["hdr10plus", "dolby"],
)
def test_metadata_of_single_frames_is_named_as_not_carried(clip, tmp_path, units, name):
    source = with_units(clip("raw.hevc"), tmp_path / "dynamic.hevc", **units)
    index = build_index(source)
    assert len(index) == 45
    assert index.facts.dynamic_hdr == (name,)
    (lost,) = encode_spec(EncodeSettings(preset="draft"), index.facts).lost
    assert lost.startswith(name)
