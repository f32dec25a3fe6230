"""The whole chain from file to file, as the flows run it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, BlendSettings, EncodeSettings, SmoothSettings, TrackSettings
from faceswap_core.errors import ManifestError, MediaError, NoFaceError
from faceswap_core.faces.blend import patch_rect
from faceswap_core.schemas import ALIGNED, CHUNKS, DETECTIONS, FRAMES, REPORT, SMOOTHED, SWAPPED, TRACKS
from faceswap_core.stages.align import align_landmarks
from faceswap_core.stages.assemble import assemble_video, frame_states
from faceswap_core.stages.detect import detect_faces
from faceswap_core.stages.encode import encode_stream, reencode_chunk
from faceswap_core.stages.images import unpack
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.stages.track import track_faces
from faceswap_core.stages.verify import verify_video, video_report
from faceswap_core.storage import Workspace, file_ref

ALIGN = AlignSettings(size=64)
LOSSLESS = EncodeSettings(crf=0, preset="draft", options={"preset": "ultrafast"})


def rows_of(chain, refs, schema, columns=None):
    return [row for ref in refs for row in manifest.stream(chain.workspace, ref, schema, columns)]


@pytest.fixture(scope="module")
def finished(chain, plate, encoded, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "new" / "swap.mp4"
    return assemble_video(chain.workspace, plate.video, plate.frames, encoded, output)


@pytest.fixture(scope="module")
def before_and_after(plate, finished, planes):
    return planes(plate.video["path"]), planes(finished["video"]["path"])


def test_every_frame_keeps_its_time(before_and_after):
    before, after = before_and_after
    assert len(before) == 40
    assert [pts for pts, _ in after] == [pts for pts, _ in before]


def test_every_frame_is_swapped_and_says_so(chain, encoded):
    states = frame_states(chain.workspace, encoded)
    assert [s["frame_index"] for s in states] == list(range(40))
    assert {s["state"] for s in states} == {"swapped"}
    assert {s["reason"] for s in states} == {""}


def test_chunks_name_the_times_and_frames_they_hold(chain, plate, encoded):
    rows = rows_of(chain, encoded, CHUNKS)
    frames = rows_of(chain, plate.frames, FRAMES)
    assert [row["chunk_index"] for row in rows] == list(range(len(encoded)))
    assert sum(row["frames"] for row in rows) == 40
    for row in rows:
        own = [f["pts"] for f in frames if f["chunk_index"] == row["chunk_index"]]
        assert (row["first_pts"], row["last_pts"], row["frames"]) == (own[0], own[-1], len(own))
        assert chain.workspace.holds(row["path"], row["sha256"])


def test_every_sample_outside_the_face_equals_the_decoded_source(chain, smoothed, before_and_after):
    rects = {}
    for row in rows_of(chain, smoothed, SMOOTHED):
        side = unpack(row["patch"]).shape[0]
        rects[row["frame_index"]] = patch_rect(np.array(row["matrix"]).reshape(2, 3), side, (256, 144))
    for index, ((_, before), (_, after)) in enumerate(zip(*before_and_after, strict=True)):
        x, y, w, h = rects[index]
        assert w * h < 0.7 * 256 * 144, "the face is only a part of the frame"
        for plane, (old, new) in enumerate(zip(before, after, strict=True)):
            step = 2 if plane else 1
            outside = np.ones(old.shape, bool)
            outside[y // step : -(-(y + h) // step), x // step : -(-(x + w) // step)] = False
            np.testing.assert_array_equal(old[outside], new[outside])
        assert (before[0] != after[0]).mean() > 0.05, "the face was drawn"


def test_other_streams_and_all_checks_pass(chain, plate, finished):
    ref = verify_video(chain.workspace, plate.video, plate.frames, finished["video"], finished["not_carried"])
    report = video_report(chain.workspace, ref)
    assert report["frames"] == 40
    assert report["pts_equal"] is True
    assert report["streams_equal"] is True
    assert report["sample_decoded"] is True
    assert report["failed_checks"] == []
    assert report["not_carried"] == []


def test_verification_notices_another_video(chain, plate, other):
    ref = verify_video(chain.workspace, plate.video, plate.frames, other.video, [])
    failed = {r["check"] for r in manifest.stream(chain.workspace, ref, REPORT) if not r["passed"]}
    assert {"frames", "pts_equal"} <= failed
    assert len(video_report(chain.workspace, ref)["failed_checks"]) == len(failed)


def test_missing_or_altered_chunk_is_not_assembled(chain, plate, encoded, tmp_path):
    row = next(manifest.stream(chain.workspace, encoded[1], CHUNKS))
    path = chain.workspace.path(row["path"])
    kept = path.read_bytes()
    try:
        for data in (kept[:-1] + bytes([kept[-1] ^ 1]), None):
            path.unlink()
            if data is not None:
                path.write_bytes(data)
            with pytest.raises(ManifestError, match="missing or altered"):
                assemble_video(chain.workspace, plate.video, plate.frames, encoded, tmp_path / "o.mp4")
    finally:
        path.write_bytes(kept)
    assert not (tmp_path / "o.mp4").exists()


def test_one_encoder_over_the_whole_plate_gives_the_same_frames(
    chain, plate, smoothed, encoded, before_and_after, planes, tmp_path
):
    told = []
    stream = encode_stream(
        chain.workspace, plate.video, plate.frames, smoothed, BlendSettings(), LOSSLESS, lambda *said: told.append(said)
    )
    assert (stream["rows"], len(encoded) > 1) == (1, True)
    assert told[-1] == (40, 40, "frames")
    assert frame_states(chain.workspace, [stream]) == frame_states(chain.workspace, encoded)
    output = tmp_path / "stream.mp4"
    finished = assemble_video(chain.workspace, plate.video, plate.frames, [stream], output)
    assert finished["encoding"]["codec"] == "libx264"
    assert finished["encoding"]["kbps"] > 0
    for (pts, wanted), (time, found) in zip(before_and_after[1], planes(output), strict=True):
        assert time == pts
        assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))


@pytest.fixture(scope="module")
def whole(chain, clip_a):
    whole = chain.faceset(Path(clip_a["video"]["path"]), "a", chunk_frames=1000)
    assert len(whole.frames) == 1
    return whole


class TestChunkBorders:
    """The same video in one chunk: no row may tell where chunks ended."""

    @pytest.mark.parametrize(("stage", "schema"), [("detections", DETECTIONS), ("tracks", TRACKS)])
    def test_faces_and_tracks_are_the_same(self, chain, plate, whole, stage, schema):
        assert len(plate.frames) == 5
        assert rows_of(chain, getattr(plate, stage), schema) == rows_of(chain, getattr(whole, stage), schema)

    def test_chips_are_the_same(self, chain, plate, whole):
        parts, one = ([c["aligned"] for c in side.aligned] for side in (plate, whole))
        assert rows_of(chain, parts, ALIGNED) == rows_of(chain, one, ALIGNED)

    def test_smoothed_patches_are_the_same(self, chain, whole, smoothed, trained):
        one = chain.smooth(whole, chain.swap(whole, trained["weights"], batch=1))
        assert rows_of(chain, smoothed, SMOOTHED) == rows_of(chain, one, SMOOTHED)

    def test_filter_without_its_neighbours_would_show_the_border(self, chain, plate, swapped, smoothed):
        settings = SmoothSettings(strength=0.8, radius=2)
        alone = [
            smooth_frames(chain.workspace, i, ref, plate.aligned[i]["masks"], [], [], ALIGN, settings)
            for i, ref in enumerate(swapped)
        ]
        assert rows_of(chain, alone, SMOOTHED) != rows_of(chain, smoothed, SMOOTHED)


def test_smoothing_switched_off_passes_every_patch(chain, plate, swapped):
    off = chain.smooth(plate, swapped, SmoothSettings(strength=0))
    wanted = [unpack(row["patch"]) for row in rows_of(chain, swapped, SWAPPED)]
    for row, patch in zip(rows_of(chain, off, SMOOTHED), wanted, strict=True):
        np.testing.assert_array_equal(unpack(row["patch"]), patch)


@pytest.fixture(scope="module")
def empty(chain, faceless):
    return chain.faceset(faceless, "a")


class TestNoFace:
    def test_has_no_rows_anywhere(self, empty):
        assert sum(ref["rows"] for ref in empty.frames) == 20
        for refs in (empty.detections, empty.tracks, [c["aligned"] for c in empty.aligned]):
            assert [ref["rows"] for ref in refs] == [0] * len(empty.frames)

    def test_cannot_be_trained_on(self, chain, empty, other):
        with pytest.raises(NoFaceError, match="'a'") as caught:
            chain.stats(empty, other)
        assert caught.value.exit_code == 4
        with pytest.raises(NoFaceError, match="'b'"):
            chain.stats(other, empty)

    def test_passes_through_the_swap_unchanged(self, chain, empty, trained, planes, tmp_path):
        encoded = chain.encode(empty, chain.smooth(empty, chain.swap(empty, trained["weights"])))
        states = frame_states(chain.workspace, encoded)
        assert {s["state"] for s in states} == {"no_face"}
        done = assemble_video(chain.workspace, empty.video, empty.frames, encoded, tmp_path / "o.mp4")
        for (pts, before), (new_pts, after) in zip(
            planes(empty.video["path"]), planes(done["video"]["path"]), strict=True
        ):
            assert pts == new_pts
            for old, new in zip(before, after, strict=True):
                np.testing.assert_array_equal(old, new)


class TestChangedSource:
    @pytest.fixture
    def changed(self, chain, clip_b, tmp_path):
        path = tmp_path / "copy.mp4"
        shutil.copy(clip_b["video"]["path"], path)
        side = chain.faceset(path, "b")
        with path.open("ab") as stream:
            stream.write(b"\0")
        return side

    def test_no_later_stage_reads_it(self, chain, changed, smoothed, tmp_path):
        w, video, frames = chain.workspace, changed.video, changed.frames[0]
        with pytest.raises(MediaError, match="changed"):
            detect_faces(w, video, frames, chain.detect)
        with pytest.raises(MediaError, match="changed"):
            align_landmarks(w, video, frames, changed.tracks[0], chain.align)
        with pytest.raises(MediaError, match="changed"):
            reencode_chunk(w, video, frames, smoothed[0], BlendSettings(), LOSSLESS)
        with pytest.raises(MediaError, match="changed"):
            assemble_video(w, video, changed.frames, [], tmp_path / "o.mp4")

    def test_new_reference_to_the_changed_file_does_not_fit_the_old_frames(self, chain, changed):
        new = file_ref(Path(changed.video["path"]))
        with pytest.raises(MediaError, match="not the one that was decoded"):
            detect_faces(chain.workspace, new, changed.frames[0], chain.detect)


@pytest.mark.parametrize("stage", ["frames", "detections", "tracks"])
def test_altered_manifest_stops_the_stage_that_reads_it(chain, clip_b, tmp_path, stage):
    mine = type(chain)(Workspace(tmp_path))
    side = mine.faceset(Path(clip_b["video"]["path"]), "b")
    path = mine.workspace.path(getattr(side, stage)[0]["path"])
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    w = mine.workspace
    if stage == "tracks":
        with pytest.raises(ManifestError, match="altered"):
            align_landmarks(w, side.video, side.frames[0], side.tracks[0], mine.align)
    else:
        with pytest.raises(ManifestError, match="altered"):
            track_faces(w, side.frames, side.detections, "b", TrackSettings())
