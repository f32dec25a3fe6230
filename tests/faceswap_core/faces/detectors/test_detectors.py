import cv2
import numpy as np
import pytest
import tiny_onnx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from insightface.data import get_image
from skimage import data

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors import DETECTORS
from faceswap_core.faces.detectors.mtcnn import suppress
from faceswap_core.modelstore import survey

REAL_FACES = ["builtin", "mtcnn"]
"""Detectors that come with trained weights; the others are given tiny networks, whose faces are red squares."""


class Photographs:
    """Pictures with real faces."""

    def __init__(self):
        self.settings = {"max_side": 1280}
        self.portrait = data.astronaut()
        self.eyes = [[203, 106], [245, 107]]  # places seen in the picture, +- a tenth of the face
        self.tolerance = 6
        self.group = np.ascontiguousarray(get_image("t1")[..., ::-1])
        self.shifts = ((1, 0), (0, 1), (3, -2), (-5, 7), (8, 8), (2, 2), (1, 1), (-1, 4))
        self.window = (20, 340, 60, 400)
        self.close_up = self.portrait[40:200, 140:300]


class Squares:
    """Pictures with the faces of the tiny networks."""

    def __init__(self, folder):
        tiny_onnx.write_yunet(folder / "yunet.onnx")
        pack = tiny_onnx.write_pack(folder / "pack")
        self.settings = {"pack": str(pack), "model_file": folder / "yunet.onnx", "max_side": 640}
        self.portrait = tiny_onnx.picture((184, 120), size_hw=(400, 640))
        self.eyes = tiny_onnx.points_at(184, 120)[:2]
        self.tolerance = 1
        self.group = tiny_onnx.picture(*((x, y) for x in (8, 160, 320) for y in (16, 200)), size_hw=(320, 640))
        self.shifts = ((8, 0), (0, 8), (16, -16), (-8, 16))
        self.window = (24, 344, 56, 376)
        self.close_up = self.portrait[40:232, 104:296]


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return Squares(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def photographs():
    return Photographs()


@pytest.fixture
def scene(backend, request):
    """What a detector is shown."""
    return request.getfixturevalue("photographs" if backend in REAL_FACES else "squares")


@pytest.fixture
def make(backend, scene):
    """Make the detector, with other settings where a test has some."""
    if backend == "builtin" and next(survey(("facemesh",))).state == "missing":
        pytest.skip("FaceMesh is not in the model store: faceswap models pull facemesh")

    def made(**settings):
        given = {"backend": backend, "min_face": 0.05, **scene.settings, **settings}
        return DETECTORS[backend](DetectSettings(**given), "cpu")

    return made


@pytest.mark.parametrize("backend", DETECTORS)
class TestEveryDetector:
    def test_finds_the_one_face_of_a_portrait(self, backend, make, scene):
        faces = make().detect(scene.portrait)
        assert len(faces) == 1
        assert faces.scores[0] > 0.9
        eye, other_eye, _, mouth, _ = faces.points5[0]
        np.testing.assert_allclose([eye, other_eye], scene.eyes, atol=scene.tolerance)
        x0, y0, x1, y1 = faces.boxes_xyxy[0]
        assert x0 < eye[0] < other_eye[0] < x1
        assert y0 < eye[1] < mouth[1] < y1

    def test_gives_the_points_of_the_images_left_first(self, backend, make, scene):
        eye, other_eye, nose, mouth, other_mouth = make().detect(scene.portrait).points5[0]
        assert eye[0] < nose[0] < other_eye[0]
        assert eye[1] < nose[1] < mouth[1]
        assert mouth[0] < other_mouth[0]

    def test_finds_the_six_faces_of_a_group_best_first(self, backend, make, scene):
        faces = make().detect(scene.group)
        assert len(faces) == 6
        assert (np.diff(faces.scores) <= 0).all()
        assert faces.boxes_xyxy.dtype == faces.scores.dtype == faces.points5.dtype == np.float32
        centres = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2
        distance = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + np.eye(6) * 1e9
        assert distance.min() > 50, "six people, not one twice"

    def test_gives_dense_points_and_identities_for_each_face_or_none_at_all(self, backend, make, scene):
        faces = make().detect(scene.group)
        if faces.points_dense is not None:
            assert faces.points_dense.shape[::2] == (6, 2)
            assert faces.points_dense.dtype == np.float32
            centres = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2
            np.testing.assert_allclose(faces.points_dense.mean(1), centres, atol=0.2 * np.ptp(faces.boxes_xyxy[0]))
        if faces.embeddings is not None:
            assert faces.embeddings.dtype == np.float32
            np.testing.assert_allclose(np.linalg.norm(faces.embeddings, axis=1), np.ones(6), rtol=1e-5)

    @pytest.mark.parametrize("shape", [(0, 0), (0, 64), (64, 0), (1, 1), (1, 2000), (11, 300), (144, 256)])
    def test_image_without_a_face_gives_empty_arrays(self, backend, make, shape):
        faces = make().detect(np.zeros((*shape, 3), np.uint8))
        assert len(faces) == 0
        assert faces.boxes_xyxy.shape == (0, 4)
        assert faces.scores.shape == (0,)
        assert faces.points5.shape == (0, 5, 2)

    def test_points_follow_a_shift_of_whole_pixels(self, backend, make, scene):
        top, bottom, left, right = scene.window
        still = make().detect(scene.portrait[top:bottom, left:right]).points5[0]
        errors = []
        for dx, dy in scene.shifts:
            shifted = scene.portrait[top - dy : bottom - dy, left - dx : right - dx]
            errors.append(np.abs(make().detect(shifted).points5[0] - still - [dx, dy]))
        # eyes stand 43 px apart; crops cut at whole pixels instead of where the box lies give a mean of .26
        assert np.mean(errors) < 0.2
        assert np.median(errors, axis=(1, 2)).max() < 0.5
        assert np.max(errors) < 1

    def test_reduced_search_gives_points_of_the_full_frame(self, backend, make, scene):
        large = cv2.resize(scene.portrait, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        full = make(max_side=max(scene.portrait.shape)).detect(scene.portrait).points5[0]
        reduced = make(max_side=max(scene.portrait.shape)).detect(large).points5[0]
        np.testing.assert_allclose((reduced + 0.5) / 2 - 0.5, full, atol=0.75)

    def test_points_are_counted_from_the_centre_of_the_first_pixel(self, backend, make, scene):
        """Enlarged eightfold, a search that forgets half a pixel would be off by 3.5."""
        if backend == "insightface":
            pytest.skip("the library reduces the frame itself, and its networks have learnt its way of counting")
        if backend == "builtin":
            pytest.skip("the mesh looks at the frame as it is, where the blocks of an enlarged one are other features")
        side = len(scene.close_up)
        large = cv2.resize(scene.close_up, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
        full = make(min_face=0.2).detect(scene.close_up).points5[0]
        reduced = make(min_face=0.2, max_side=side).detect(large).points5[0]
        np.testing.assert_allclose(reduced, (full + 0.5) * 8 - 0.5, atol=0.1)

    def test_smaller_faces_than_asked_for_are_not_looked_for(self, backend, make, scene):
        assert len(make(min_face=0.5).detect(scene.group)) < 6

    def test_image_is_left_as_it_was(self, backend, make, scene):
        before = scene.portrait.copy()
        make().detect(scene.portrait)
        np.testing.assert_array_equal(scene.portrait, before)

    def test_same_image_gives_the_same_faces(self, backend, make, scene):
        one, two = (make().detect(scene.group) for _ in range(2))
        for name in ("boxes_xyxy", "scores", "points5", "points_dense", "embeddings"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))

    def test_what_it_was_shown_before_a_cut_does_not_matter(self, backend, make, scene):
        detector = make()
        detector.detect(scene.group)
        after = detector.detect(scene.portrait, follows=False)
        np.testing.assert_array_equal(after.points5, make().detect(scene.portrait).points5)

    def test_name_is_the_one_it_is_known_by(self, backend, make):
        assert make().name == backend


boxes = st.integers(0, 12).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, (n, 2), elements=st.floats(0, 50)),
        arrays(np.float64, (n, 2), elements=st.floats(1, 50)),
        arrays(np.float64, (n,), elements=st.floats(0, 1)),
    )
)


