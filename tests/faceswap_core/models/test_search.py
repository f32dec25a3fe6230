import itertools
from dataclasses import replace

import pytest
import torch
from test_loop import fresh

from faceswap_core.models import search
from faceswap_core.models.search import find_batch, find_rate


def test_rate_found_is_below_the_one_that_blows_up(sampler):
    rate, trials = find_rate(fresh(), sampler, steps=40)
    assert trials[0].rate == pytest.approx(1e-6)
    assert all(b.rate > a.rate for a, b in itertools.pairwise(trials))
    assert any(rate == pytest.approx(trial.rate / 10) for trial in trials)
    assert 1e-6 < rate < 0.1


@pytest.mark.parametrize("lucky", [0.3, 0.1])
def test_a_lucky_first_batch_is_not_taken_for_the_best_rate(sampler, lucky):
    """Learning is best at step 29, and falls apart after it."""
    losses = [lucky] + 19 * [1.0] + 10 * [0.2] + 10 * [50.0]

    class Scripted:
        def train_step(self, batch, rate):
            return dict.fromkeys("ab", torch.tensor(losses.pop(0) / 2))

    rate, trials = find_rate(Scripted(), sampler, steps=40)
    assert len(trials) == 31, "the search ends where it falls apart"
    assert rate == pytest.approx(trials[29].rate / 10)


def test_batch_grows_while_it_pays_and_memory_holds_it(sampler, monkeypatch):
    speeds = {4: 100.0, 8: 180.0, 16: 300.0, 32: None}
    monkeypatch.setattr(search, "_speed", lambda build, sampler, steps: speeds[sampler.batch])
    batch, trials = find_batch(fresh, sampler)
    assert (batch, [t.batch for t in trials]) == (16, [4, 8, 16, 32])
    speeds[16] = 185.0
    assert find_batch(fresh, sampler)[0] == 16
    assert [t.batch for t in find_batch(fresh, sampler)[1]] == [4, 8, 16]


def test_batch_that_memory_does_not_hold_has_no_speed(sampler):
    class Full:
        device = torch.device("cpu")

        def train_step(self, batch):
            raise torch.OutOfMemoryError("full")

    assert search._speed(Full, replace(sampler, batch=2), 1) is None
    assert search._speed(fresh, replace(sampler, batch=2), 1) > 0
