from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from faceswap_core.models.chips import to_network
from faceswap_core.models.faces import Chips, Side


def same(one, two):
    pairs = [(getattr(one, f.name), getattr(two, f.name)) for f in fields(one)]
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


def test_batch_of_a_step_is_a_function_of_the_step_alone(sampler):
    wanted = sampler.draw(5)
    for step in (0, 9, 4):
        sampler.draw(step)
    assert same(sampler.draw(5), wanted)
    assert same(replace(sampler).draw(5), wanted)
    assert not same(sampler.draw(6), wanted)
    assert not same(replace(sampler, seed=4).draw(5), wanted)


def test_batches_drawn_ahead_are_those_of_their_steps(sampler):
    given = dict(sampler.batches(3, 7))
    assert list(given) == [3, 4, 5, 6]
    assert all(same(batch, sampler.draw(step)) for step, batch in given.items())


@pytest.mark.parametrize(("first", "end"), [(0, 0), (5, 5), (5, 3)])
def test_no_steps_draw_nothing(sampler, first, end):
    assert list(sampler.batches(first, end)) == []


def test_leaving_early_stops_the_drawing(sampler):
    import threading

    steps = sampler.batches(0, 1000)
    next(steps)
    steps.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("augment")]


def test_shapes_and_range(sampler):
    batch = sampler.draw(0)
    for side in "ab":
        assert getattr(batch, f"input_{side}").shape == (4, 3, 64, 64)
        target = getattr(batch, f"target_{side}")
        assert target.shape == (4, 6, 64, 64)
        assert target.min() >= 0
        assert target.max() <= 1


def test_dropout_keeps_the_mean_of_the_latent_vectors(sampler):
    keep = replace(sampler, batch=200, latent=50, dropout=0.2).draw(0).keep
    assert keep.shape == (400, 50)
    assert keep.unique().tolist() == pytest.approx([0, 1.25])
    assert keep.mean() == pytest.approx(1, abs=0.02)
    assert replace(sampler, dropout=0.0).draw(0).keep is None


def test_sides_are_not_mixed_up(sampler):
    def flat(value):
        chips = np.full((3, 96, 96, 6), value, np.uint8)
        return Side(Chips.of(chips), Chips.of(chips), np.ones(3), np.zeros(3))

    how = replace(sampler.how, light=0, color=0)
    batch = replace(sampler, a=flat(51), b=flat(204), how=how).draw(0)
    torch.testing.assert_close(batch.input_a, torch.full_like(batch.input_a, 0.2))
    torch.testing.assert_close(batch.target_b, torch.full_like(batch.target_b, 0.8))


def test_colours_go_to_the_common_space_and_the_mask_does_not():
    views = np.full((1, 2, 2, 4), 100, np.float32)
    out = to_network(views, np.array([1.0, 2.0, 0.5]), np.array([10.0, 0.0, -50.0]))
    assert out[0, :, 0, 0].tolist() == pytest.approx([110 / 255, 200 / 255, 0, 100 / 255])


def test_light_falls_alike_on_input_and_target_and_not_on_the_mask(sampler):
    flat = np.full((3, 96, 96, 6), 100, np.uint8)
    side = Side(Chips.of(flat), Chips.of(flat), np.ones(3), np.zeros(3))
    batch = replace(sampler, a=side, b=side).draw(0)
    assert batch.input_a.std() > 0.02
    torch.testing.assert_close(batch.input_a.clamp(0, 1), batch.target_a[:, :3])
    assert batch.target_a[:, 3].unique().tolist() == pytest.approx([100 / 255])


def test_held_out_faces_are_undisturbed_and_evenly_spread(sampler):
    chips = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 96, 96, 6), np.uint8)
    side = Side(Chips.of(chips), Chips.of(chips), np.ones(3), np.zeros(3))
    views = sampler.held_out(side, 5)
    assert (views[:, 0, 0, 0] * 255).round().tolist() == [0, 25, 50, 74, 99]
    assert sampler.held_out(side).shape == (64, 6, 64, 64)
    assert len(sampler.held_out(sampler.a)) == 3


def test_without_held_out_faces_there_are_no_views(sampler):
    empty = replace(sampler.a, held_out=Chips.of([]))
    assert sampler.held_out(empty).shape == (0, 6, 64, 64)
