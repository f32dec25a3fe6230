from __future__ import annotations

from dataclasses import fields, replace

import clips
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DecodeSettings
from faceswap_core.errors import ManifestError
from faceswap_core.schemas import FRAMES, PACKETS
from faceswap_core.stages.decode import (
    VideoPlan,
    decode_frames,
    load_packets,
    plan_video,
    publish_packets,
    published_chunk,
    video_ref,
)
from faceswap_core.storage import Workspace
from faceswap_core.video.index import build_index, plan_chunks


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.mark.parametrize("name", clips.parameters("b.mp4", "open.ts", "vfr.mkv", "trimmed.mov", "raw.h264", "vp9.mkv"))
def test_published_index_comes_back_as_it_was(clip, workspace, name):
    index = build_index(clip(name))
    plan = plan_video(workspace, video_ref(clip(name)), DecodeSettings(chunk_frames=8))
    chunks = plan_chunks(index, 8)
    for chunk in chunks:
        part, first = load_packets(workspace, plan, chunk.chunk_index)
        assert (part.facts, first) == (index.facts, chunk.first_frame)
        for field in fields(index)[1:]:
            whole = getattr(index, field.name)[chunk.first_frame : chunk.last_frame]
            assert np.array_equal(getattr(part, field.name), whole), field.name
    assert (plan["rows"], plan["chunks"]) == (len(index), len(chunks))


@pytest.mark.parametrize("name", ["b.mp4", "open.ts", "raw.h264"])
def test_chunks_decoded_from_the_published_index_are_those_planned(clip, workspace, name):
    video = video_ref(clip(name))
    plan = plan_video(workspace, video, DecodeSettings(chunk_frames=8))
    chunks = plan_chunks(build_index(clip(name)), 8)
    assert plan["chunks"] == len(chunks)
    for number, chunk in enumerate(chunks):
        frames = decode_frames(workspace, video, plan, number)
        assert published_chunk(workspace, frames)[0] == chunk
        assert manifest.load(workspace, frames, FRAMES).column("pts").to_pylist() == list(chunk.pts)


def test_published_index_takes_few_bytes_a_frame(clip, workspace):
    short = build_index(clip("b.mp4"))
    repeats, rng = 100, np.random.default_rng(0)
    count = repeats * len(short)
    shift = np.repeat(np.arange(repeats) * 512 * len(short), len(short))
    order = np.tile(short.packet_order, repeats) + np.repeat(np.arange(repeats) * len(short), len(short))
    long = replace(
        short,
        pts=np.tile(short.pts, repeats) + shift,
        duration=np.tile(short.duration, repeats),
        key_class=np.tile(short.key_class, repeats),
        packet_dts=np.tile(short.packet_dts, repeats) + shift,
        packet_size=rng.gamma(2, 20_000, count).astype(np.int64),
        packet_order=order,
    )
    chunks = plan_chunks(long, 240)
    ref = publish_packets(workspace, long, chunks)
    for chunk in (chunks[0], chunks[17], chunks[-1]):
        part, first = load_packets(workspace, VideoPlan(**ref, chunks=len(chunks)), chunk.chunk_index)
        assert first == chunk.first_frame
        assert part.pts.tolist() == list(chunk.pts)
    assert workspace.path(ref["path"]).stat().st_size / count <= 16


def test_altered_index_is_refused(clip, workspace):
    plan = plan_video(workspace, video_ref(clip("b.mp4")), DecodeSettings())
    path = workspace.path(plan["path"])
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ManifestError, match="altered"):
        load_packets(workspace, plan, 0)


def test_index_without_rows_is_published(workspace, clip):
    index = build_index(clip("b.mp4"))
    ref = publish_packets(workspace, index, plan_chunks(index, 8))
    table = manifest.load(workspace, ref, PACKETS)
    empty = manifest.publish_table(workspace, "folder", "empty", table.slice(0, 0))
    assert empty["rows"] == 0
    assert manifest.load(workspace, empty, PACKETS).num_rows == 0
