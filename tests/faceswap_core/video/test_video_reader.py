from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from av.video.frame import VideoFrame

from faceswap_core.errors import MediaError
from faceswap_core.video.index import build_index, plan_chunks
from faceswap_core.video.reader import decode_linear, read_chunk, to_rgb


@pytest.mark.parametrize("name", ["b.mp4", "open.ts", "vfr.mkv"])
def test_chunks_can_be_read_in_any_order_and_with_threads(clip, planes, name):
    path = clip(name)
    chunks = plan_chunks(build_index(path), 8)
    assert len(chunks) > 3
    for chunk in reversed(chunks):
        assert [f.pts for f in read_chunk(path, chunk, threads=2)] == list(chunk.pts)


def test_frame_that_never_decodes_is_named(clip):
    chunk = plan_chunks(build_index(clip("b.mp4")), 20)[0]
    with pytest.raises(MediaError, match="frames 3 of chunk 0"):
        list(read_chunk(clip("b.mp4"), replace(chunk, pts=(*chunk.pts[:3], 1537, *chunk.pts[4:]))))


def test_changed_file_is_noticed(clip):
    chunk = plan_chunks(build_index(clip("b.mp4")), 20)[1]
    with pytest.raises(MediaError, match="changed after it was indexed"):
        list(read_chunk(clip("b.mp4"), replace(chunk, start_size=1)))


@pytest.mark.parametrize("name", ["b.ts", "b.mkv"])
def test_truncated_file_is_read_to_the_cut(clip, tmp_path, name):
    data = clip(name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(data[: int(len(data) * 0.6)])
    index = build_index(cut)
    assert 10 < len(index) < 60
    read = [f for chunk in plan_chunks(index, 8) for f in read_chunk(cut, chunk)]
    assert len(read) >= len(index) - 1


def test_rgb_has_the_colours_of_the_stream(clip):
    for name in ("b.mp4", "rotated.mp4", "c444.mp4", "ten.mp4"):
        frame = next(decode_linear(clip(name)))
        rgb = to_rgb(frame)
        assert rgb.shape == (64, 96, 3)
        assert rgb.dtype == np.uint8
        y, x = np.mgrid[:64, :96]
        truth = np.stack([x * 2, y * 3, x + y], axis=2) % 200 + 20.0
        assert np.abs(rgb[8:-8, 8:-8].mean((0, 1)) - truth[8:-8, 8:-8].mean((0, 1))).max() < 2.5


@pytest.mark.parametrize(("height", "same_as"), [(480, 6), (720, 1)])
def test_rgb_of_an_unspecified_matrix_follows_the_number_of_lines(height, same_as):
    frame = VideoFrame(64, height, "yuv420p")
    for plane, code in zip(frame.planes, (120, 90, 170), strict=True):
        np.frombuffer(plane, np.uint8)[:] = code
    frame.colorspace, frame.color_range = 2, 0
    unspecified = to_rgb(frame)
    frame.colorspace, frame.color_range = same_as, 1
    assert np.array_equal(unspecified, to_rgb(frame))
    frame.colorspace = 7 - same_as
    assert not np.array_equal(unspecified, to_rgb(frame))
