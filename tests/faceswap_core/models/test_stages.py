import pytest

from faceswap_core.models.stages import STAGES, exchange_step, stage_at


def test_stages_follow_each_other_as_their_source_says():
    found = {step: stage_at(step, 1000) for step in (0, 199, 200, 300, 400, 500, 667, 800, 900, 5000)}
    assert [s.hinge for s in found.values()] == [None, None, None, 0.5, 0.2, 0.4, None, 0.1, None, None]
    assert [s.rate for s in found.values()] == [1, 1, 1, 1, 1, 1, 0.3, 0.3, 0.1, 0.1]
    assert [s.perceptual for s in found.values()] == [False, False, *[True] * 8]
    assert [s.exchanged for s in found.values()] == [*[False] * 7, True, True, True]
    assert exchange_step(1000) == 800


def test_alpha_is_asked_for_by_a_hinge_or_by_its_mean_never_both():
    for stage in STAGES:
        assert stage.counts("alpha_hinge") != stage.counts("alpha_mean")
        assert stage.counts("l1")


@pytest.mark.parametrize("steps", [1, 2, 7, 1400])
def test_every_step_has_a_stage_however_short_the_training(steps):
    assert all(stage_at(step, steps) in STAGES for step in range(steps + 2))
