import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from insightface.data import get_image
from skimage import data

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors import DETECTORS
from faceswap_core.faces.detectors.mtcnn import suppress


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def portrait():
    return data.astronaut()


@pytest.fixture(scope="module")
def group():
    return np.ascontiguousarray(get_image("t1")[..., ::-1])


@pytest.mark.parametrize("backend", DETECTORS)
class TestEveryDetector:
    def detector(self, backend, **settings):
        given = {"min_score": 0.9, "min_face": 0.05, "max_side": 1280, **settings}
        return DETECTORS[backend](DetectSettings(backend=backend, **given))

    def test_finds_the_one_face_of_a_portrait(self, backend, portrait):
        faces = self.detector(backend).detect(portrait)
        assert len(faces) == 1
        assert faces.scores[0] > 0.9
        eye, other_eye, nose, mouth, other_mouth = faces.points5[0]
        # places seen in the picture, +- a tenth of the face
        np.testing.assert_allclose([eye, other_eye], [[203, 106], [245, 107]], atol=6)
        assert eye[0] < nose[0] < other_eye[0]
        assert eye[1] < nose[1] < mouth[1]
        assert mouth[0] < other_mouth[0]
        x0, y0, x1, y1 = faces.boxes_xyxy[0]
        assert x0 < eye[0] < other_eye[0] < x1
        assert y0 < eye[1] < mouth[1] < y1

    def test_finds_the_six_faces_of_a_group_best_first(self, backend, group):
        faces = self.detector(backend).detect(group)
        assert len(faces) == 6
        assert (np.diff(faces.scores) <= 0).all()
        assert faces.boxes_xyxy.dtype == faces.scores.dtype == faces.points5.dtype == np.float32
        centres = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2
        distance = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + np.eye(6) * 1e9
        assert distance.min() > 50, "six people, not one twice"

    @pytest.mark.parametrize("shape", [(0, 0), (0, 64), (64, 0), (1, 1), (11, 300), (144, 256)])
    def test_image_without_a_face_gives_empty_arrays(self, backend, shape):
        faces = self.detector(backend).detect(np.zeros((*shape, 3), np.uint8))
        assert len(faces) == 0
        assert faces.boxes_xyxy.shape == (0, 4)
        assert faces.scores.shape == (0,)
        assert faces.points5.shape == (0, 5, 2)

    def test_points_follow_a_shift_of_whole_pixels(self, backend, portrait):
        around = portrait[20:340, 60:400]
        still = self.detector(backend).detect(around).points5[0]
        errors = []
        for dx, dy in ((1, 0), (0, 1), (3, -2), (-5, 7), (8, 8), (2, 2), (1, 1), (-1, 4)):
            shifted = portrait[20 - dy : 340 - dy, 60 - dx : 400 - dx]
            errors.append(np.abs(self.detector(backend).detect(shifted).points5[0] - still - [dx, dy]))
        # eyes stand 43 px apart; crops cut at whole pixels instead of where the box lies give a mean of .26
        assert np.mean(errors) < 0.2
        assert np.median(errors, axis=(1, 2)).max() < 0.5
        assert np.max(errors) < 1

    def test_reduced_search_gives_points_of_the_full_frame(self, backend, portrait):
        large = cv2.resize(portrait, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        full = self.detector(backend).detect(portrait).points5[0]
        reduced = self.detector(backend, max_side=512).detect(large).points5[0]
        np.testing.assert_allclose((reduced + 0.5) / 2 - 0.5, full, atol=0.75)

    def test_points_are_counted_from_the_centre_of_the_first_pixel(self, backend, portrait):
        """Enlarged eightfold, a search that forgets half a pixel would be off by 3.5."""
        around = portrait[40:200, 140:300]
        large = cv2.resize(around, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
        full = self.detector(backend, min_face=0.2).detect(around).points5[0]
        reduced = self.detector(backend, min_face=0.2, max_side=160).detect(large).points5[0]
        np.testing.assert_allclose(reduced, (full + 0.5) * 8 - 0.5, atol=0.1)

    def test_smaller_faces_than_asked_for_are_not_looked_for(self, backend, group):
        largest = self.detector(backend, min_face=0.5).detect(group)
        assert len(largest) < 6

    def test_image_is_left_as_it_was(self, backend, portrait):
        before = portrait.copy()
        self.detector(backend).detect(portrait)
        np.testing.assert_array_equal(portrait, before)

    def test_same_image_gives_the_same_faces(self, backend, portrait):
        one, two = (self.detector(backend).detect(portrait) for _ in range(2))
        np.testing.assert_array_equal(one.points5, two.points5)

    def test_name_is_the_one_it_is_known_by(self, backend):
        assert self.detector(backend).name == backend


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
