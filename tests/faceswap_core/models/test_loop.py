import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from faceswap_core.errors import ManifestError
from faceswap_core.models import Build, alignment
from faceswap_core.models.checkpoint import POINTER, Store, load_weights, save_weights
from faceswap_core.models.loop import Trainer, build_network, train
from faceswap_core.models.preview import preview_views
from faceswap_core.models.recipe import Recipe
from faceswap_core.models.reconstruction import importance_map
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
    features=((0.3, 0.3, 0.1, 3.0), (0.7, 0.3, 0.1, 3.0)),
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
        for start, mean, now in zip(first, trainer.ema.parameters(), trainer.network.parameters(), strict=True):
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
        assert row.validation_a == pytest.approx(trainer.validate(sampler.held_out(sampler.a), 0))
        assert row.validation_b != row.validation_a

    def test_validation_without_faces_is_not_measured(self, sampler, tmp_path):
        empty = np.zeros((0, 96, 96, 4), np.uint8)
        sampler = replace(sampler, a=replace(sampler.a, held_out=empty))
        trainer = fresh()
        run(trainer, sampler, 1, tmp_path)
        assert trainer.log[0].validation_a is None
        assert trainer.log[0].validation_b is not None

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
        empty = np.zeros((0, 96, 96, 4), np.uint8)
        sampler = replace(sampler, b=replace(sampler.b, held_out=empty))
        assert preview_views(fresh(), sampler, rows=2).shape == (2, 6, 3, 64, 64)


def test_the_features_weigh_most_where_they_are():
    weights = importance_map(RECIPE)[0, 0]
    assert weights.shape == (64, 64)
    assert weights.max() == pytest.approx(4.0, abs=0.05)
    assert (weights[19, 19], weights[19, 44]) == pytest.approx((4.0, 4.0), abs=0.05)
    assert weights[60, 32] == pytest.approx(1.0, abs=0.01)


def test_settled_statistics_depend_on_the_weights_alone(sampler):
    one, other = fresh(), fresh()
    for step in range(3):
        other.network.reconstruct(sampler.draw(step).input_a, sampler.draw(step).input_b)
    for trainer in (one, other):
        trainer.settle(sampler)
    for a, b in zip(one.ema.buffers(), other.ema.buffers(), strict=True):
        assert torch.equal(a, b)
