"""Tracks of rendered actors who cross, from the file on, and the sheet that shows them."""

import cv2
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DecodeSettings, TrackSettings
from faceswap_core.config_track import Choice
from faceswap_core.faces.tracking import Detection
from faceswap_core.schemas import DETECTIONS, TRACKS
from faceswap_core.stages.contact_sheet import PICTURES, contact_sheet, sheet_tracks
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces
from faceswap_core.stages.track import is_sure, track_faces, undecided
from faceswap_core.stages.ui_picture import ui_file
from tests.two_actors import write_crossing


@pytest.fixture(scope="module")
def scene(chain, tmp_path_factory):
    """A crossing of 48 frames: video, true centres, FRAMES and DETECTIONS."""
    path = tmp_path_factory.mktemp("crossing") / "crossing.mp4"
    truth = write_crossing(path)
    video = video_ref(path)
    plan = plan_video(chain.workspace, video, DecodeSettings(chunk_frames=16))
    frames = [decode_frames(chain.workspace, video, plan, i) for i in range(plan["chunks"])]
    found = [detect_faces(chain.workspace, video, ref, chain.detect, None) for ref in frames]
    return video, truth, frames, found


def rows(chain, refs, schema=TRACKS):
    return [row for ref in refs for row in manifest.stream(chain.workspace, ref, schema)]


def who(row, truth):
    """0 for the actor in front, 1 for the one behind: whose face is nearer."""
    box = np.array(row["box_xyxy"])
    return int(np.argmin(np.linalg.norm(truth[row["frame_index"]] - (box[:2] + box[2:]) / 2, axis=1)))


def is_apart(truth, frame):
    return abs(truth[frame, 0, 0] - truth[frame, 1, 0]) > 12


def test_two_actors_who_cross_keep_one_track_each(chain, scene):
    _, truth, frames, found = scene
    people = {}
    for row in rows(chain, track_faces(chain.workspace, frames, found, "a", TrackSettings())):
        if is_apart(truth, row["frame_index"]):
            people.setdefault(row["track_id"], []).append(who(row, truth))
    lasting = {track: seen for track, seen in people.items() if len(seen) >= 3}
    assert sorted(set(seen) == {0} for seen in lasting.values()) == [False, True], lasting
    assert all(len(set(seen)) == 1 for seen in lasting.values()), "a track changed from one actor to the other"


def test_the_one_behind_is_followed_though_its_gap_is_too_long_to_be_filled(chain, scene):
    _, _, frames, found = scene
    spans = {}
    for row in rows(chain, track_faces(chain.workspace, frames, found, "a", TrackSettings(max_gap=1))):
        spans.setdefault(row["track_id"], []).append(row["frame_index"])
    assert len(spans) == 2
    longest_gaps = sorted(int(np.diff(frames).max()) for frames in spans.values())
    assert longest_gaps[0] == 1
    assert longest_gaps[1] > 2


def test_two_people_are_not_guessed_between_and_named_tracks_are_taken(chain, scene):
    _, _, frames, found = scene
    refs = track_faces(chain.workspace, frames, found, "a", TrackSettings())
    assert "side by side" in undecided(chain.workspace, refs)
    assert {row["subject"] for row in rows(chain, refs)} == {None}
    for track in {row["track_id"] for row in rows(chain, refs)}:
        named = track_faces(chain.workspace, frames, found, "a", TrackSettings(), Choice(tracks=(track,)))
        assert undecided(chain.workspace, named) == ""
        assert {row["track_id"] for row in rows(chain, named) if row["subject"] == "a"} == {track}


@pytest.mark.parametrize(
    ("scores", "sure"),
    [([0.6] * 30 + [0.9], True), ([0.89] * 9, False), ([0.75] * 10, True), ([0.74] * 30, False), ([0.9], True)],
)
def test_a_face_is_sure_once_beyond_doubt_or_for_long_nearly(scores, sure):
    box, points = np.array([0.0, 0, 9, 9]), np.zeros((5, 2))
    assert is_sure([Detection(i, 0, box, score, points) for i, score in enumerate(scores)], 0.9) == sure


def test_equal_input_gives_equal_tracks_whatever_the_chunks(chain, scene):
    _, _, frames, found = scene
    once, again = (track_faces(chain.workspace, frames, found, "a", TrackSettings()) for _ in range(2))
    assert once == again


def test_the_sheet_has_a_row_of_pictures_for_each_track(chain, scene):
    video, _, frames, found = scene
    refs = track_faces(chain.workspace, frames, found, "a", TrackSettings())
    shown, left_out = sheet_tracks(chain.workspace, refs)
    assert left_out == 0
    assert {track.track_id for track in shown} <= {row["track_id"] for row in rows(chain, refs)}
    sheet = contact_sheet(chain.workspace, "plate", video, frames, refs)
    image = cv2.imread(str(chain.workspace.path(sheet["path"])))
    assert image.shape == (36 + 120 * len(shown), 236 + PICTURES * 116, 3)
    strips = image[36:, 236:].reshape(len(shown), 120, PICTURES, 116, 3)[:, 4:-4, :, :112]
    assert strips.std(axis=(1, 3)).min() > 5, "every picture shows something"
    assert contact_sheet(chain.workspace, "plate", video, frames, refs) == sheet
    assert ui_file(chain.workspace, sheet).startswith("data:image/jpeg;base64,")


def test_a_sheet_without_tracks_says_so(chain, scene):
    video, _, frames, found = scene
    none = [manifest.publish(chain.workspace, "detect-faces", f"none-{i}", DETECTIONS, []) for i in range(len(found))]
    refs = track_faces(chain.workspace, frames, none, "a", TrackSettings())
    assert undecided(chain.workspace, refs) == ""
    sheet = contact_sheet(chain.workspace, "none", video, frames, refs)
    assert cv2.imread(str(chain.workspace.path(sheet["path"]))).shape[0] == 36
