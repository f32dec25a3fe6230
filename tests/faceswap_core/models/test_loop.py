import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from faceswap_core.errors import DivergedError, ManifestError, SettingsError
from faceswap_core.models import Build, alignment
from faceswap_core.models.checkpoint import POINTER, Store, load_weights, save_weights
from faceswap_core.models.faces import Chips
from faceswap_core.models.loop import Trainer, build_network, diverged, train
from faceswap_core.models.meter import LogRow, Meter
from faceswap_core.models.optimizers import rate_share
from faceswap_core.models.preview import preview_views
from faceswap_core.models.recipe import Recipe
from faceswap_core.models.reconstruction import importance_of
from faceswap_core.storage import sha256_file
from faceswap_core.types import no_progress

RECIPE = Recipe(
    model="original",
    build=Build(resolution=64, width=4, latent=8),
    learning_rate=1e-3,
    ema=0.995,
    precision="fp32",
    losses={"l1": 1.0, "edge": 1.0, "alpha": 0.1, "match": 0.2},
    mask_weight=1.0,
    eye_weight=3.0,
    mouth_weight=3.0,
    seed=0,
    color_mean=(0.6, 0.5, 0.4),
    color_std=(0.2, 0.2, 0.1),
)
WIDER = replace(RECIPE, build=Build(resolution=64, width=8, latent=8))


def fresh(**changes):
    return Trainer(replace(RECIPE, **changes), torch.device("cpu"))


def weighing(**losses):
    return fresh(losses={**RECIPE.losses, **losses})


def run(trainer, sampler, iterations, folder, every=1000, progress=no_progress):
    saves = []

    class Watched(Store):
        def save(self, modules, moments, facts, score):
            saves.append(facts["step"])
            super().save(modules, moments, facts, score)

    train(trainer, sampler, iterations=iterations, checkpoint_every=every, store=Watched(folder), progress=progress)
    return saves


def state(trainer):
    """Everything that the next step depends on."""
    tensors = {f"network.{k}": v for k, v in trainer.network.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in trainer.ema.state_dict().items()}
    tensors |= {f"objective.{k}": v for k, v in trainer.objective.state_dict().items()}
    for turn, parameters in trainer.trained.items():
        for name, parameter in parameters.items():
            moments = trainer.optimizers[turn].state[parameter]
            tensors |= {f"{turn}.{name}.{k}": v for k, v in moments.items()}
    return {k: v.detach().clone() for k, v in tensors.items()}


def few_steps(sampler, steps):
    """A trainer in float64 after some steps, with latent vectors matched from the third on."""
    alignment._REMEMBERED = 8
    trainer = fresh(precision="fp64", losses={**RECIPE.losses, "match": 2.0})
    for step in range(steps):
        trainer.train_step(sampler.draw(step))
    trainer.settle(sampler)
    return trainer


def assert_equal_states(one, two):
    assert one.keys() == two.keys()
    different = [name for name in one if not torch.equal(one[name], two[name])]
    assert different == []


class TestResume:
    def test_restored_state_is_the_saved_one_bit_for_bit(self, sampler, tmp_path):
        trainer = fresh()
        run(trainer, sampler, 4, tmp_path)
        other = fresh()
        other.restore(Store(tmp_path))
        assert other.step == 4
        assert other.log == trainer.log
        assert_equal_states(state(other), state(trainer))

    def test_six_steps_and_six_more_equal_twelve_bit_for_bit(self, sampler, tmp_path):
        straight = fresh()
        run(straight, sampler, 12, tmp_path / "straight")
        run(fresh(), sampler, 6, tmp_path / "parts")
        resumed = fresh()
        resumed.restore(Store(tmp_path / "parts"))
        run(resumed, sampler, 12, tmp_path / "parts")
        assert resumed.step == straight.step == 12
        assert_equal_states(state(resumed), state(straight))

    def test_remembered_latent_vectors_come_back_too(self, sampler, tmp_path, monkeypatch):
        monkeypatch.setattr(alignment, "_REMEMBERED", 8)
        straight, unmatched = weighing(match=5.0), weighing(match=0.0)
        run(straight, sampler, 6, tmp_path / "straight")
        run(unmatched, sampler, 6, tmp_path / "unmatched")
        run(weighing(match=5.0), sampler, 3, tmp_path / "parts")
        resumed = weighing(match=5.0)
        resumed.restore(Store(tmp_path / "parts"))
        run(resumed, sampler, 6, tmp_path / "parts")
        assert_equal_states(state(resumed), state(straight))
        assert not torch.equal(straight.network.encoder.squeeze.weight, unmatched.network.encoder.squeeze.weight)

    def test_saving_on_the_way_changes_nothing(self, sampler, tmp_path):
        one, two = fresh(), fresh()
        run(one, sampler, 6, tmp_path / "one")
        assert run(two, sampler, 6, tmp_path / "two", every=2) == [2, 4, 6]
        assert_equal_states(state(one), state(two))

    def test_without_a_checkpoint_it_begins_at_the_beginning(self, tmp_path):
        trainer = fresh()
        before = state_of_weights(trainer)
        trainer.restore(Store(tmp_path))
        assert trainer.step == 0
        assert_equal_states(state_of_weights(trainer), before)

    def test_finished_training_is_left_alone(self, sampler, tmp_path):
        trainer = fresh()
        run(trainer, sampler, 4, tmp_path)
        before = state(trainer)
        assert run(trainer, sampler, 4, tmp_path) == []
        assert_equal_states(state(trainer), before)


