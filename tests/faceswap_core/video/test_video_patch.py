from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import LUMA_WEIGHTS, to_rgb
from faceswap_core.video.patch import edit_rect
from faceswap_core.video.reader import decode_linear

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "nv12", "yuv420p10le", "yuv422p10le", "p010le"]
FORMATS += ["rgb24", "bgra", "gbrp"]
RECT = (13, 9, 37, 31)


def noisy(pix_fmt: str, *, colorspace: int = 1, color_range: int = 1, size=(98, 66)) -> VideoFrame:
    """A frame with random samples in every plane."""
    frame = VideoFrame(*size, pix_fmt)
    frame.colorspace, frame.color_range = colorspace, color_range
    rng = np.random.default_rng(1)
    for plane in frame.planes:
        if "10" in pix_fmt:
            samples = np.frombuffer(plane, np.uint16)
            samples[:] = rng.integers(64, 940, samples.shape) << (6 if pix_fmt == "p010le" else 0)
        else:
            samples = np.frombuffer(plane, np.uint8)
            samples[:] = rng.integers(0, 256, samples.shape)
    return frame


def buffers(frame: VideoFrame) -> list[np.ndarray]:
    return [np.frombuffer(p, np.uint8).reshape(-1, p.line_size).copy() for p in frame.planes]


def paint(colour):
    return lambda rgb: np.broadcast_to(np.array(colour, rgb.dtype), rgb.shape)


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_edit_that_changes_nothing_leaves_every_sample(pix_fmt, as_float):
    frame = noisy(pix_fmt)
    before = buffers(frame)
    after = edit_rect(frame, RECT, lambda rgb: rgb.copy(), as_float=as_float)
    assert all(np.array_equal(a, b) for a, b in zip(before, buffers(after), strict=True))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_edit_leaves_everything_outside_the_rectangle(pix_fmt):
    frame = noisy(pix_fmt)
    before = buffers(frame)
    x, y, w, h = RECT
    edit_rect(frame, RECT, lambda rgb: 255 - rgb)
    for number, (old, new) in enumerate(zip(before, buffers(frame), strict=True)):
        rows, columns = np.nonzero(old != new)
        assert rows.size
        plane = frame.planes[number]
        step = plane.line_size / frame.width if number == 0 else plane.line_size / plane.width
        step = {"rgb24": 3, "bgra": 4, "gbrp": 1}.get(pix_fmt, 2 if "10" in pix_fmt else 1)
        step *= 2 if number and pix_fmt in ("nv12", "p010le") else 1
        sub_x = frame.width // plane.width
        sub_y = frame.height // plane.height
        assert y // sub_y <= rows.min()
        assert rows.max() <= (y + h - 1) // sub_y
        assert x // sub_x <= columns.min() // step
        assert columns.max() // step <= (x + w - 1) // sub_x


def test_only_the_changed_pixel_and_its_chroma_block_are_written():
    frame = noisy("yuv420p")
    before = buffers(frame)

    def one_pixel(rgb):
        out = rgb.copy()
        out[4, 6] = 255 - out[4, 6]
        return out

    edit_rect(frame, RECT, one_pixel)
    changed = [np.argwhere(a != b).tolist() for a, b in zip(before, buffers(frame), strict=True)]
    assert changed[0] == [[13, 19]]
    assert changed[1] in ([[6, 9]], [])
    assert changed[2] in ([[6, 9]], [])


def codes(colour, colorspace: int, full: bool, bits: int) -> np.ndarray:
    """ITU-T H.273, section 8.3: codes of Y, Cb, Cr for R, G, B in 0..255."""
    r, g, b = (c / 255 for c in colour)
    kr, kb = LUMA_WEIGHTS[colorspace]
    y = kr * r + (1 - kr - kb) * g + kb * b
    yuv = np.array([y, (b - y) / 2 / (1 - kb), (r - y) / 2 / (1 - kr)])
    top, unit = 2**bits - 1, 2 ** (bits - 8)
    scale = np.array([top] * 3) if full else np.array([219, 224, 224]) * unit
    return yuv * scale + np.array([0 if full else 16, 128, 128]) * unit


