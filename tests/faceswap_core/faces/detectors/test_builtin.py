import numpy as np
import pytest
from insightface.data import get_image
from skimage import data

from faceswap_core.config import DetectSettings
from faceswap_core.errors import ModelMissingError
from faceswap_core.faces.detectors import DETECTORS, builtin, fallback_note, installed
from faceswap_core.faces.detectors.mtcnn import MtcnnDetector

needs_mesh = pytest.mark.skipif(
    installed(DetectSettings()).backend != "builtin", reason="`faceswap models pull facemesh` was not run"
)


@pytest.fixture(scope="module")
def portrait():
    return data.astronaut()


@pytest.fixture(scope="module")
def pair():
    """Two of six people, 600 px wide."""
    return np.ascontiguousarray(get_image("t1")[60:420, :600, ::-1])


@pytest.fixture
def searches(monkeypatch):
    """Counts the frames that MTCNN looks at."""
    seen = []
    real = MtcnnDetector.search

    def counted(self, image, known_xyxy):
        seen.append(image.shape)
        return real(self, image, known_xyxy)

    monkeypatch.setattr(MtcnnDetector, "search", counted)
    return seen


def detector(**settings):
    return DETECTORS["builtin"](DetectSettings(backend="builtin", **{"min_face": 0.1, **settings}), "cpu")


def moved(image, dx, dy=0):
    """The part of a picture that a camera sees which goes (dx, dy) px to the upper left of it."""
    return np.ascontiguousarray(image[30 - dy : 330 - dy, 90 - dx : 390 - dx])


def test_a_search_beside_known_faces_finds_the_others(pair):
    search = MtcnnDetector(min_score=0.5, min_face=0.1, refine=False, contrast=False)
    boxes = search.detect(pair).boxes_xyxy
    assert len(boxes) > 1
    for one, box in enumerate(boxes.astype(np.float64)):
        beside = search.search(pair, box[None])
        # a batch of fewer candidates is rounded another way
        np.testing.assert_allclose(beside.boxes_xyxy, np.delete(boxes, one, axis=0), rtol=1e-6)
    assert len(search.search(pair, boxes.astype(np.float64))) == 0


@needs_mesh
class TestFollowing:
    def test_a_face_is_found_once_and_then_followed(self, portrait, searches):
        eyes = 43
        finder = detector()
        first = finder.detect(moved(portrait, 0)).points5[0]
        for n in range(1, 14):
            faces = finder.detect(moved(portrait, 2 * n, n), follows=True)
            assert len(faces) == 1
            assert faces.points_dense.shape == (1, 468, 2)
            off = faces.points5[0] - [2 * n, n] - first
            assert np.abs(off).max() < 0.06 * eyes
            assert np.abs(off.mean(0)).max() < 0.02 * eyes
        assert len(searches) == 1

    def test_a_face_at_rest_has_points_at_rest(self, portrait):
        finder = detector()
        places = [finder.detect(portrait, follows=n > 0).points5[0] for n in range(24)]
        assert np.ptp(places[12:], axis=0).max() < 0.1, "in a still picture the points' region must not swing"

    def test_who_comes_later_is_found_within_fifteen_frames(self, pair, searches):
        alone = pair.copy()
        alone[:, 300:] = 128
        finder = detector()
        assert len(finder.detect(alone)) == 1
        found = [len(finder.detect(pair, follows=True)) for _ in range(15)]
        assert found[-1] == len(detector().detect(pair)) > 1
        assert len(searches) == 3  # one at the beginning, one after 15 frames, one above

    def test_a_lost_face_is_looked_for_in_the_same_frame(self, portrait, pair):
        finder = detector()
        finder.detect(portrait)
        assert len(finder.detect(pair, follows=True)) == len(detector().detect(pair))

    def test_frames_without_a_face_are_searched_every_fifth_time(self, searches):
        finder = detector()
        grey = np.full((120, 160, 3), 99, np.uint8)
        assert [len(finder.detect(grey, follows=n > 0)) for n in range(11)] == [0] * 11
        assert len(searches) == 3 * 3, "each search also turns the frame to both sides"

    def test_a_frame_of_its_own_forgets_those_before(self, portrait):
        finder = detector()
        for n in range(3):
            finder.detect(moved(portrait, 9 * n), follows=n > 0)
        again, new = finder.detect(portrait), detector().detect(portrait)
        np.testing.assert_array_equal(again.points_dense, new.points_dense)
        np.testing.assert_array_equal(again.scores, new.scores)


