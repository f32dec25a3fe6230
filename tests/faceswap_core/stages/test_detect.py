from pathlib import Path

import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DecodeSettings, DetectSettings
from faceswap_core.faces import detectors
from faceswap_core.faces.detectors import DETECTORS, installed
from faceswap_core.schemas import DETECTIONS
from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces

CUT = 10


@pytest.fixture(scope="module")
def clip(chain):
    """16 frames of one person; another camera, light and background from frame 10 on."""
    settings = ActorSettings(
        identity=5, performance=4, frames=16, cuts=(CUT,), width=256, height=144, face=100, keyint=8
    )
    return video_ref(Path(render_actor(chain.workspace, settings)["video"]["path"]))


def decoded(chain, video, chunk_frames):
    plan = plan_video(chain.workspace, video, DecodeSettings(chunk_frames=chunk_frames))
    return [decode_frames(chain.workspace, video, plan, i) for i in range(plan["chunks"])]


@pytest.fixture
def told(monkeypatch):
    """What the detector is told of each frame: whether it follows the one before."""
    flags = []

    class Told:
        def __init__(self, settings, device):
            self._real = DETECTORS["mtcnn"](settings, device)
            self.name = self._real.name

        def detect(self, image, *, follows=False):
            flags.append(follows)
            return self._real.detect(image, follows=follows)

    monkeypatch.setitem(detectors.DETECTORS, "builtin", Told)
    return flags


def test_a_chunk_and_a_shot_begin_afresh(chain, clip, told):
    for frames in decoded(chain, clip, 8):
        detect_faces(chain.workspace, clip, frames, DetectSettings())
    assert [n for n, follows in enumerate(told) if not follows] == [0, 8, CUT]


def test_faces_of_a_chunk_do_not_depend_on_which_was_searched_before(chain, clip):
    frames = decoded(chain, clip, 8)
    settings = installed(DetectSettings())
    forwards = [detect_faces(chain.workspace, clip, ref, settings)["sha256"] for ref in frames]
    backwards = [detect_faces(chain.workspace, clip, ref, settings)["sha256"] for ref in reversed(frames)]
    assert forwards == backwards[::-1]


def test_a_border_of_chunks_moves_a_followed_face_by_little_and_ends_at_the_next_cut(chain, clip):
    settings = installed(DetectSettings())
    parts, whole = (
        [
            row["points5"]
            for frames in decoded(chain, clip, size)
            for row in manifest.stream(
                chain.workspace, detect_faces(chain.workspace, clip, frames, settings), DETECTIONS
            )
        ]
        for size in (8, 100)
    )
    one, other = (np.array(points).reshape(-1, 5, 2) for points in (parts, whole))
    eyes = np.linalg.norm(other[:, 1] - other[:, 0], axis=1)
    moved = np.linalg.norm(one - other, axis=2).max(1) / eyes
    assert moved[8:CUT].max() < 0.03
    assert not moved[:8].any()
    assert not moved[CUT:].any()


def test_points_of_the_mesh_are_published_and_the_detectors_time_is_told(chain, clip):
    settings = installed(DetectSettings())
    (frames,) = decoded(chain, clip, 100)
    found = detect_faces(chain.workspace, clip, frames, settings)
    rows = list(manifest.stream(chain.workspace, found, DETECTIONS))
    assert found["backend"] == settings.backend
    assert found["cpu_seconds"] > 0
    assert [row["frame_index"] for row in rows] == list(range(16))
    if settings.backend == "builtin":
        dense = np.array([row["points_dense"] for row in rows]).reshape(-1, 468, 2)
        np.testing.assert_allclose(dense[:, 4], np.array([row["points5"] for row in rows]).reshape(-1, 5, 2)[:, 2])
