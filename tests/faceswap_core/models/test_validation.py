from dataclasses import replace

import numpy as np
import pytest
import torch
from test_loop import fresh

from faceswap_core.errors import ManifestError
from faceswap_core.models.augment import plain_views
from faceswap_core.models.checkpoint import Store
from faceswap_core.models.chips import to_network
from faceswap_core.models.faces import Chips
from faceswap_core.models.loop import train
from faceswap_core.models.meter import LogRow, stale
from faceswap_core.models.validation import Validation
from faceswap_core.types import no_progress


class Painter:
    """Stands in for a network: draws what it is told, whatever it is given."""

    def __init__(self, draw):
        self.draw = draw

    def __call__(self, x, source, target):
        colors = self.draw(x, source, target)
        return torch.cat([colors, torch.ones_like(colors[:, :1])], 1)


@pytest.fixture
def sides(sampler):
    """A and B held out, and B as learnt, as views (M, 3, 64, 64)."""
    learnt = plain_views(sampler.b.chips.joined(slice(None)), resolution=64, coverage=sampler.coverage)
    views = (
        sampler.held_out(sampler.a),
        sampler.held_out(sampler.b),
        to_network(learnt, sampler.b.scale, sampler.b.shift),
    )
    return [view[:, :3] for view in views]


def judged(sampler, draw, look=None):
    return Validation(sampler, look, torch.device("cpu"), torch.float32).judge(Painter(draw))


class TestFigures:
    def test_a_network_that_changes_nothing_redraws_and_returns_but_looks_like_nobody_of_b(self, sampler):
        found = judged(sampler, lambda x, *_: x)
        assert found["validation_a"] == pytest.approx(0, abs=1e-6)
        assert found["cycle"] == pytest.approx(0, abs=1e-6)
        assert found["likeness"] > 0.05

    def test_a_network_that_draws_one_face_of_b_is_like_b_and_loses_a(self, sampler, sides):
        one = sides[2][4:5]
        found = judged(sampler, lambda x, *_: one.expand(len(x), -1, -1, -1))
        assert found["likeness"] == pytest.approx(0, abs=1e-6)
        assert found["cycle"] > 0.1

    def test_likeness_grows_with_what_is_added_to_a_face_of_b(self, sampler, sides):
        def with_noise(amount):
            faces = sides[2][:3] + amount * torch.sign(torch.randn(3, 3, 8, 8)).repeat_interleave(
                8, 2
            ).repeat_interleave(8, 3)
            return judged(sampler, lambda x, *_: faces)["likeness"]

        torch.manual_seed(0)
        assert with_noise(0.02) == pytest.approx(0.02, rel=0.1)
        assert with_noise(0.06) == pytest.approx(0.06, rel=0.1)

    def test_only_the_face_counts(self, sampler, sides):
        masks = sampler.held_out(sampler.a)[:, 3:4]
        found = judged(sampler, lambda x, s, t: x + (1 - (masks[: len(x)] > 0).float()) * (0.3 if t == 0 else 0.0))
        assert found["validation_a"] == pytest.approx(0, abs=1e-6)
        assert found["cycle"] == pytest.approx(0, abs=1e-6)

    def test_without_held_out_faces_of_a_nothing_is_swapped(self, sampler):
        found = judged(replace(sampler, a=replace(sampler.a, held_out=Chips.of([]))), lambda x, *_: x)
        assert set(found) == {"validation_b"}


@pytest.fixture
def smooth(sampler):
    """The same with held-out faces of A that vary slowly, their masks a disc."""
    y, x = np.mgrid[:96, :96]
    waves = [128 + 80 * np.sin(x / 11 + k) * np.cos(y / 7 + k) for k in range(3)]
    chip = np.dstack([*waves, np.zeros((96, 96, 3))]).astype(np.uint8)
    chip[..., 3] = 255 * (np.hypot(x - 44, y - 50) < 25)
    return replace(sampler, a=replace(sampler.a, held_out=Chips.of([chip, chip[:, ::-1]])))


class TestLook:
    @staticmethod
    def shown(sampler, draw):
        both = []
        found = judged(sampler, draw, lambda *chips: both.extend(chips) or {"landmarks": 0.25})
        assert found["landmarks"] == 0.25
        return both

    def test_a_face_that_is_drawn_as_it_was_lies_where_it_lay(self, smooth):
        before, after = self.shown(smooth, lambda x, *_: x)
        assert np.array_equal(before, smooth.a.held_out.colors[..., :3])
        off = np.abs(after.astype(float) - before)
        moved = np.abs(np.roll(before, 1, axis=2).astype(float) - before)
        within = smooth.a.held_out.colors[..., 3] > 0
        assert off[within].mean() < 0.15 * moved[within].mean()

    def test_outside_the_mask_nothing_is_laid(self, smooth):
        before, after = self.shown(smooth, lambda x, *_: torch.zeros_like(x))
        bare = smooth.a.held_out.colors[..., 3] == 0
        assert np.array_equal(before[bare], after[bare])
        assert (np.abs(after.astype(int) - before)[~bare].max(-1) > 5).mean() > 0.9


