import json

import pytest

from benchmarks.claims import (
    CONDITIONS,
    FAILS,
    HOLDS,
    NETWORKS,
    OPEN,
    REFERENCE,
    against,
    fails_to_swap,
    speed_up,
    spread,
    steps_to,
    table,
    verdicts,
)

GOOD = {"swap_error": 0.03, "transfer": 0.9, "residual": 0.3, "mean_face_residual": 0.4, "reconstruction_error": 0.02}


def row(variant, seed, at="steps", conditions="plain", **figures):
    names = {"pair": "1-2", "conditions": conditions, "variant": variant, "seed": seed, "at": at}
    shown = {"steps": 400, "cpu_seconds": 40.0, "swap_over_mean_face": 0.7, "sharpness_to_truth": 0.5}
    return {**names, **shown, **GOOD, **figures}


def of_each_seed(variant, errors, **figures):
    return [row(variant, seed, swap_error=error, **figures) for seed, error in enumerate(errors)]


def said(rows, claim, says, conditions="plain"):
    (found,) = (
        v
        for v in verdicts(rows)
        if (v["claim"], v["conditions"], v["equal"]) == (claim, conditions, "steps") and v["says"].startswith(says)
    )
    return found


def test_a_ratio_above_one_in_every_training_holds():
    assert spread([1.10, 1.12, 1.11]).verdict == HOLDS
    assert spread([1 / 1.10, 1 / 1.12, 1 / 1.11]).verdict == FAILS


def test_an_interval_that_includes_one_decides_nothing():
    assert spread([1.3, 0.9, 1.1]).verdict == OPEN
    assert spread([2.0]).verdict == OPEN  # one training has no spread


def test_three_trainings_are_spread_as_students_t_has_it():
    found = spread([0.5, 1.0, 2.0])
    assert found.mean == pytest.approx(1.0)
    assert found.high == pytest.approx(2 ** (4.302653 / 3**0.5))
    assert found.low == pytest.approx(1 / found.high)


def test_no_training_at_all_is_an_error():
    with pytest.raises(ValueError, match="run the trainings"):
        spread([])


@pytest.mark.parametrize(("figures", "fails"), [({}, False), ({"transfer": 0.4}, True), ({"residual": 0.5}, True)])
def test_a_swap_fails_by_little_transfer_or_by_more_residual_than_the_mean_face(figures, fails):
    assert (fails_to_swap(GOOD | figures) > 1) is fails


def test_a_swap_that_went_away_from_the_truth_fails():
    assert fails_to_swap(GOOD | {"transfer": -0.2}) > 1


def test_an_error_is_reached_between_two_judged_steps():
    curve = [(100, 0.08), (200, 0.06), (400, 0.04)]
    assert steps_to(0.05, curve) == pytest.approx(300)
    assert steps_to(0.09, curve) == 100
    with pytest.raises(ValueError, match="not reached"):
        steps_to(0.03, curve)


def test_variants_are_compared_within_each_pair_and_seed():
    rows = [*of_each_seed("one", [0.02, 0.04]), *of_each_seed("two", [0.01, 0.08]), row("one", 7), row("two", 8)]
    ratios = against(rows, {"variant": "one"}, {"variant": "two"}, lambda a, b: a["swap_error"] / b["swap_error"])
    assert ratios == pytest.approx([2.0, 0.5])


def test_the_error_that_speed_is_judged_by_is_one_that_both_reach():
    fast = [row("fast", 0, "curve", steps=s, swap_error=e) for s, e in ((100, 0.05), (200, 0.03))]
    slow = [row("slow", 0, "curve", steps=s, swap_error=e) for s, e in ((100, 0.08), (200, 0.05))]
    assert speed_up([*slow, *fast], "plain", "swap_error", "fast", "slow") == pytest.approx([2.0])
    assert speed_up([*slow, *fast], "plain", "swap_error", "slow", "fast") == pytest.approx([0.5])
    assert speed_up([*slow, *fast], "ours", "swap_error", "fast", "slow") == []


def test_a_network_that_keeps_the_plate_is_said_to_fail():
    reference = of_each_seed(REFERENCE, [0.030, 0.031, 0.032])
    keeps = of_each_seed("no bottleneck", [0.060, 0.061, 0.066], transfer=0.2, reconstruction_error=0.01)
    rows = [*reference, *keeps]
    assert said(rows, "no dense layer", "it cannot swap")["verdict"] == HOLDS
    assert said(rows, "no dense layer", "its swap error")["mean"] == pytest.approx(2.01, abs=0.01)
    assert said(rows, "no dense layer", "it redraws")["verdict"] == HOLDS


def test_a_network_that_swaps_as_well_as_the_reference_is_not_said_to_fail():
    reference = of_each_seed(REFERENCE, [0.030, 0.031, 0.032])
    rows = [*reference, *of_each_seed("resize", [0.031, 0.030, 0.032])]
    assert said(rows, "resize for PixelShuffle", "it cannot swap")["verdict"] == FAILS
    assert said(rows, "resize for PixelShuffle", "its swap error")["verdict"] == OPEN


def test_conditions_are_judged_apart():
    rows = [*of_each_seed(REFERENCE, [0.03, 0.03, 0.03]), *of_each_seed("resize", [0.05, 0.051, 0.052])]
    assert {v["conditions"] for v in verdicts(rows)} == {"plain"}
    assert set(CONDITIONS) > {"plain"}


def test_every_network_is_spoken_of_and_every_verdict_is_json():
    rows = [r for name in NETWORKS for r in of_each_seed(name, [0.03, 0.04, 0.05])]
    found = verdicts(rows)
    assert len({v["claim"] for v in found}) == len(NETWORKS)
    assert json.loads(json.dumps(found)) == found


def test_a_single_training_is_told_without_an_interval():
    found = said([row(REFERENCE, 0)], "the reference itself", "it cannot swap")
    assert (found["low"], found["high"], found["verdict"]) == (None, None, OPEN)
    assert "Infinity" not in json.dumps(found)


def test_equal_seconds_stand_in_the_table_where_they_gave_more_steps():
    rows = [row(REFERENCE, 0), row(REFERENCE, 0, "cpu"), row("resize", 0), row("resize", 0, "cpu", steps=460)]
    assert [line.split(" | ")[1:4] for line in table(rows)[2:]] == [
        [REFERENCE, "steps", "400"],
        ["resize", "steps", "400"],
        ["resize", "cpu", "460"],
    ]


def test_the_table_has_a_line_for_each_variant_with_its_spread():
    rows = [*of_each_seed(REFERENCE, [0.03, 0.04, 0.05]), row(REFERENCE, 0, "curve", swap_error=9.0)]
    lines = table(rows)
    assert len(lines) == 3
    assert "0.0400 ± 0.0100" in lines[-1]