@needs_mesh
class TestFinding:
    @pytest.mark.parametrize("quarters", [1, -1])
    def test_a_face_turned_by_a_right_angle_is_found_upright(self, portrait, quarters):
        upright = detector().detect(portrait).points5[0]
        (turned,) = detector().detect(np.ascontiguousarray(np.rot90(portrait, quarters))).points5
        x, y = (511 - turned[:, 1], turned[:, 0]) if quarters == 1 else (turned[:, 1], 511 - turned[:, 0])
        np.testing.assert_allclose(np.stack([x, y], -1), upright, atol=0.04 * 43)

    def test_points_do_not_lean_to_one_side(self, portrait, pair):
        """A face and its mirror image must give mirrored points."""
        leaning = []
        for image in (portrait, pair):
            width = image.shape[1]
            plain, mirrored = detector().detect(image), detector().detect(np.ascontiguousarray(image[:, ::-1]))
            middles = np.sort(plain.points5.mean(1)[:, 0])
            leaning += (middles - np.sort(width - 1 - mirrored.points5.mean(1)[:, 0])).tolist()
        assert len(leaning) >= 3
        assert abs(np.mean(leaning)) < 0.6, "px; 1.3 where the network's points are taken as they are"

    def test_a_face_that_the_mesh_does_not_confirm_is_not_given_out(self, portrait, monkeypatch):
        monkeypatch.setattr(builtin, "_PRESENCE", 1.1)
        assert len(detector().detect(portrait)) == 0

    def test_weak_score_of_a_first_sight_grows_with_a_better_one(self, portrait, monkeypatch):
        finder = detector()
        finder.detect(portrait)
        finder._faces = [builtin.replace(finder._faces[0], score=0.6)]
        scores = [float(finder.detect(portrait, follows=True).scores[0]) for _ in range(15)]
        assert scores[0] == pytest.approx(0.6)
        assert scores[-1] > 0.9


class TestMissingMesh:
    @pytest.fixture
    def store(self, tmp_path, monkeypatch):
        monkeypatch.setenv("FACESWAP_MODELS", str(tmp_path))
        return tmp_path

    def test_without_its_file_the_run_uses_mtcnn_and_the_report_says_so(self, store):
        asked = DetectSettings(min_face=0.3)
        used = installed(asked)
        assert used == DetectSettings(backend="mtcnn", min_face=0.3)
        assert "faceswap models pull facemesh" in fallback_note(asked, used)["backend_note"]
        assert fallback_note(used, installed(used)) == {}

    def test_an_altered_file_is_no_missing_one(self, store):
        (store / "facemesh").mkdir()
        (store / "facemesh" / "face_landmark.tflite").write_bytes(b"0" * 100)
        assert installed(DetectSettings()).backend == "builtin"
        with pytest.raises(ModelMissingError, match="models pull facemesh"):
            detector()


def test_what_is_missed_at_first_is_searched_again_with_more_contrast(portrait):
    dim = (portrait.astype(np.float32) * 0.06 + 8).astype(np.uint8)
    assert len(MtcnnDetector(contrast=False).detect(dim)) == 0
    found, wanted = MtcnnDetector().detect(dim), MtcnnDetector().detect(portrait)
    assert len(found) == 1
    assert np.abs(found.points5 - wanted.points5).max() < 5
