from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.video.reader import decode_linear
from faceswap_core.video.samples import describes, samples_of, widened


def noise(pix_fmt, size=(33, 17), seed=0):
    frame = VideoFrame(*size, pix_fmt)
    samples = samples_of(frame)
    rng = np.random.default_rng(seed)
    for view in (*samples.views, *([samples.alpha] if samples.alpha is not None else [])):
        view[...] = rng.integers(0, 1 << samples.bits, view.shape) << samples.shift
    frame.pts = 7
    frame.colorspace = 1
    return frame


WIDER = [
    ("yuv420p", "yuv422p"),
    ("yuv420p", "yuv444p"),
    ("yuv420p", "yuv422p10le"),
    ("yuv420p10le", "yuv444p12le"),
    ("yuv411p", "yuv444p"),
    ("yuv410p", "yuv444p"),
    ("yuv440p", "yuv444p"),
    ("nv12", "yuv420p"),
    ("yuv420p10le", "p010le"),
    ("p010le", "yuv422p10le"),
    ("yuv422p10le", "p210le"),
    ("yuva420p", "yuva444p10le"),
    ("gray", "yuv420p"),
    ("gray10le", "yuv422p10le"),
]


@pytest.mark.parametrize(("given", "wider"), WIDER)
@pytest.mark.parametrize("full", [False, True])
def test_the_way_back_from_a_wider_format_is_exact(given, wider, full):
    frame = noise(given)
    frame.color_range = 2 if full else 1
    before = samples_of(frame)
    kept = [view.copy() for view in before.views]
    out = widened(frame, wider)
    after = samples_of(out)
    assert (out.format.name, out.pts, int(out.colorspace), int(out.color_range)) == (wider, 7, 1, 2 if full else 1)
    for n, (a, b) in enumerate(zip(before.views, after.views, strict=False)):
        np.testing.assert_array_equal(a, kept[n])
        rows = before.block_wh[1] // after.block_wh[1] if n else 1
        columns = before.block_wh[0] // after.block_wh[0] if n else 1
        codes, wide = a >> before.shift, b >> after.shift
        first = wide[::rows, ::columns]
        np.testing.assert_array_equal(wide, first.repeat(rows, 0).repeat(columns, 1)[: wide.shape[0], : wide.shape[1]])
        if not full:
            np.testing.assert_array_equal(first, codes.astype(int) << (after.bits - before.bits))
        scale = ((1 << before.bits) - 1) / ((1 << after.bits) - 1)
        back = np.rint(first * scale) if full else first >> (after.bits - before.bits)
        inside = (codes > 1) & (codes < (1 << before.bits) - 2)  # the chroma of full range is clipped at its ends
        np.testing.assert_array_equal(back[inside] if full else back, codes[inside] if full else codes)
    if before.alpha is not None:
        np.testing.assert_array_equal(np.rint(after.alpha * (255 / 1023)), before.alpha)
    if given.startswith("gray"):
        assert (after.views[1] == 1 << (after.bits - 1)).all()


def test_full_range_reaches_the_new_top_and_grey_stays_grey():
    frame = noise("yuvj420p")
    for view, code in zip(samples_of(frame).views, (255, 128, 128), strict=True):
        view[...] = code
    y, u, v = samples_of(widened(frame, "yuv422p10le")).views
    assert (y.min(), u.min(), u.max(), v.min()) == (1023, 512, 512, 512)


def test_chroma_of_an_interlaced_frame_stays_in_its_field(clip):
    frame = next(decode_linear(clip("interlaced.mp4")))
    assert frame.interlaced_frame
    chroma = samples_of(frame).views[1]
    out = widened(frame, "yuv422p")
    assert out.interlaced_frame
    wide = samples_of(out).views[1]
    for field in (0, 1):
        np.testing.assert_array_equal(wide[field::2], chroma[field::2].repeat(2, axis=0))


@pytest.mark.parametrize("name", ["bgra", "rgba"])
def test_transparency_of_packed_formats_is_seen(name):
    frame = VideoFrame(8, 4, name)
    samples_of(frame).alpha[...] = 9
    assert (np.frombuffer(frame.planes[0], np.uint8).reshape(4, -1)[:, :32].reshape(4, 8, 4)[..., 3] == 9).all()


def test_unknown_format_is_named():
    assert not describes("pal8")
    with pytest.raises(MediaError, match="pal8"):
        samples_of(VideoFrame(8, 4, "pal8"))
