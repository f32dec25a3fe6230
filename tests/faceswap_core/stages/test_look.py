"""The job's detector before and after a swap, with tiny networks through the real loaders."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import RUNTIME, TRAIN

from faceswap_core import manifest
from faceswap_core.config import DetectSettings
from faceswap_core.models.faces import Chips
from faceswap_core.schemas import TRAIN_LOG
from faceswap_core.stages.look import looker
from faceswap_core.stages.train import train_model
from tests.faceswap_core.faces.detectors import tiny_onnx

SIDE = 192


def person(mark, corner=(64, 64)):
    """A square, told from others by a dark mark within it."""
    image = tiny_onnx.picture(corner, size_hw=(SIDE, SIDE))
    x, y = corner[0] + 8 + 24 * (mark % 2), corner[1] + 4 + 36 * (mark // 2)
    image[y : y + 16, x : x + 20] = (60, 0, 0)
    return image


def chips(*images):
    return Chips.of([np.dstack([image, np.zeros((SIDE, SIDE, 3), np.uint8)]) for image in images])


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny_onnx.write_yunet(folder / "yunet.onnx")
    return {
        "insightface": DetectSettings(
            backend="insightface", pack=str(tiny_onnx.write_pack(folder / "pack")), max_side=320
        ),
        "yunet": DetectSettings(backend="yunet", model_file=folder / "yunet.onnx", max_side=320),
    }


@pytest.fixture
def sampler():
    sides = (SimpleNamespace(chips=chips(person(0), person(0, (72, 60)))), SimpleNamespace(chips=chips(person(3))))
    return SimpleNamespace(a=sides[0], b=sides[1])


def looked(settings, sampler, before, after):
    return looker(settings, "cpu", sampler)(np.stack(before), np.stack(after))


def test_a_face_that_does_not_move_keeps_its_landmarks(settings, sampler):
    assert looked(settings["yunet"], sampler, [person(0)], [person(3)]) == {"landmarks": pytest.approx(0, abs=1e-6)}


def test_landmarks_that_move_are_measured_by_the_eyes_distance(settings, sampler):
    eyes = np.linalg.norm(np.diff(tiny_onnx.points_at(0, 0)[:2], axis=0))
    found = looked(settings["yunet"], sampler, [person(0), person(0)], [person(0), person(0, (72, 64))])
    assert found["landmarks"] == pytest.approx(8 / eyes / 2, rel=0.02)


def test_a_swap_with_bs_face_has_bs_identity_and_one_with_as_has_not(settings, sampler):
    swapped = looked(settings["insightface"], sampler, [person(0)], [person(3)])
    same = looked(settings["insightface"], sampler, [person(0)], [person(0)])
    assert swapped["identity"] > 0 > same["identity"]


def test_where_no_face_is_seen_nothing_is_said(settings, sampler):
    empty = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert looked(settings["insightface"], sampler, [person(0)], [empty]) == {}
    assert looked(settings["insightface"], sampler, [empty], [person(0)]) == {}


def test_detections_of_the_truth_have_no_detector_to_look(sampler):
    assert looker(DetectSettings(backend="truth"), "cpu", sampler) is None
    assert looker(None, "cpu", sampler) is None


def test_a_training_logs_what_the_detector_makes_of_its_checkpoints(chain, plate, other, stats):
    changed = TRAIN.model_copy(update={"iterations": 6, "checkpoint_every": 3})
    trained = train_model(
        *(chain.workspace, plate.aligned, other.aligned, stats, chain.names, changed, chain.align, 5, RUNTIME),
        detect=DetectSettings(backend="mtcnn", min_score=0.1),
    )
    rows = list(manifest.stream(chain.workspace, trained["log"], TRAIN_LOG))
    assert [row["step"] for row in rows] == [3, 6]
    for row in rows:
        assert row["cycle"] > 0
        assert row["likeness"] > 0
        assert row["identity"] is None
