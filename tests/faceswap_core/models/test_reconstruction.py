"""What each network learns by, and that every one of them resumes bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import test_loop
import torch

from faceswap_core.config_network import MODEL_DEFAULTS
from faceswap_core.models import MODELS, Build, loop
from faceswap_core.models.checkpoint import Store
from faceswap_core.models.loop import Trainer, train
from faceswap_core.models.reconstruction import DISCRIMINATORS
from faceswap_core.types import no_progress

CPU = torch.device("cpu")
RECIPE = replace(test_loop.RECIPE, ema=0.9)


@pytest.fixture(autouse=True)
def few_batches_to_settle_by(monkeypatch):
    monkeypatch.setattr(loop, "_SETTLING_BATCHES", 2)


def recipe_of(model):
    """Its own losses; a code as long as what the sampler drops of; the stages of an adversary within six steps."""
    losses = {**RECIPE.losses, **MODEL_DEFAULTS[model].get("losses", {})}
    build = Build(64, 8 if model == "fakeapp_cnn" else 2 if model == "gan" else 4, 8)
    return replace(RECIPE, model=model, losses=losses, build=build, schedule_steps=6 if model == "gan" else None)


def run(trainer, sampler, iterations, folder):
    train(trainer, sampler, iterations=iterations, checkpoint_every=100, store=Store(folder), progress=no_progress)


def state(trainer):
    modules = {"network": trainer.network, "ema": trainer.ema, "objective": trainer.objective}
    found = {f"{name}.{k}": v for name, module in modules.items() for k, v in module.state_dict().items()}
    for turn, parameters in trainer.trained.items():
        for name, parameter in parameters.items():
            found |= {f"{turn}.{name}.{k}": v for k, v in trainer.optimizers[turn].state[parameter].items()}
    return {k: v.detach().clone() for k, v in found.items()}


@pytest.mark.parametrize("model", MODELS)
class TestEveryModel:
    def test_four_steps_and_four_more_equal_eight_bit_for_bit(self, model, sampler, tmp_path):
        straight, first, resumed = (Trainer(recipe_of(model), CPU) for _ in range(3))
        run(straight, sampler, 8, tmp_path / "straight")
        run(first, sampler, 4, tmp_path / "parts")
        resumed.restore(Store(tmp_path / "parts"))
        run(resumed, sampler, 8, tmp_path / "parts")
        one, other = state(resumed), state(straight)
        assert one.keys() == other.keys()
        assert [k for k in one if not torch.equal(one[k], other[k])] == []

    def test_its_loss_falls(self, model, sampler):
        trainer = Trainer(replace(recipe_of(model), learning_rate=3e-3, schedule_steps=None), CPU)
        batch = sampler.draw(0)
        shown = [trainer.train_step(batch) for _ in range(30)]
        losses = [float(s["a"] + s["b"]) for s in shown]
        assert np.mean(losses[-5:]) < np.mean(losses[:5])


class TestLosses:
    def test_total_is_the_weighted_sum_over_both_sides(self, sampler):
        trainer = Trainer(replace(RECIPE, losses={"l1": 2.0, "ssim": 0.5}), CPU)
        loss = trainer.objective.loss("network", trainer.network, sampler.draw(0), 0)
        shown = loss.shown
        assert loss.minimise.detach() == pytest.approx(2 * (2.0 * float(shown["l1"]) + 0.5 * float(shown["ssim"])))
        assert shown["a"] + shown["b"] == pytest.approx(2 * float(shown["l1"]))

    @torch.no_grad()
    def test_coarser_pictures_count_half_as_much_for_each_halving(self, sampler):
        recipe = replace(recipe_of("modulated"), losses={"l1": 1.0})
        trainer = Trainer(recipe, CPU)
        batch = sampler.draw(0)
        drawn = trainer.network.reconstruct(batch.input_a, batch.input_b, batch.keep)
        sides = [
            trainer.objective._side(views, batch.input_a, target, drawn.raw, side)
            for side, (views, target) in enumerate(((drawn.a, batch.target_a), (drawn.b, batch.target_b)))
        ]
        assert [s.made.shape[-1] for s in sides[0]] == [64, 32, 16]
        parts = [float(((s.made - s.target).abs() * s.weight).sum() / (s.weight.sum() * 3)) for s in sides[0]]
        value = trainer.objective._value("l1", sides[0])
        assert value == pytest.approx(parts[0] + parts[1] / 2 + parts[2] / 4, rel=1e-5)

    @pytest.mark.parametrize("name", ["mse", "ms_ssim", "laplacian", "focal_frequency", "latent", "alpha_variation"])
    def test_every_loss_can_be_added_to_every_other(self, name, sampler):
        trainer = Trainer(replace(RECIPE, losses={**RECIPE.losses, name: 0.1}), CPU)
        assert name in trainer.train_step(sampler.draw(0))


class TestAdversary:
    @pytest.fixture
    def trainer(self):
        return Trainer(replace(recipe_of("original"), losses={"l1": 1.0, "adversarial": 0.1}), CPU)

    def test_network_and_discriminators_step_in_turns_of_their_own(self, trainer, sampler):
        before = state(trainer)
        trainer.train_step(sampler.draw(0))
        after = state(trainer)
        assert {k.split(".")[0] for k in after} == {"network", "ema", "objective", DISCRIMINATORS}
        learned = [k for k in before if "adversary" in k and not torch.equal(before[k], after[k])]
        assert len(learned) > 10

    def test_discriminators_step_size_is_a_multiple_of_the_networks(self, trainer, sampler):
        trainer.train_step(sampler.draw(0))
        rates = {turn: optimizer.param_groups[0]["lr"] for turn, optimizer in trainer.optimizers.items()}
        assert rates == {"network": 1e-3, DISCRIMINATORS: 2e-3}

    def test_network_learns_to_pass_for_real(self, sampler):
        batch, steps = sampler.draw(0), {}
        for weight in (0.0, 10.0):
            recipe = replace(recipe_of("original"), losses={"l1": 1.0, "adversarial": weight})
            trainer = Trainer(recipe, CPU)
            trainer.train_step(batch)
            steps[weight] = trainer.network.encoder.squeeze.weight.detach().clone()
        assert not torch.equal(steps[0.0], steps[10.0])

    def test_accumulated_parts_are_judged_one_by_one(self, sampler):
        recipe = replace(recipe_of("original"), losses={"l1": 1.0, "adversarial": 0.1}, accumulate=2)
        trainer = Trainer(recipe, CPU)
        trainer.train_step(sampler.draw(0))
        assert trainer.objective._judged == []


class TestStages:
    def test_decoders_are_exchanged_once_and_averaging_begins_again(self, sampler):
        trainer = Trainer(replace(recipe_of("gan"), learning_rate=1e-12, ema=0.999), CPU)
        batch = sampler.draw(0)
        first = [p.detach().clone() for p in trainer.network.decoders[0].parameters()]
        for step in range(6):
            trainer.train_step(batch)
            mine, averaged = (list(n.decoders[step >= 5].parameters()) for n in (trainer.network, trainer.ema))
            assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(first, mine, strict=True)), step
            assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(first, averaged, strict=True)), step
        assert trainer.objective.averaged_since == 5

    def test_steps_are_smaller_in_the_last_stages(self, sampler):
        trainer = Trainer(recipe_of("gan"), CPU)
        rates = []
        for step in range(7):
            trainer.train_step(sampler.draw(step))
            rates.append(trainer.optimizers["network"].param_groups[0]["lr"])
        assert rates == pytest.approx([1e-3] * 4 + [3e-4] + [1e-4] * 2)
