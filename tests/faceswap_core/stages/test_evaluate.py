import math
from pathlib import Path

import pytest

from faceswap_core import manifest
from faceswap_core.config import RuntimeSettings
from faceswap_core.errors import NoFaceError
from faceswap_core.schemas import EVALUATION
from faceswap_core.stages.evaluate import _pairs, evaluate_swap, truth_report

RUNTIME = RuntimeSettings(device="cpu", threads=1)


@pytest.fixture(scope="module")
def truth(chain, clip_truth):
    return chain.faceset(Path(clip_truth["video"]["path"]), "b")


@pytest.fixture(scope="module")
def judge(chain, plate, other, trained):
    def judged(truth):
        return evaluate_swap(
            chain.workspace,
            plate.aligned,
            truth.aligned,
            other.aligned,
            trained["weights"],
            ("a", "b"),
            chain.align,
            RUNTIME,
        )

    return judged


@pytest.fixture(scope="module")
def evaluation(judge, truth):
    return judge(truth)


def numbers(report):
    for value in report.values():
        yield from numbers(value) if isinstance(value, dict) else [value]


def test_every_figure_is_a_finite_number(chain, evaluation):
    report = truth_report(chain.workspace, evaluation)
    assert all(math.isfinite(x) for x in numbers(report))
    assert report["frames"] == 40
    assert report["swap_error"] > 0


def test_ratios_are_those_of_the_mean_errors(chain, evaluation):
    table = manifest.load(chain.workspace, evaluation, EVALUATION).to_pandas()
    report = truth_report(chain.workspace, evaluation)
    assert table["frame_index"].tolist() == list(range(40))
    assert report["swap_error"] == pytest.approx(table["swap"].mean())
    for name in ("plate", "mean_face", "reconstruction"):
        assert report[f"swap_over_{name}"] == pytest.approx(table["swap"].mean() / table[name].mean())


def test_blurred_truth_has_most_of_the_transfer_and_keeps_a_residual(chain, evaluation):
    report = truth_report(chain.workspace, evaluation)
    assert 0.4 < report["blurred_truth"]["transfer"] < 1.1
    assert 0.2 < report["blurred_truth"]["residual"] < 1


def test_structure_is_told_beside_that_of_plate_reconstruction_and_mean_face(chain, evaluation):
    table = manifest.load(chain.workspace, evaluation, EVALUATION).to_pandas()
    report = truth_report(chain.workspace, evaluation)
    assert report["ssim"] == pytest.approx(table["ssim"].mean())
    for name in ("plate", "reconstruction", "mean_face", "blurred_truth"):
        assert report[name]["ssim"] == pytest.approx(table[f"{name}_ssim"].mean())
        assert 0 < report[name]["ssim"] < 1


def test_eight_steps_do_not_make_a_swap(chain, evaluation):
    report = truth_report(chain.workspace, evaluation)
    assert report["residual"] > report["blurred_truth"]["residual"]


def test_plate_judged_against_itself_has_nothing_to_be_transferred(chain, plate, judge):
    rows = list(manifest.stream(chain.workspace, judge(plate), EVALUATION))
    assert len(rows) == 40
    # plate and truth differ by the shift of the means alone, the same in every frame
    assert max(r["plate"] for r in rows) - min(r["plate"] for r in rows) < 0.01


def test_only_frames_that_both_sides_show_are_judged():
    def views(side, *frames):
        return iter([(frame, f"{side}{frame}") for frame in frames])

    both = list(_pairs(views("p", 0, 1, 2, 5, 9), views("t", 1, 2, 3, 4, 5, 8)))
    assert both == [(1, "p1", "t1"), (2, "p2", "t2"), (5, "p5", "t5")]
    assert list(_pairs(views("p", 1), views("t"))) == list(_pairs(views("p"), views("t", 1))) == []


def test_truth_without_a_common_frame_is_refused(chain, faceless, judge):
    with pytest.raises(NoFaceError, match="share no frame"):
        judge(chain.faceset(faceless, "b"))