@pytest.mark.parametrize("colour", [(200, 30, 60), (10, 240, 130), (90, 90, 255), (254, 254, 254), (1, 1, 1)])
@pytest.mark.parametrize(("colorspace", "color_range"), [(1, 1), (6, 1), (5, 2), (9, 1), (1, 2)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_painted_colour_has_the_codes_of_the_streams_matrix_and_range(pix_fmt, colorspace, color_range, colour):
    frame = noisy(pix_fmt, colorspace=colorspace, color_range=color_range)
    edit_rect(frame, (0, 0, 98, 66), paint(colour))
    bits = 10 if "10" in pix_fmt else 8
    want = codes(colour, colorspace, color_range == 2, bits)
    for plane, code in zip(frame.planes, want, strict=True):
        samples = np.frombuffer(plane, np.uint16 if bits == 10 else np.uint8)
        samples = samples.reshape(plane.height, -1)[:, : plane.width].astype(int)
        assert np.abs(samples - code).max() <= 0.51


@pytest.mark.parametrize(("colorspace", "color_range"), [(1, 1), (6, 1), (6, 2), (2, 0)])
def test_painted_colour_reads_back_within_two_codes(colorspace, color_range):
    frame = noisy("yuv420p", colorspace=colorspace, color_range=color_range)
    edit_rect(frame, (20, 20, 40, 40), paint((180, 60, 90)))
    inside = to_rgb(frame)[24:56, 24:56].astype(int)
    assert np.abs(inside - (180, 60, 90)).max() <= 2


def test_unspecified_matrix_follows_the_number_of_lines():
    for height, colorspace in ((480, 6), (720, 1)):
        frame = noisy("yuv420p", colorspace=2, size=(64, height))
        edit_rect(frame, (0, 0, 64, 64), paint((200, 30, 60)))
        y = np.frombuffer(frame.planes[0], np.uint8)[0]
        assert abs(int(y) - codes((200, 30, 60), colorspace, False, 8)[0]) <= 0.51


@pytest.mark.parametrize("name", ["b.mp4", "rotated.mp4", "ten.mp4"])
def test_round_trip_shifts_no_colour(clip, planes, name):
    """Every pixel is rewritten (one code up in blue): samples move by less than the edit on average."""
    frame = next(decode_linear(clip(name)))
    before = planes(frame)
    edit_rect(frame, (0, 0, 96, 64), lambda rgb: np.where(rgb < 255, rgb + 1, rgb - 1).astype(rgb.dtype))
    unit = 4 if name == "ten.mp4" else 1
    for number, (a, b) in enumerate(zip(before, planes(frame), strict=True)):
        kind = np.uint16 if unit == 4 else np.uint8
        moved = b.view(kind).astype(float) - a.view(kind).astype(float)
        expected = 0.0 if number else unit
        assert abs(moved.mean() - expected) < 0.3 * unit
        assert np.abs(moved).max() <= 3 * unit


def test_float_edit_keeps_ten_bit_precision():
    frame = noisy("yuv444p10le")
    edit_rect(frame, (0, 0, 98, 66), lambda rgb: np.full_like(rgb, 0.5005), as_float=True)
    assert set(np.frombuffer(frame.planes[0], np.uint16).reshape(66, -1)[:, :98].ravel()) == {502}


def test_rectangle_is_clipped_and_may_miss_the_frame():
    frame = noisy("yuv420p", size=(97, 65))
    seen = []
    edit_rect(frame, (-5, 60, 20, 50), lambda rgb: seen.append(rgb.shape) or 255 - rgb)
    assert seen == [(5, 15, 3)]
    before = buffers(frame)
    edit_rect(frame, (200, 200, 10, 10), lambda rgb: 255 - rgb)
    assert all(np.array_equal(a, b) for a, b in zip(before, buffers(frame), strict=True))


def test_edit_on_a_decoded_frame_does_not_harm_later_frames(clip, planes):
    path = clip("b.mp4")
    untouched = [planes(frame) for frame in decode_linear(path)]
    for number, frame in enumerate(decode_linear(path)):
        assert all(np.array_equal(a, b) for a, b in zip(untouched[number], planes(frame), strict=True))
        edit_rect(frame, RECT, lambda rgb: 255 - rgb)


def test_wrong_shape_and_unknown_formats_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        edit_rect(noisy("yuv420p"), RECT, lambda rgb: rgb[1:])
    with pytest.raises(MediaError, match="pal8"):
        edit_rect(VideoFrame(64, 64, "pal8"), RECT, lambda rgb: rgb)
    with pytest.raises(MediaError, match="colour matrix 8"):
        edit_rect(noisy("yuv420p", colorspace=8), RECT, lambda rgb: rgb)