def iou(a, b):
    side = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    inter = side.prod()
    return inter / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inter)


class TestSuppress:
    def test_of_nothing_keeps_nothing(self):
        assert suppress(np.empty((0, 4)), np.empty(0), 0.5) == []

    def test_keeps_the_better_of_two_on_one_place(self):
        pair = np.array([[0, 0, 10, 10], [1, 0, 11, 10.0], [50, 50, 60, 60]])
        assert suppress(pair, np.array([0.5, 0.9, 0.7]), 0.5) == [1, 2]

    def test_small_box_inside_a_large_one_goes_by_the_smaller_area_only(self):
        pair = np.array([[0, 0, 100, 100], [10, 10, 20, 20.0]])
        scores = np.array([0.9, 0.8])
        assert suppress(pair, scores, 0.7) == [0, 1]
        assert suppress(pair, scores, 0.7, by_smaller=True) == [0]

    @given(boxes, st.floats(0.1, 0.9))
    def test_kept_boxes_overlap_little_and_dropped_ones_much(self, given_boxes, threshold):
        corner, side, scores = given_boxes
        all_boxes = np.hstack([corner, corner + side])
        kept = suppress(all_boxes, scores, threshold)
        assert list(scores[kept]) == sorted(scores[kept], reverse=True)
        for i in kept:
            assert all(iou(all_boxes[i], all_boxes[j]) <= threshold + 1e-9 for j in kept if j != i)
        for i in set(range(len(scores))) - set(kept):
            assert any(iou(all_boxes[i], all_boxes[j]) > threshold - 1e-9 and scores[j] >= scores[i] for j in kept)
