from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import clips
import numpy as np
import pytest

from faceswap_core.errors import MediaError
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import build_index, open_input, plan_chunks
from faceswap_core.video.reader import decode_linear


@pytest.mark.parametrize("name", clips.parameters())
def test_durations_are_positive(clip, name):
    index = build_index(clip(name))
    assert (index.duration > 0).all()
    assert len(index.duration) == len(index)


def test_frames_hidden_by_an_edit_list_are_left_out(clip):
    index = build_index(clip("edit.mp4"))
    assert len(index) == 40
    assert index.facts.why == ""
    assert index.pts.tolist() == [512 * n for n in range(40)]
    assert index.pts.tolist() == [frame.pts for frame in decode_linear(clip("edit.mp4"))]


def test_key_that_later_shown_frames_precede_in_the_file_is_no_cut(clip):
    index = build_index(clip("b.mp4"))
    assert 15 in [c.first_frame for c in plan_chunks(index, 1)]
    order = index.packet_order.copy()
    order[[15, 16]] = order[[16, 15]]
    assert 15 not in [c.first_frame for c in plan_chunks(replace(index, packet_order=order), 1)]


def test_first_chunk_frame_times_are_those_written(clip):
    index = build_index(clip("b.mp4"))
    assert index.facts.time_base == Fraction(1, 15360)
    assert index.pts.tolist() == [512 * n for n in range(60)]


def test_key_classes_tell_idr_open_and_gradual_apart(clip):
    classes = {n: set(build_index(clip(n)).key_class) for n in ("b.mp4", "open.ts", "refresh.mp4", "vp9.mkv")}
    assert classes["b.mp4"] == {"", "idr"}
    assert classes["open.ts"] == {"", "idr", "open"}
    assert "open" not in classes["refresh.mp4"]
    assert classes["vp9.mkv"] == {"", "key"}


def test_facts_survive_json(clip):
    facts = build_index(clip("subs.mkv")).facts
    assert StreamFacts.from_json(facts.to_json()) == facts
    assert [s.kind for s in facts.other_streams] == ["audio", "audio", "subtitle"]
    assert facts.other_streams[2].language == "fre"


def test_facts_state_rotation_range_and_matrix(clip):
    facts = build_index(clip("rotated.mp4")).facts
    assert (facts.rotation, facts.color_range, facts.colorspace) == (90, 2, 6)
    assert facts.display_matrix is not None
    assert StreamFacts.from_json(facts.to_json()) == facts


@pytest.mark.parametrize("name", ["b.mp4", "open.ts", "vfr.mkv", "raw.h264"])
@pytest.mark.parametrize("chunk_frames", [1, 7, 24, 1000])
def test_chunks_cover_every_frame_once(clip, name, chunk_frames):
    index = build_index(clip(name))
    chunks = plan_chunks(index, chunk_frames)
    assert [p for c in chunks for p in c.pts] == index.pts.tolist()
    assert all(len(c.pts) >= chunk_frames for c in chunks[:-1])
    assert [c.chunk_index for c in chunks] == list(range(len(chunks)))
    assert [c.is_last for c in chunks] == [False] * (len(chunks) - 1) + [True]


def test_chunks_begin_at_keyframes(clip):
    index = build_index(clip("b.mp4"))
    assert [c.first_frame for c in plan_chunks(index, 20)] == [0, 30]


def test_chunk_frames_must_be_positive(clip):
    with pytest.raises(ValueError, match="must be > 0"):
        plan_chunks(build_index(clip("b.mp4")), 0)


def test_stream_without_times_is_counted_and_marked(clip):
    index = build_index(clip("raw.h264"))
    assert not index.facts.exact
    assert "pts" in index.facts.why
    assert len(index) == 40
    assert (np.diff(index.pts) > 0).all()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.mp4", b"this is no video\n" * 99, "found text"),
        ("empty.mp4", b"", "empty"),
        ("noise.mkv", bytes(range(256)) * 40, "unknown"),
        ("list.mp4", b"ffconcat version 1.0\nfile other.mp4\n", "found text"),
    ],
)
def test_what_is_no_video_is_refused_with_its_content_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=said) as caught:
        build_index(tmp_path / name)
    assert name in str(caught.value)
    assert caught.value.exit_code == 4


def test_missing_file_and_protocol_names_are_refused(tmp_path):
    for name in (tmp_path / "none.mp4", "concat:a.mp4|b.mp4", "http://127.0.0.1/x.mp4"):
        with pytest.raises(MediaError, match="no such file"):
            open_input(name)


def test_playlist_does_not_open_the_files_it_names(clip, tmp_path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip('b.ts')}\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        build_index(playlist)


def test_file_without_pictures_is_refused(clip, tmp_path):
    import av

    sound = tmp_path / "sound.mp4"
    with av.open(str(clip("b.mp4"))) as source, av.open(str(sound), "w") as out:
        copy = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    with pytest.raises(MediaError, match="no video stream"):
        build_index(sound)


def test_mp4_cut_off_before_its_index_is_refused(clip, tmp_path):
    data = clip("b.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="cut off or damaged"):
        build_index(cut)


def test_recording_cut_in_the_middle_begins_at_its_first_decodable_frame(clip, tmp_path):
    data = clip("open.ts").read_bytes()
    cut = tmp_path / "middle.ts"
    cut.write_bytes(data[len(data) // 3 // 188 * 188 :])
    index = build_index(cut)
    assert index.pts.tolist() == [frame.pts for frame in decode_linear(cut)]
