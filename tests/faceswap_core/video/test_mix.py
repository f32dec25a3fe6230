"""Laying samples over a frame, against editing its pixels in RGB."""

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.video.colour import convert
from faceswap_core.video.mix import mix_rect
from faceswap_core.video.patch import edit_rect
from faceswap_core.video.samples import samples_of

FORMATS = ["yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv444p", "yuvj420p", "nv12", "yuv420p10le", "p010le"]
FORMATS += ["rgb24", "bgra", "gbrp", "gbrp10le"]
RECT = (13, 9, 37, 31)


def soft(seed, channels, size_wh):
    """A smooth random picture, 0..1, of colours that every sample format holds."""
    coarse = np.random.default_rng(seed).random((9, 9, channels)).astype(np.float32)
    large = cv2.resize(0.25 + coarse / 2, size_wh, interpolation=cv2.INTER_CUBIC)
    return np.clip(large, 0, 1).reshape(*size_wh[::-1], channels)


OVER, WEIGHT = soft(1, 3, (128, 96)), soft(2, 1, (128, 96))[..., 0]
WEIGHT[:, :40] = 0


def plate(pix_fmt, size_wh=(98, 66)):
    picture = VideoFrame.from_ndarray((soft(0, 3, size_wh) * 255).astype(np.uint8), "rgb24")
    return convert(picture, pix_fmt, matrix=1)


def samples(frame):
    """Codes of every colour, (h, w) each."""
    found = samples_of(frame)
    return [view.astype(int) >> found.shift for view in found.views]


def drawn(over=OVER):
    """A function that cuts what is laid out of pictures that reach over the whole frame and beyond."""
    return lambda rect: tuple(a[rect[1] : rect[1] + rect[3], rect[0] : rect[0] + rect[2]] for a in (over, WEIGHT))


@pytest.mark.parametrize("contrast", [1.0, 3.0])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_mean_of_samples_is_that_of_colours_up_to_rounding(pix_fmt, contrast):
    """Also where what is laid lies beyond black and white: the mean is cut there, not what goes into it."""
    mixed, wanted = plate(pix_fmt), plate(pix_fmt)
    over = (OVER - 0.5) * np.float32(contrast) + 0.5
    x, y, w, h = rect = (12, 8, 40, 32)  # whole blocks of every format, so that both ways see the same pixels
    part = (slice(y, y + h), slice(x, x + w))
    mix_rect(mixed, rect, drawn(over))
    laid = WEIGHT[part][..., None]
    edit_rect(wanted, rect, lambda rgb: np.clip(rgb + laid * (over[part] - rgb), 0, 1), as_float=True)
    for ours, theirs, before in zip(samples(mixed), samples(wanted), samples(plate(pix_fmt)), strict=True):
        assert np.abs(ours - theirs).max() <= 1
        assert np.abs(ours - before).max() > 10


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_samples_without_weight_and_beyond_the_blocks_are_left(pix_fmt):
    rng = np.random.default_rng(3)
    frame = plate(pix_fmt)
    for plane in frame.planes:
        noise = np.frombuffer(plane, np.uint16 if "10" in pix_fmt else np.uint8)
        noise[:] = rng.integers(0, 1 << (10 if "10" in pix_fmt else 8), noise.shape) << (
            6 if pix_fmt == "p010le" else 0
        )
    before = samples(frame)
    mix_rect(frame, RECT, drawn())
    x, y, w, h = RECT
    for old, new in zip(before, samples(frame), strict=True):
        rows, columns = np.nonzero(old != new)
        down, across = 66 / old.shape[0], 98 / old.shape[1]
        assert rows.size
        assert rows.min() * down >= y - 4
        assert rows.max() * down <= y + h
        assert columns.min() * across >= 36, "no weight before column 40, and blocks of up to four"
        assert columns.max() * across <= x + w + 3


def test_a_block_of_chroma_takes_the_mean_of_what_is_laid_on_its_pixels():
    frame = VideoFrame(4, 4, "yuv420p")
    for plane, value in zip(frame.planes, (100, 60, 200), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    weight = np.zeros((4, 4), np.float32)
    weight[:2, :2] = [[1, 0.5], [0, 0.5]]
    mix_rect(frame, (0, 0, 4, 4), lambda rect: (np.full((4, 4, 3), 0.5, np.float32), weight))
    y, u, v = samples(frame)
    grey = round(16 + 219 / 2)
    assert y[:2, :2].tolist() == [[grey, (grey + 100) / 2], [100, (grey + 100) / 2]]
    assert (u[0, 0], v[0, 0]) == ((128 + 60) / 2, (128 + 200) / 2)
    assert (u[1, 1], v[1, 1], y[3, 3]) == (60, 200, 100)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv410p", "yuv444p"])
def test_blocks_that_the_frames_edge_cuts_are_drawn_whole_and_written_as_far_as_they_go(pix_fmt):
    frame = plate(pix_fmt, (97, 65))
    asked = []
    mix_rect(frame, (60, 40, 37, 25), lambda rect: asked.append(rect) or drawn()(rect))
    (x, y, w, h), before = asked[0], plate(pix_fmt, (97, 65))
    block = {"yuv420p": 2, "yuv410p": 4, "yuv444p": 1}[pix_fmt]
    assert x % block == y % block == w % block == h % block == 0
    assert x + w >= 97
    assert y + h >= 65
    assert all((ours != theirs).any() for ours, theirs in zip(samples(frame), samples(before), strict=True))


def test_formats_that_cannot_be_edited_are_refused():
    frame = VideoFrame(64, 64, "pal8")
    with pytest.raises(MediaError, match="pal8"):
        mix_rect(frame, RECT, lambda rect: (OVER, WEIGHT))