class TestChosen:
    def test_the_best_one_can_draw_while_training_goes_on_from_the_latest(self, sampler, tmp_path):
        trainer, store = fresh(), Store(tmp_path, keep_last=1, keep_best=1)
        kept = {}
        for step, score in enumerate([0.5, 0.2, 0.3], start=1):
            trainer.train_step(sampler.draw(step))
            trainer.log = [LogRow(step, cycle=score, likeness=0.0)]
            trainer.save(store)
            kept[step] = {k: v.clone() for k, v in trainer.ema.state_dict().items()}
        trainer.take(store.best(), store)
        assert trainer.step == 2
        assert trainer.log[-1].event == "of 3 steps the checkpoint after 2 draws: its score is the best"
        assert all(torch.equal(v, kept[2][k]) for k, v in trainer.ema.state_dict().items())
        again = fresh()
        assert again.restore(store)
        assert again.step == 3
        assert all(torch.equal(v, kept[3][k]) for k, v in again.ema.state_dict().items())

    def test_an_altered_best_one_is_named(self, sampler, tmp_path):
        trainer, store = fresh(), Store(tmp_path, keep_last=1, keep_best=1)
        for step, score in enumerate([0.2, 0.5], start=1):
            trainer.train_step(sampler.draw(step))
            trainer.log = [LogRow(step, cycle=score, likeness=0.0)]
            trainer.save(store)
        (tmp_path / "step-00000001.safetensors").write_bytes(b"0")
        with pytest.raises(ManifestError, match=r"step-00000001.*train.choose = 'last'"):
            trainer.take(store.best(), store)

    def test_without_scores_there_is_no_best_one(self, sampler, tmp_path):
        trainer, store = fresh(), Store(tmp_path)
        assert store.best() is None
        trainer.train_step(sampler.draw(0))
        trainer.save(store)
        assert store.best() is None


class TestPatience:
    def test_training_without_a_better_checkpoint_ends_and_stays_ended(self, sampler, tmp_path):
        def trained(trainer, iterations, patience):
            how = {"checkpoint_every": 4, "store": Store(tmp_path), "progress": no_progress, "patience": patience}
            train(trainer, sampler, iterations=iterations, **how)
            return trainer.step

        first, again = fresh(), fresh()
        first.log = [LogRow(0, cycle=0.0, likeness=0.0)]  # no network is as good
        assert trained(first, 50, patience=3) == 12
        assert first.log[-1].event == "3 checkpoints without a better score: ended at step 12 of 50"
        assert again.restore(Store(tmp_path))
        assert trained(again, 50, patience=3) == 12
        assert trained(again, 14, patience=0) == 14

    @pytest.mark.parametrize(
        ("scores", "after"),
        [([], 0), ([3.0], 0), ([3.0, 2.0, 1.0], 0), ([1.0, 2.0, None, 3.0], 2), ([2.0, 1.0, 1.0], 1)],
    )
    def test_checkpoints_after_the_best_are_counted(self, scores, after):
        assert stale([LogRow(i, cycle=x, likeness=x and 0.0) for i, x in enumerate(scores)]) == after


def test_judging_leaves_the_next_steps_as_they_are(sampler, tmp_path):
    often, once = fresh(), fresh()
    for trainer, every in ((often, 2), (once, 6)):
        store = Store(tmp_path / str(every))
        train(trainer, sampler, iterations=6, checkpoint_every=every, store=store, progress=no_progress)
    assert all(torch.equal(a, b) for a, b in zip(often.network.parameters(), once.network.parameters(), strict=True))
    assert [row.step for row in often.log if row.score is not None] == [2, 4, 6]


def test_a_picture_on_the_way_is_drawn_by_settled_statistics(sampler, tmp_path):
    trainer, seen = fresh(), []

    def look(row):
        before = {k: v.clone() for k, v in trainer.ema.state_dict().items()}
        trainer.settle(sampler)
        seen.append((row.step, all(torch.equal(v, before[k]) for k, v in trainer.ema.state_dict().items())))

    train(
        *(trainer, sampler),
        **{"iterations": 101, "checkpoint_every": 1000, "store": Store(tmp_path), "progress": no_progress},
        seen=look,
    )
    assert seen == [(100, True), (101, True)]
