"""A person found by a picture among others: an InsightFace pack of generated files, through the command line."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from conftest import faceswap

from faceswap_core.video.render import write_video
from tests.faceswap_core.faces.detectors import tiny_onnx
from tests.jobs import write_job

pytestmark = [pytest.mark.flow, pytest.mark.release]

SIZE_HW = (360, 640)
FRAMES = 24
SIDE = 64
A, OTHER, B = 3, 0, 1
"""Three people: where the dark mark of their red square lies."""


def walk(start, step):
    """Corners of a square that moves by whole strides."""
    return [(start[0] + 8 * step * (i // 3), start[1]) for i in range(FRAMES)]


LEFT, RIGHT = walk((64, 120), 1), walk((480, 160), -1)


def film(path, **people):
    """Write people on their ways as a video; returns its pictures."""
    pictures = []
    for i in range(FRAMES):
        picture = tiny_onnx.picture(*(way[i] for way in people.values()), size_hw=SIZE_HW)
        for name, way in people.items():
            mark = {"a": A, "other": OTHER, "b": B}[name]
            x, y = way[i][0] + 8 + 24 * (mark % 2), way[i][1] + 4 + 36 * (mark // 2)
            picture[y : y + 16, x : x + 20] = (60, 0, 0)
        pictures.append(picture)
    write_video(path, pictures, fps=Fraction(25), lossless=True, pix_fmt="rgb24")
    return pictures


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job whose plate shows the person and a stranger, and a picture of the person."""
    folder = tmp_path_factory.mktemp("reference")
    tiny_onnx.write_pack(folder / "pack")
    plate = film(folder / "plate.mkv", other=LEFT, a=RIGHT)
    known = film(folder / "a.mkv", a=LEFT)
    film(folder / "b.mkv", b=LEFT)
    stranger = film(folder / "stranger.mkv", other=LEFT)
    for name, picture in (("a", known[0]), ("stranger", stranger[0]), ("nobody", plate[0] * 0)):
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    changes = {
        "plate.video": "plate.mkv",
        "plate.plate_for_training": False,
        "subjects.a.videos": ["a.mkv"],
        "subjects.a.reference": "a.png",
        "subjects.b.videos": ["b.mkv"],
        "output.video": "out.mkv",
        "detect.backend": "insightface",
        "detect.pack": "pack/",
        "encode.preset": "master",
        "encode.codec": "ffv1",
        "provenance.label.mode": "off",
        "provenance.label.reason": "compared with the source",
        "provenance.label.approved_by": "a test",
    }
    return write_job(folder / "job.toml", changes)


def changed(path, pictures):
    """Largest difference of a video from pictures about the left and about the right square."""
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(shown) == FRAMES
    differences = np.abs(np.array(shown) - np.array(pictures, int)).max(axis=-1)
    return [
        max(d[y - 16 : y + SIDE + 16, x - 16 : x + SIDE + 16].max() for d, (x, y) in zip(differences, way, strict=True))
        for way in (LEFT, RIGHT)
    ]


def test_the_person_of_the_picture_is_swapped_and_nobody_else(server, job, test_records):
    done = faceswap("run", job, *test_records)
    assert done.code == 0, done.stderr
    assert done.report["frames"]["swapped"] == FRAMES
    assert done.computed["embed-reference"] == 1
    left, right = changed(done.last["output"], film(job.with_name("again.mkv"), other=LEFT, a=RIGHT))
    assert left == 0
    assert right > 20


def test_a_picture_of_the_other_swaps_the_other_and_nothing_is_searched_again(server, job, test_records):
    done = faceswap("run", job, *test_records, "--set", f"subjects.a.reference={job.with_name('stranger.png')}")
    assert done.code == 0, done.stderr
    assert not {"decode-frames", "detect-faces"} & set(done.computed)
    left, right = changed(done.last["output"], film(job.with_name("again.mkv"), other=LEFT, a=RIGHT))
    assert left > 20
    assert right == 0


def test_a_picture_without_a_face_ends_with_4(server, job, test_records):
    refused = faceswap("run", job, *test_records, "--set", f"subjects.a.reference={job.with_name('nobody.png')}")
    assert (refused.code, refused.last["error"]) == (4, "NoFaceError")


def test_a_detector_that_knows_nobody_ends_with_2(server, job, test_records):
    refused = faceswap("run", job, *test_records, "--set", "detect.backend=mtcnn")
    assert (refused.code, refused.last["error"]) == (2, "SettingsError")
    assert "reference" in refused.last["message"]
