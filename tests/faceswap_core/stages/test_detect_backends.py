"""The ONNX backends over a clip, with tiny networks through the real loaders."""

from fractions import Fraction

import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DecodeSettings, DetectSettings, TrackSettings
from faceswap_core.errors import ManifestError
from faceswap_core.schemas import DETECTIONS
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces
from faceswap_core.stages.report import weights_licence
from faceswap_core.stages.track import track_faces
from faceswap_core.storage import Workspace
from faceswap_core.video.render import write_video
from tests.faceswap_core.faces.detectors import tiny_onnx

SIZE_HW = (192, 320)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Settings of each ONNX backend."""
    folder = tmp_path_factory.mktemp("weights")
    pack = tiny_onnx.write_pack(folder / "pack")
    tiny_onnx.write_yunet(folder / "yunet.onnx")
    return {
        "insightface": DetectSettings(backend="insightface", pack=str(pack), max_side=320),
        "yunet": DetectSettings(backend="yunet", model_file=folder / "yunet.onnx", max_side=320),
    }


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Workspace, video and FRAMES of a clip of 16 frames in two chunks; a square moves, and is gone in the last."""
    folder = tmp_path_factory.mktemp("clip")
    images = [tiny_onnx.picture((8 * i, 64), size_hw=SIZE_HW) for i in range(15)] + [tiny_onnx.picture(size_hw=SIZE_HW)]
    write_video(folder / "clip.mp4", images, fps=Fraction(25), lossless=True, keyint=8)
    workspace, video = Workspace(folder / "ws"), video_ref(folder / "clip.mp4")
    plan = plan_video(workspace, video, DecodeSettings(chunk_frames=8))
    return workspace, video, [decode_frames(workspace, video, plan, i) for i in range(plan["chunks"])]


def rows_of(clip, refs):
    return [row for ref in refs for row in manifest.stream(clip[0], ref, DETECTIONS)]


def detect(clip, settings):
    workspace, video, frames = clip
    return [detect_faces(workspace, video, ref, settings, device="cpu") for ref in frames]


@pytest.mark.parametrize("backend", ["insightface", "yunet"])
def test_every_face_of_a_clip_is_found_and_no_other(clip, settings, backend):
    rows = rows_of(clip, detect(clip, settings[backend]))
    assert [row["frame_index"] for row in rows] == list(range(15))
    assert {row["backend"] for row in rows} == {backend}
    for i, row in enumerate(rows):
        np.testing.assert_allclose(np.reshape(row["points5"], (5, 2)), tiny_onnx.points_at(8 * i, 64), atol=1)


def test_identities_and_dense_points_are_kept_where_there_are_some(clip, settings):
    for row in rows_of(clip, detect(clip, settings["insightface"])):
        assert len(row["points_dense"]) == 212
        assert len(row["embedding"]) == tiny_onnx.EMBEDDING
    for row in rows_of(clip, detect(clip, settings["yunet"])):
        assert row["points_dense"] is None
        assert row["embedding"] is None


def test_faces_of_two_backends_are_never_joined(clip, settings):
    one, other = detect(clip, settings["insightface"]), detect(clip, settings["yunet"])
    with pytest.raises(ManifestError, match=r"'yunet' beside those found by 'insightface'"):
        track_faces(clip[0], clip[2], [one[0], other[1]], "a", TrackSettings())
    assert len(track_faces(clip[0], clip[2], one, "a", TrackSettings())) == 2


def test_report_names_the_terms_of_the_weights_or_that_they_are_not_known(settings):
    assert weights_licence(DetectSettings(backend="mtcnn")) == "MIT"
    assert weights_licence(DetectSettings(backend="builtin")) == "Apache-2.0; MIT"
    assert weights_licence(settings["yunet"]) == "not known here: yunet.onnx"
    assert weights_licence(DetectSettings(backend="truth")) is None
