"""The job's detector before and after a swap, with tiny networks through the real loaders."""

from types import SimpleNamespace

import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DetectSettings
from faceswap_core.errors import SettingsError
from faceswap_core.models.faces import Chips
from faceswap_core.models.validation import Validation
from faceswap_core.schemas import TRAIN_LOG
from faceswap_core.stages import train
from faceswap_core.stages.look import looker
from faceswap_core.stages.report import judged_checkpoints
from faceswap_core.stages.train import train_model
from faceswap_core.stages.weights import read_facts
from tests.faceswap_core.faces.detectors import tiny_onnx
from tests.faceswap_core.stages.conftest import RUNTIME, TRAIN

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


def trained_with(chain, plate, other, stats, seed=5, **changes):
    """A training of the chain's with its own folder, and the rows of its log."""
    settings = TRAIN.model_copy(update={"checkpoint_every": 3, **changes})
    sides = (plate.aligned, other.aligned, stats, chain.names)
    detect = DetectSettings(backend="mtcnn")
    made = train_model(chain.workspace, *sides, settings, chain.align, seed, RUNTIME, detect=detect)
    return made, list(manifest.stream(chain.workspace, made["log"], TRAIN_LOG))


def test_a_training_logs_what_the_jobs_detector_makes_of_its_checkpoints(chain, plate, other, stats, monkeypatch):
    asked = []

    def looker_of(detect, device, sampler):
        asked.append((detect.backend, device, len(sampler.b.chips) > 0))
        return lambda before, after: {"landmarks": 0.25, "identity": 0.5}

    monkeypatch.setattr(train, "looker", looker_of)
    made, rows = trained_with(chain, plate, other, stats, iterations=6)
    assert asked == [("mtcnn", RUNTIME.device, True)]
    assert [(row["step"], row["landmarks"], row["identity"]) for row in rows] == [(3, 0.25, 0.5), (6, 0.25, 0.5)]
    judged, missing = judged_checkpoints(chain.workspace, made["log"])
    assert [one["score"] for one in judged] == [row["cycle"] + row["likeness"] for row in rows]
    assert missing == {}


def test_figures_that_no_detector_gives_have_a_reason(chain, plate, other, stats, monkeypatch):
    monkeypatch.setattr(train, "looker", lambda *_: None)
    made, _ = trained_with(chain, plate, other, stats, seed=6, iterations=3)
    assert set(judged_checkpoints(chain.workspace, made["log"])[1]) == {"checkpoints.landmarks", "checkpoints.identity"}


@pytest.fixture
def worse_each_time(monkeypatch):
    """Every checkpoint is judged worse than the one before."""
    scores = iter(range(1, 100))
    monkeypatch.setattr(Validation, "judge", lambda *_: {"cycle": float(next(scores)), "likeness": 0.0})


def test_the_best_checkpoint_draws_where_that_is_asked_for(chain, plate, other, stats, worse_each_time):
    made, rows = trained_with(chain, plate, other, stats, seed=7, iterations=6, choose="best")
    assert (made["steps"], made["drawn_step"]) == (6, 3)
    assert read_facts(chain.workspace.path(made["weights"]["path"])).step == 3
    assert rows[-1]["event"] == "of 6 steps the checkpoint after 3 draws: its score is the best"
    again, rows = trained_with(chain, plate, other, stats, seed=7, iterations=9)
    assert (again["steps"], again["drawn_step"]) == (9, 9), "training went on from the latest"


def test_a_training_that_gets_no_better_ends(chain, plate, other, stats, worse_each_time):
    made, rows = trained_with(chain, plate, other, stats, seed=8, iterations=30, patience=2)
    assert made["steps"] == 9
    assert rows[-1]["event"] == "2 checkpoints without a better score: ended at step 9 of 30"


@pytest.mark.parametrize("wish", [{"patience": 2}, {"choose": "best"}])
def test_what_goes_by_held_out_faces_is_refused_without_them(chain, plate, other, stats, wish):
    with pytest.raises(SettingsError, match=r"train\.validation_share \(0\.01\) leaves none"):
        trained_with(chain, plate, other, stats, seed=9, iterations=3, validation_share=0.01, **wish)
