from __future__ import annotations

import json
import subprocess
import zlib

import clips
import oracle
import pytest

from faceswap_core.video import reader
from faceswap_core.video.index import build_index, plan_chunks
from faceswap_core.video.planes import plane_bytes
from faceswap_core.video.reader import decode_linear, read_chunk

WITHOUT_CUTS = {"one_key.mp4", "one_key.ts", "one_frame.mp4", "moving.gif", "odd.gif", "raw.h264", "raw.hevc", "b.avi"}


def crc_of(frame):
    crc = 0
    for plane in plane_bytes(frame):
        crc = zlib.crc32(plane, crc)
    return crc


def test_there_are_enough_kinds_of_clips():
    assert len(clips.RECIPES) >= 32


@pytest.mark.parametrize("name", clips.parameters())
def test_chunkwise_decode_equals_linear_decode(clip, name):
    path = clip(name)
    index = build_index(path)
    chunks = plan_chunks(index, 8)
    assert (len(chunks) == 1) == (name in WITHOUT_CUTS)
    read = [f for chunk in chunks for f in read_chunk(path, chunk)]
    assert [f.frame_index for f in read] == list(range(len(index)))
    assert [f.pts for f in read] == index.pts.tolist()
    assert not any(f.corrupt for f in read)
    assert [crc_of(f.frame) for f in read] == [crc_of(frame) for frame in decode_linear(path)]


@pytest.mark.parametrize("name", clips.parameters())
def test_index_holds_the_pts_that_the_decoder_shows(clip, name):
    index = build_index(clip(name))
    shown = [frame.pts for frame in decode_linear(clip(name))]
    assert index.facts.exact == clips.RECIPES[name].exact
    assert len(index) == len(shown)
    if index.facts.exact:
        assert index.pts.tolist() == shown


@pytest.mark.parametrize("name", [n for n, recipe in clips.RECIPES.items() if not recipe.ffmpeg])
def test_clip_holds_every_frame_that_was_written(clip, name):
    recipe = clips.RECIPES[name]
    hidden = sum(recipe.time(n) < 0 for n in range(recipe.frames)) if name.startswith("edit.") else 0
    assert len(build_index(clip(name))) == recipe.frames - hidden


@pytest.mark.parametrize("name", clips.parameters())
def test_crc_covers_every_sample(clip, name):
    frame = next(decode_linear(clip(name)))
    bits = sum(c.bits * c.width * c.height for c in frame.format.components)
    bytes_per_sample = (frame.format.components[0].bits + 7) // 8
    assert sum(map(len, plane_bytes(frame))) == bits // frame.format.components[0].bits * bytes_per_sample


@pytest.mark.parametrize("name", sorted(WITHOUT_CUTS))
def test_file_that_can_only_be_read_forward_is_decoded_once(clip, monkeypatch, name):
    decoded = []
    decode = reader._decode

    def counting(packets):
        for frame in decode(packets):
            decoded.append(frame.pts)
            yield frame

    index = build_index(clip(name))
    monkeypatch.setattr(reader, "_decode", counting)
    read = [f for chunk in plan_chunks(index, 1) for f in read_chunk(clip(name), chunk)]
    assert len(decoded) == len(read) == len(index)


@pytest.mark.release
@oracle.NEEDED
@pytest.mark.parametrize("name", clips.parameters())
def test_index_agrees_with_ffprobe(clip, name):
    wanted = ["-count_frames", "-show_entries", "stream=nb_read_frames:frame=best_effort_timestamp", "-of", "json"]
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", *wanted, str(clip(name))]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    index = build_index(clip(name))
    assert int(found["streams"][0]["nb_read_frames"]) == len(index)
    if index.facts.exact:
        times = [frame.get("best_effort_timestamp") for frame in found["frames"]]
        assert [pts for pts in times if pts is not None] == index.pts[: len(index) - times.count(None)].tolist()
        assert times.count(None) <= 1  # the last frame of an AVI
