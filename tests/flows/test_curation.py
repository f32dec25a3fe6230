"""Faces chosen by command, a person learnt from pictures alone, masks made again: through the command line."""

import json

import cv2
import numpy as np
import pytest
from conftest import faceswap

from faceswap_core.faces.geometry import compose, fit_similarity, invert, similarity_matrix, template5, template_to_chip
from faceswap_core.stages.align import warp_chip
from faceswap_core.stages.detect import five_of_68
from faceswap_core.synth.actor import frames
from faceswap_core.synth.identity import identity
from faceswap_core.synth.performance import performance
from tests.jobs import write_job

pytestmark = [pytest.mark.flow, pytest.mark.release]

PICTURES = 20


@pytest.fixture(scope="module")
def job(server, clips, tmp_path_factory):
    """A job whose second person is known from aligned pictures alone."""
    folder = tmp_path_factory.mktemp("pictures")
    pictures = folder / "faces"
    pictures.mkdir()
    to_chip = template_to_chip(96, 0.4, 0.625, 0.45)
    rendered = frames(identity(8), performance(PICTURES, seed=2, fps=25), width=160, height=120, face_px=90)
    for number, frame in enumerate(rendered):
        to_frame = similarity_matrix(fit_similarity(template5(), five_of_68(frame.landmarks).astype(np.float64)))
        chip = warp_chip(frame.rgb, compose(to_chip, invert(to_frame)), 96)
        cv2.imwrite(str(pictures / f"{number:03d}.png"), cv2.cvtColor(chip, cv2.COLOR_RGB2BGR))
    changes = {
        "plate.video": clips["second"],
        "subjects.a.videos": [clips["a"]],
        "subjects.b.videos": None,
        "subjects.b.images": "faces",
        "detect.backend": "mtcnn",
        "train.iterations": 6,
    }
    return write_job(folder / "job.toml", changes)


@pytest.fixture(scope="module")
def first(job, test_records):
    return faceswap("run", job, *test_records)


def faces(command, *arguments):
    done = faceswap("faces", command, *arguments)
    return done.code, done.lines[-1]


def test_a_person_from_pictures_alone_is_trained_and_swapped(first):
    assert first.code == 0, first.stderr
    assert first.computed["import-images"] == 1
    assert first.report["frames"]["swapped"] > 15


def test_the_faces_stand_in_a_table(first, job):
    code, told = faces("stats", job)
    assert code == 0
    assert told["subjects"]["b"]["faces"] == told["subjects"]["b"]["kept"] == PICTURES
    assert told["subjects"]["a"]["faces"] >= 48
    assert len(told["subjects"]["a"]["figures"]["sharpness"]) == 3


def test_a_choice_trains_anew_and_cuts_nothing_again(first, job, test_records):
    code, told = faces("drop", job.parent / "ws", "frame_index < 3", "--subject", "b")
    assert (code, told["subjects"]["b"]["kept"]) == (0, PICTURES - 3)
    again = faceswap("run", job, *test_records)
    assert again.code == 0, again.stderr
    assert {"normalize-color", "train-model"} <= set(again.computed)
    assert not {"decode-frames", "align-landmarks", "make-masks", "import-images"} & set(again.computed)
    assert faces("keep", job)[0] == 0


def test_other_masks_are_made_from_the_chips_that_are_there(first, job, test_records):
    again = faceswap("run", job, *test_records, "--set", "masks.erode_top=0.1")
    assert again.code == 0, again.stderr
    assert {"make-masks", "train-model"} <= set(again.computed)
    assert not {"decode-frames", "track-faces", "align-landmarks", "import-images"} & set(again.computed)


def test_sheet_is_written(first, job, tmp_path):
    code, told = faces("sheet", job, "--output", tmp_path / "s.png", "--count", "12")
    assert (code, told["output"]) == (0, str(tmp_path / "s.png"))
    assert cv2.imread(str(tmp_path / "s.png")).shape[1] == 1120


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("drop", "nose > 1"), 2), (("best", "5", "--subject", "zoe"), 2), (("sheet", "--where", "yaw > 999"), 4)],
)
def test_what_cannot_be_done_is_said(first, job, arguments, code):
    command, *rest = arguments
    done = faceswap("faces", command, job, *rest)
    assert done.code == code
    assert json.loads(json.dumps(done.last))["exit_code"] == code
    assert "Traceback" not in done.stderr


def test_a_hostile_picture_ends_the_run_by_its_name(first, job, test_records):
    bad = job.parent / "faces" / "zz.png"
    bad.write_bytes(b"no picture")
    try:
        done = faceswap("run", job, *test_records)
    finally:
        bad.unlink()
    assert done.code == 4
    assert "zz.png" in done.last["message"]