def state_of_weights(trainer):
    return {k: v.detach().clone() for k, v in trainer.network.state_dict().items()}


class TestCheckpointFiles:
    @pytest.fixture
    def folder(self, sampler, tmp_path):
        run(fresh(), sampler, 2, tmp_path)
        return tmp_path

    def latest(self, folder):
        return folder / json.loads((folder / POINTER).read_text())["file"]

    @pytest.mark.parametrize("change", [{"log": None}, {"log": [{"mood": 1}]}, {"rollbacks": "many"}, {"step": []}])
    def test_a_pointer_that_says_nothing_usable_is_named(self, folder, change):
        pointer = json.loads((folder / POINTER).read_text())
        (folder / POINTER).write_text(json.dumps({**pointer, **change}))
        with pytest.raises(ManifestError, match="remove"):
            fresh().restore(Store(folder))

    def test_altered_file_is_refused(self, folder):
        data = bytearray(self.latest(folder).read_bytes())
        data[-1] ^= 1
        self.latest(folder).write_bytes(data)
        with pytest.raises(ManifestError, match="altered"):
            fresh().restore(Store(folder))

    def test_missing_file_is_refused(self, folder):
        self.latest(folder).unlink()
        with pytest.raises(ManifestError, match="missing"):
            fresh().restore(Store(folder))

    def point_at(self, folder, data):
        self.latest(folder).write_bytes(data)
        facts = json.loads((folder / POINTER).read_text())
        facts["sha256"] = sha256_file(self.latest(folder))
        (folder / POINTER).write_text(json.dumps(facts))

    def test_pickle_by_the_name_of_a_checkpoint_is_never_run(self, folder, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        self.point_at(folder, pickle.dumps(Trap()))
        with pytest.raises(ManifestError):
            fresh().restore(Store(folder))
        assert not (tmp_path / "sprung").exists()

    def test_checkpoint_of_another_network_is_refused(self, folder):
        with pytest.raises(ManifestError):
            Trainer(WIDER, torch.device("cpu")).restore(Store(folder))

    def test_checkpoint_without_moments_is_refused(self, folder):
        only = {f"network.{k}": v.contiguous() for k, v in fresh().network.state_dict().items()}
        only |= {k.replace("network.", "ema."): v.clone() for k, v in only.items()}
        save_file(only, folder / "other.safetensors")
        self.point_at(folder, (folder / "other.safetensors").read_bytes())
        with pytest.raises(ManifestError):
            fresh().restore(Store(folder))

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"step": 1}'])
    def test_pointer_that_is_no_pointer_is_refused(self, folder, text):
        (folder / POINTER).write_text(text)
        with pytest.raises(ManifestError):
            fresh().restore(Store(folder))

    def test_pointer_out_of_its_folder_is_refused(self, folder):
        facts = json.loads((folder / POINTER).read_text())
        outside = folder.parent / "outside.safetensors"
        outside.write_bytes(self.latest(folder).read_bytes())
        (folder / POINTER).write_text(json.dumps({**facts, "file": "../outside.safetensors"}))
        with pytest.raises(ManifestError):
            fresh().restore(Store(folder))

    def test_last_two_files_are_kept(self, sampler, tmp_path):
        run(fresh(), sampler, 6, tmp_path / "f", every=2)
        kept = sorted(p.name for p in (tmp_path / "f").iterdir())
        assert kept == [POINTER, "step-00000004.safetensors", "step-00000006.safetensors"]

    def test_facts_stand_as_json_beside_the_weights(self, folder):
        facts = json.loads((folder / POINTER).read_text())
        assert facts["step"] == 2
        assert facts["recipe"] == json.loads(json.dumps(asdict(RECIPE)))
        assert [row["step"] for row in facts["log"]] == [2]


