"""Deep colour against ITU-T H.273, written out again in double precision."""

import subprocess

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from oracle import NEEDED

from faceswap_core.errors import EnvironmentFault, MediaError
from faceswap_core.video import exr
from faceswap_core.video.colour import LUMA_WEIGHTS, to_rgb
from faceswap_core.video.deep import as_codes16, bit_depth, from_codes16, to_rgb16, to_rgb_float
from faceswap_core.video.exr import read_exr, write_exr
from faceswap_core.video.reader import decode_linear


def noise(pix_fmt, bits, *, colorspace=1, color_range=1, size=(62, 46)):
    """Every code that a format can hold, legal or not."""
    frame = VideoFrame(*size, pix_fmt)
    rng = np.random.default_rng(4)
    for plane in frame.planes:
        samples = np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)
        samples[:] = rng.integers(0, 1 << bits, samples.size)
    frame.colorspace, frame.color_range = colorspace, color_range
    return frame


def planes_of(frame, bits):
    kind = np.uint8 if bits == 8 else np.uint16
    return [np.frombuffer(p, kind).reshape(p.height, -1)[:, : p.width].astype(float) for p in frame.planes]


def exact(y, u, v, bits, colorspace, full):
    """R, G, B in 0..1, not clipped."""
    kr, kb = LUMA_WEIGHTS[colorspace]
    unit, top = 2 ** (bits - 8), 2**bits - 1
    luma = y / top if full else (y / unit - 16) / 219
    blue, red = ((c - 128 * unit) / (top if full else 224 * unit) for c in (u, v))
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    return np.dstack([r, (luma - kr * r - kb * b) / (1 - kr - kb), b])


@pytest.mark.parametrize(("colorspace", "color_range"), [(1, 1), (6, 1), (9, 1), (1, 2), (5, 2)])
@pytest.mark.parametrize(("pix_fmt", "bits"), [("yuv444p", 8), ("yuv444p10le", 10), ("yuv444p12le", 12)])
def test_full_chroma_is_exact_to_the_last_sixteenth_bit(pix_fmt, bits, colorspace, color_range):
    frame = noise(pix_fmt, bits, colorspace=colorspace, color_range=color_range)
    wanted = exact(*planes_of(frame, bits), bits, colorspace, color_range == 2)
    assert np.abs(to_rgb_float(frame) - wanted).max() < 2e-6
    codes = np.rint(wanted.clip(0, 1) * 65535)
    assert np.abs(to_rgb16(frame) - codes).max() <= 1
    assert (to_rgb16(frame) == codes).mean() > 0.95


@pytest.mark.parametrize(
    ("pix_fmt", "bits"), [("yuv420p", 8), ("yuv422p", 8), ("yuv420p10le", 10), ("yuv422p12le", 12)]
)
@pytest.mark.parametrize("color_range", [1, 2])
def test_even_chroma_is_spread_without_loss(pix_fmt, bits, color_range):
    frame = noise(pix_fmt, bits, color_range=color_range)
    for number, plane in enumerate(frame.planes):
        if number:
            np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)[:] = 100 * number << (bits - 8)
    y, *_ = planes_of(frame, bits)
    u, v = (np.full_like(y, 100 * n << (bits - 8)) for n in (1, 2))
    assert np.abs(to_rgb_float(frame) - exact(y, u, v, bits, 1, color_range == 2)).max() < 2e-6


def test_chroma_lies_where_the_stream_says(tmp_path):
    """H.264 puts chroma samples on the even columns: there, and only there, no neighbour is mixed in."""
    frame = noise("yuv420p", 8)
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:] = 120
    samples = np.random.default_rng(1).integers(60, 200, 31, np.uint8)
    np.frombuffer(frame.planes[2], np.uint8).reshape(23, -1)[:, :31] = samples
    path = tmp_path / "left.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 62, 46, "yuv420p"
        frame.pts = 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    (found,) = decode_linear(path)
    found.colorspace = 1
    red = to_rgb_float(found)[20, :, 0]
    wanted = (120 - 16) / 219 + 1.5748 * (samples.astype(float) - 128) / 224
    assert np.abs(red[::2] - wanted)[2:-2].max() < 1e-3
    assert np.abs(red[1::2] - wanted)[2:-2].max() > 0.05


@pytest.mark.parametrize(("pix_fmt", "bits"), [("rgb24", 8), ("gbrp", 8), ("gbrp10le", 10), ("gbrp12le", 12)])
def test_red_green_and_blue_are_only_scaled(pix_fmt, bits):
    frame = noise(pix_fmt, bits, colorspace=0, color_range=2)
    wanted = frame.to_ndarray().astype(float) * 65535 / (2**bits - 1)
    assert np.abs(to_rgb16(frame) - np.rint(wanted)).max() <= (0 if bits == 8 else 1)


def test_every_code_of_ten_bits_stays_apart():
    frame = VideoFrame(1024, 2, "yuv444p10le")
    for number, plane in enumerate(frame.planes):
        samples = np.frombuffer(plane, np.uint16).reshape(2, -1)
        samples[:, :1024] = 512 if number else np.arange(1024)
    frame.color_range = 1
    assert len(np.unique(to_rgb16(frame)[..., 1])) == 940 - 64 + 1
    assert len(np.unique(to_rgb_float(frame)[0, :, 1])) == 1024
    assert bit_depth(frame) == 10


@pytest.mark.parametrize("name", ["b.mp4", "c422.mp4", "hdr10.mp4", "rotated.mp4", "moving.gif"])
def test_eight_bits_of_it_are_the_usual_picture(clip, name):
    frame = next(decode_linear(clip(name)))
    shallow = to_rgb_float(frame).clip(0, 1) * 255
    assert np.abs(shallow - to_rgb(frame)).mean() < 1
    assert np.abs(shallow - to_rgb(frame)).max() <= 6


@NEEDED
def test_ffmpeg_finds_the_same_colours(clip):
    path = clip("ten.mp4")
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-pix_fmt", "rgb48le", "-f", "rawvideo",
         "-sws_flags", "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    theirs = np.frombuffer(raw, "<u2").reshape(64, 96, 3).astype(int)
    difference = np.abs(theirs - to_rgb16(next(decode_linear(path))))
    assert difference.mean() < 257, "less than a code of 8 bits, which is as exact as its scaler is"


def test_codes_and_back():
    codes = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(as_codes16(from_codes16(codes)), codes)
    assert as_codes16(np.array([-1.0, 2.0], np.float32)).tolist() == [0, 65535]


def test_exr_keeps_every_bit_and_what_lies_beyond_white():
    image = np.random.default_rng(0).normal(0.5, 1, (33, 47, 3)).astype(np.float32)
    np.testing.assert_array_equal(read_exr(write_exr(image)), image)
    with pytest.raises(MediaError, match="no EXR"):
        read_exr(b"no image")


def test_a_machine_without_exr_says_so_before_any_work(monkeypatch):
    exr.check_exr()
    monkeypatch.setattr(exr, "_CODEC", "no-such-codec")
    with pytest.raises(EnvironmentFault, match=r"output\.format to 'png'") as caught:
        exr.check_exr()
    assert caught.value.exit_code == 3


def test_unknown_formats_and_matrices_are_refused():
    with pytest.raises(MediaError, match="colour matrix 8"):
        to_rgb_float(noise("yuv444p", 8, colorspace=8))
    with pytest.raises(MediaError, match="pixel format"):
        to_rgb_float(VideoFrame(16, 16, "uyvy422"))