class TestWeights:
    def test_weights_come_back(self, tmp_path):
        network = build_network(RECIPE)
        save_weights(tmp_path / "w.safetensors", network, {"step": 1})
        other = build_network(replace(RECIPE, seed=1))
        load_weights(tmp_path / "w.safetensors", other)
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))

    @pytest.mark.parametrize("data", [b"", pickle.dumps({"a": 1}), b"\xff" * 100])
    def test_file_that_is_no_weights_file_is_refused(self, tmp_path, data):
        (tmp_path / "w.safetensors").write_bytes(data)
        with pytest.raises(ManifestError, match="do not fit"):
            load_weights(tmp_path / "w.safetensors", build_network(RECIPE))

    def test_weights_of_another_size_are_refused(self, tmp_path):
        save_weights(tmp_path / "w.safetensors", build_network(RECIPE), {})
        with pytest.raises(ManifestError, match="do not fit"):
            load_weights(tmp_path / "w.safetensors", build_network(WIDER))


class TestTraining:
    def test_seed_decides_the_first_weights_and_leaves_the_global_numbers_alone(self):
        torch.manual_seed(5)
        wanted = torch.rand(3)
        torch.manual_seed(5)
        one, two, other = build_network(RECIPE), build_network(RECIPE), build_network(replace(RECIPE, seed=1))
        assert torch.equal(torch.rand(3), wanted)
        assert torch.equal(one.encoder.squeeze.weight, two.encoder.squeeze.weight)
        assert not torch.equal(one.encoder.squeeze.weight, other.encoder.squeeze.weight)

    def test_loss_falls(self, sampler, tmp_path):
        trainer = fresh(learning_rate=3e-3)
        batch = sampler.draw(0)
        losses = [trainer.train_step(batch) for _ in range(60)]
        assert sum(losses[-1].values()) < 0.9 * sum(losses[0].values())

    def test_both_decoders_and_the_encoder_learn(self, sampler):
        trainer = fresh()
        before = {k: v.detach().clone() for k, v in trainer.network.named_parameters()}
        trainer.train_step(sampler.draw(0))
        assert [k for k, v in trainer.network.named_parameters() if torch.equal(before[k], v)] == []

    def test_inputs_are_centred_on_the_colours_of_the_recipe(self):
        network = build_network(RECIPE)
        assert network.center.flatten().tolist() == pytest.approx([0.6, 0.5, 0.4])
        assert network.spread.flatten().tolist() == pytest.approx([0.2, 0.2, 0.1])

    def test_averaged_weights_follow_slowly(self, sampler):
        trainer = fresh()
        first = [p.clone() for p in trainer.ema.parameters()]
        for step in range(5):
            trainer.train_step(sampler.draw(step))
        both = list(zip(first, trainer.ema.parameters(), trainer.network.parameters(), strict=True))
        for start, mean, now in both:
            if start.dim() > 1:  # five steps may bring a bias back to where its mean is
                assert 0 < (mean - start).norm() < (now - start).norm()
        start, mean, now = (torch.cat([p.detach().flatten() for p in one]) for one in zip(*both, strict=True))
        assert 0 < (mean - start).norm() < (now - start).norm()

    def test_without_averaging_the_last_weights_are_used(self, sampler):
        trainer = fresh(ema=0.0)
        trainer.train_step(sampler.draw(0))
        for mean, now in zip(trainer.ema.parameters(), trainer.network.parameters(), strict=True):
            torch.testing.assert_close(mean, now.detach(), atol=1e-7, rtol=1e-6)

    def test_half_precision_trains_full_precision_weights(self, sampler):
        trainer = fresh(precision="bf16")
        losses = trainer.train_step(sampler.draw(0))
        wanted = fresh().train_step(sampler.draw(0))
        np.testing.assert_allclose(list(losses.values()), list(wanted.values()), rtol=0.05)
        assert {p.dtype for p in trainer.network.parameters()} == {torch.float32}

    def test_log_has_a_row_at_the_end_with_validation(self, sampler, tmp_path):
        told = []
        trainer = fresh()
        run(trainer, sampler, 3, tmp_path, progress=lambda *a: told.append(a))
        (row,) = trainer.log
        assert (row.step, told[0][:2]) == (3, (3, 3))
        assert 0 < row.loss_a < 1
        views = sampler.held_out(sampler.a)
        with torch.no_grad():
            off = (trainer.ema(views[:, :3], 0, 0)[:, :3] - views[:, :3]).abs() * views[:, 3:4]
        assert row.validation_a == pytest.approx(float(off.sum() / (3 * views[:, 3].sum())), rel=1e-4)
        assert row.validation_b != row.validation_a
        assert row.score == row.cycle + row.likeness

    def test_validation_without_faces_is_not_measured(self, sampler, tmp_path):
        sampler = replace(sampler, a=replace(sampler.a, held_out=Chips.of([])))
        trainer = fresh()
        run(trainer, sampler, 1, tmp_path)
        assert trainer.log[0].validation_a is None
        assert trainer.log[0].validation_b is not None
        assert trainer.log[0].score is None

    def test_preview_shows_both_people_by_both_decoders(self, sampler):
        trainer = fresh()
        grid = preview_views(trainer, sampler)
        assert grid.shape == (4, 6, 3, 64, 64)
        a = sampler.held_out(sampler.a)[:1, :3]
        with torch.no_grad():
            torch.testing.assert_close(grid[0, 0], a[0].clamp(0, 1))
            torch.testing.assert_close(grid[0, 2], trainer.ema(a, 0, 1)[0, :3], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(grid[0, 1], trainer.ema(a, 0, 0)[0, :3], atol=1e-5, rtol=1e-4)

    def test_preview_without_held_out_faces_shows_trained_ones(self, sampler):
        sampler = replace(sampler, b=replace(sampler.b, held_out=Chips.of([])))
        assert preview_views(fresh(), sampler, rows=2).shape == (2, 6, 3, 64, 64)


def test_eyes_and_mouth_weigh_most_where_they_are_in_each_sample():
    targets = torch.zeros(2, 6, 8, 8)
    targets[0, 4, 2, 2] = targets[1, 5, 6, 6] = 1.0
    weights = importance_of(targets, 3.0, 5.0)
    assert weights.shape == (2, 1, 8, 8)
    assert (weights[0, 0, 2, 2], weights[1, 0, 6, 6]) == (4.0, 6.0)
    assert weights.sum() == 2 * 64 + 3 + 5


def test_settled_statistics_depend_on_the_weights_alone(sampler):
    one, other = fresh(), fresh()
    for step in range(3):
        other.network.reconstruct(sampler.draw(step).input_a, sampler.draw(step).input_b)
    for trainer in (one, other):
        trainer.settle(sampler)
    for a, b in zip(one.ema.buffers(), other.ema.buffers(), strict=True):
        assert torch.equal(a, b)


def test_200_steps_equal_120_a_kill_and_80_bit_for_bit(sampler, tmp_path):
    straight = fresh()
    run(straight, sampler, 200, tmp_path / "straight", every=40)
    worker = Path(__file__).with_name("resume_worker.py")
    process = subprocess.Popen([sys.executable, str(worker), str(tmp_path / "killed")])
    pointer = tmp_path / "killed" / POINTER
    for _ in range(3000):
        if pointer.is_file() and json.loads(pointer.read_text())["step"] == 120:
            break
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    resumed = fresh()
    resumed.restore(Store(tmp_path / "killed"))
    assert resumed.step == 120
    run(resumed, sampler, 200, tmp_path / "killed", every=40)
    assert_equal_states(state(resumed), state(straight))


class TestSeveralProcesses:
    def test_two_processes_equal_one_with_the_whole_batch(self, sampler, tmp_path, monkeypatch):
        """Twenty steps in float64; the loss is a mean over samples, whichever process passes them."""
        found = tmp_path / "state.safetensors"
        worker = Path(__file__).with_name("distributed_worker.py")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        subprocess.run([*command, str(worker), str(found)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        monkeypatch.setattr(alignment, "_REMEMBERED", 8)
        wanted, made = state(few_steps(sampler, 20)), load_file(found)
        assert made.keys() == wanted.keys()
        off = {k: float((made[k].double() - wanted[k].double()).abs().max()) for k in wanted}
        assert {k: v for k, v in off.items() if not v < 1e-9} == {}
        moved = (
            state(few_steps(sampler, 0))["network.encoder.squeeze.weight"] - wanted["network.encoder.squeeze.weight"]
        )
        assert float(moved.abs().max()) > 1e-3

    def test_parts_of_a_batch_add_up_to_it_where_no_statistics_are_shared(self, sampler):
        whole, parts = (fresh(precision="fp64", accumulate=n, losses={**RECIPE.losses, "match": 0.0}) for n in (1, 2))
        for trainer in (whole, parts):
            trainer.network.eval()  # fixed statistics of the latent vectors
        odd = Chips.of(sampler.a.chips.joined(slice(None)) | 3)
        even = replace(sampler, a=replace(sampler.a, chips=odd))
        batch = even.draw(0)
        for target in (batch.target_a, batch.target_b):
            target[:, 3:] = 1.0  # masks of one size, as the losses are means under them
        for trainer in (whole, parts):
            trainer.train_step(batch)
        for one, two in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
            torch.testing.assert_close(one, two, atol=1e-9, rtol=0)


class TestTurns:
    def test_schedule_rises_holds_and_falls(self):
        recipe = replace(RECIPE, warmup=10, schedule="cosine", schedule_steps=110, final_rate=0.1)
        assert rate_share(recipe, 0) == pytest.approx(0.1)
        assert rate_share(recipe, 9) == pytest.approx(1.0)
        assert rate_share(recipe, 60) == pytest.approx(0.55)
        assert rate_share(recipe, 110) == rate_share(recipe, 5000) == pytest.approx(0.1)
        assert rate_share(replace(RECIPE, warmup=4), 1) == pytest.approx(0.5)
        assert rate_share(RECIPE, 12345) == 1.0

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "muon"])
    def test_every_optimiser_resumes_bit_for_bit(self, optimizer, sampler, tmp_path):
        how = {"optimizer": optimizer, "weight_decay": 0.01, "clip": 0.5, "warmup": 2}
        straight = fresh(**how)
        run(straight, sampler, 4, tmp_path / "straight")
        run(fresh(**how), sampler, 2, tmp_path / "parts")
        resumed = fresh(**how)
        resumed.restore(Store(tmp_path / "parts"))
        run(resumed, sampler, 4, tmp_path / "parts")
        assert_equal_states(state(resumed), state(straight))
        assert not torch.equal(straight.network.encoder.squeeze.weight, fresh().network.encoder.squeeze.weight)

    def test_frozen_parts_stay_and_the_others_learn(self, sampler):
        trainer = fresh(freeze=("encoder.", "decoders.0."))
        before = {k: v.detach().clone() for k, v in trainer.network.named_parameters()}
        trainer.train_step(sampler.draw(0))
        moved = {
            k.split(".rgba")[0][:10] for k, v in trainer.network.named_parameters() if not torch.equal(before[k], v)
        }
        assert moved == {"decoders.1"}

    def test_freezing_everything_is_refused(self):
        with pytest.raises(SettingsError, match="leaves nothing to train"):
            fresh(freeze=("encoder.", "decoders."))

    def test_clipping_bounds_the_step_of_plain_descent(self, sampler):
        free, clipped = fresh(optimizer="sgd"), fresh(optimizer="sgd", clip=1e-6)
        start = state_of_weights(free)
        for trainer in (free, clipped):
            trainer.train_step(sampler.draw(0))
        way = [
            sum(float((v.detach() - start[k]).norm()) for k, v in t.network.named_parameters()) for t in (free, clipped)
        ]
        assert way[1] < 1e-3 * way[0]


class TestDivergence:
    def poisoned(self, sampler, at, times=1):
        """A sampler whose batch of one step is not finite, the first ``times`` times it is drawn."""
        left = [times]

        class Poisoned(type(sampler)):
            def draw(self, step):
                batch = super().draw(step)
                if step == at and left[0]:
                    left[0] -= 1
                    batch.input_a.fill_(float("nan"))
                return batch

        return Poisoned(**vars(sampler))

    def test_training_goes_back_and_on_with_half_the_step_size(self, sampler, tmp_path):
        trainer = fresh()
        told = []
        assert run(trainer, self.poisoned(sampler, at=5), 8, tmp_path, every=2, progress=lambda *a: told.append(a)) == [
            *(2, 4, 6, 8)
        ]
        assert (trainer.step, trainer.rollbacks, trainer.rate) == (8, 1, pytest.approx(5e-4))
        (event,) = [row.event for row in trainer.log if row.event]
        assert event == "loss l1, edge, alpha, a is not finite at step 6: back to step 4, step size 0.0005"
        assert (4, 8, event) in told
        assert all(torch.isfinite(v).all() for v in state(trainer).values())
        other = fresh()
        other.restore(Store(tmp_path))
        assert (other.rollbacks, other.rate) == (1, trainer.rate)

    def test_without_a_checkpoint_it_goes_back_to_the_beginning(self, sampler, tmp_path):
        trainer = fresh()
        run(trainer, self.poisoned(sampler, at=1), 3, tmp_path)
        assert (trainer.step, trainer.rollbacks) == (3, 1)
        assert all(torch.isfinite(v).all() for v in state(trainer).values())

    def test_fourth_time_ends_the_training(self, sampler, tmp_path):
        with pytest.raises(DivergedError, match=r"not finite at step 4, although the step size was halved 3 times"):
            run(fresh(), self.poisoned(sampler, at=3, times=99), 6, tmp_path, every=2)
        assert json.loads((tmp_path / POINTER).read_text())["step"] == 2

    def test_loss_far_above_its_lowest_is_divergence_and_a_little_above_is_not(self):
        log = [LogRow(100, 0.04, 0.05), LogRow(200, None, None, event="back"), LogRow(300, 0.06, 0.06)]
        assert diverged({"a": 0.2, "b": 0.2}, log, 5.0) == ""
        assert diverged({"a": 0.3, "b": 0.2}, log, 5.0) == "loss 0.5 is more than 5 times the lowest, 0.09"
        assert diverged({"a": 0.3, "b": 0.2}, log, 0.0) == ""
        assert diverged({"a": 0.3, "d": float("inf")}, [], 5.0) == "loss d is not finite"


class TestKept:
    def test_best_checkpoints_stay_beside_the_latest(self, tmp_path):
        trainer, store = fresh(), Store(tmp_path, keep_last=2, keep_best=2)
        for step, score in enumerate([0.5, 0.2, None, 0.3, 0.4, 0.6], start=1):
            trainer.step = step
            trainer.log = [LogRow(step, cycle=score, likeness=score and 0.0)]
            trainer.save(store)
        assert [entry["step"] for entry in store.listed()] == [2, 4, 5, 6]
        files = sorted(p.name for p in tmp_path.glob("step-*"))
        assert files == [f"step-{n:08d}.safetensors" for n in (2, 4, 5, 6)]
        assert store.best()["step"] == 2

    def test_warm_start_takes_what_fits(self, tmp_path):
        donor, other = build_network(replace(RECIPE, seed=1)), fresh(build=replace(RECIPE.build, latent=16))
        save_weights(tmp_path / "w.safetensors", donor, {})
        before = other.network.encoder.squeeze.weight.clone()
        assert 0 < other.start_from(tmp_path / "w.safetensors") < len(donor.state_dict())
        assert torch.equal(other.network.decoders[1].rgba.weight, donor.decoders[1].rgba.weight)
        assert torch.equal(other.ema.decoders[1].rgba.weight, donor.decoders[1].rgba.weight)
        assert torch.equal(other.network.encoder.squeeze.weight, before)

    def test_warm_start_from_weights_that_do_not_fit_at_all_is_refused(self, tmp_path):
        save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
        with pytest.raises(SettingsError, match="no tensor"):
            fresh().start_from(tmp_path / "w.safetensors")


class TestMeasured:
    def test_rows_tell_speed_waiting_and_memory(self, sampler, tmp_path):
        trainer = fresh()
        run(trainer, sampler, 3, tmp_path)
        (row,) = trainer.log
        assert row.samples_per_second > 0
        assert 0 <= row.data_wait_share < 1
        assert row.peak_memory_bytes > 50e6
        assert (row.losses["a"], row.losses["b"]) == (row.loss_a, row.loss_b)
        assert row.losses.keys() == {"l1", "edge", "alpha", "match", "a", "b"}
        assert row.rate == 1e-3

    def test_waiting_for_slow_batches_is_seen(self, sampler):
        def slow():
            for step in range(2):
                time.sleep(0.2)
                yield step, sampler.draw(step)

        meter, batches = Meter(4, torch.device("cpu")), slow()
        for _ in range(2):
            meter.wait_for(batches)
            meter.add({"a": torch.tensor(1.0), "b": torch.tensor(3.0)})
        assert meter.data_wait_share > 0.8
        assert meter.row(2, 1e-3).data_wait_share > 0.8
        assert meter.means() == {}
