import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, RuntimeSettings, SwapTarget, TrainSettings
from faceswap_core.errors import EnvironmentFault, ManifestError, ResourceError, SettingsError
from faceswap_core.models import Build
from faceswap_core.schemas import ALIGNED, COLOR_STATS, TRAIN_LOG
from faceswap_core.stages.images import unpack
from faceswap_core.stages.swap import swap_frames
from faceswap_core.stages.train import folder_key
from faceswap_core.stages.training_faces import split_chips
from faceswap_core.stages.weights import FINISHED, Swapper, check_view, finished_weights, pick_device, read_facts
from faceswap_core.storage import Workspace, file_ref

CPU = torch.device("cpu")
SHORT = TrainSettings(width=4, latent=8, batch=4, iterations=4, checkpoint_every=100, precision="fp32")
LONG = SHORT.model_copy(update={"iterations": 8})


@pytest.fixture
def apart(chain, plate, other, tmp_path):
    """The same faces in a workspace of their own, without any training."""
    for folder in (layout.ALIGNED, layout.MASKS):
        shutil.copytree(chain.workspace.root / folder, tmp_path / folder)
    return replace(chain, workspace=Workspace(tmp_path))


@pytest.fixture
def key_of(plate, other, stats):
    def key(settings=SHORT, *, a=plate, b=other, names=("a", "b"), align=None, seed=0, device="cpu"):
        align = align or AlignSettings(size=64)
        return folder_key(a.aligned, b.aligned, stats, names, settings, align, seed, device)

    return key


class TestResume:
    def test_going_on_to_more_iterations_equals_one_long_training(self, chain, apart, trained, plate, other):
        first = apart.train(plate, other, SHORT)
        longer = apart.train(plate, other, LONG)
        assert longer["folder"] == first["folder"]
        one = load_file(apart.workspace.path(longer["weights"]["path"]))
        straight = load_file(chain.workspace.path(trained["weights"]["path"]))
        assert [k for k in straight if not torch.equal(one[k], straight[k])] == []
        assert longer["weights"]["sha256"] == trained["weights"]["sha256"]

    def test_finished_training_gives_the_same_weights_without_a_step(self, apart, plate, other):
        first = apart.train(plate, other, SHORT)
        again = apart.train(plate, other, SHORT)
        assert again["weights"] == first["weights"]
        assert first["samples_per_second"] > 0
        assert again["samples_per_second"] is None

    def test_altered_checkpoint_is_refused(self, apart, plate, other):
        done = apart.train(plate, other, SHORT)
        (step,) = apart.workspace.path(done["folder"]).glob("step-*")
        data = bytearray(step.read_bytes())
        data[-1] ^= 1
        step.write_bytes(data)
        with pytest.raises(ManifestError, match="altered"):
            apart.train(plate, other, LONG)
        assert not (apart.workspace.path(done["folder"]) / "lease.json").exists()


class TestFolderKey:
    def test_how_long_and_how_often_saved_do_not_count(self, key_of):
        changes = {"iterations": 9999, "checkpoint_every": 7, "preset": "standard"}
        assert key_of(SHORT.model_copy(update=changes)) == key_of()

    @pytest.mark.parametrize("change", [{"width": 8}, {"latent": 9}, {"learning_rate": 1e-4}, {"flip": 0.0}])
    def test_whatever_changes_the_weights_counts(self, key_of, change):
        assert key_of(SHORT.model_copy(update=change)) != key_of()

    def test_faces_names_seed_alignment_and_device_count(self, key_of, plate, other):
        keys = {
            key_of(),
            key_of(a=other, b=plate),
            key_of(names=("b", "a")),
            key_of(seed=1),
            key_of(align=AlignSettings(size=64, eye_distance=0.5)),
            key_of(device="cuda"),
        }
        assert len(keys) == 6


class TestLease:
    @pytest.fixture
    def sleeper(self):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        yield process
        process.kill()
        process.wait()

    def lease(self, apart, key_of, **changes):
        given = {"host": socket.gethostname(), "pid": os.getpid(), "expires": time.time() + 100, **changes}
        folder = apart.workspace.path(layout.checkpoint_folder(key_of()))
        folder.mkdir(parents=True)
        (folder / "lease.json").write_text(json.dumps(given))
        return folder / "lease.json"

    def test_live_process_of_this_machine_keeps_its_folder(self, apart, key_of, sleeper, plate, other):
        path = self.lease(apart, key_of, pid=sleeper.pid)
        with pytest.raises(ResourceError, match=r"lease\.json") as caught:
            apart.train(plate, other, SHORT)
        assert caught.value.retryable
        assert path.exists(), "the lease of another is left alone"

    def test_dead_process_does_not(self, apart, key_of, sleeper, plate, other):
        sleeper.kill()
        sleeper.wait()
        path = self.lease(apart, key_of, pid=sleeper.pid)
        assert apart.train(plate, other, SHORT)["weights"]["size"] > 0
        assert not path.exists()

    def test_process_of_another_machine_keeps_it_until_the_lease_runs_out(self, apart, key_of, plate, other):
        path = self.lease(apart, key_of, host="elsewhere", pid=1)
        with pytest.raises(ResourceError):
            apart.train(plate, other, SHORT)
        path.write_text(json.dumps({**json.loads(path.read_text()), "expires": time.time() - 1}))
        assert apart.train(plate, other, SHORT)["weights"]["size"] > 0


class TestTrained:
    def test_weights_say_what_must_be_known_to_use_them(self, chain, trained, stats):
        facts = read_facts(chain.workspace.path(trained["weights"]["path"]))
        assert facts.sides == ("a", "b")
        assert (facts.model, facts.step) == ("original", 8)
        assert facts.build == Build(resolution=64, width=4, latent=8)
        assert (facts.coverage, facts.eye_distance) == (chain.align.coverage, chain.align.eye_distance)
        whole = {r["subject"]: r for r in manifest.stream(chain.workspace, stats, COLOR_STATS) if r["track_id"] is None}
        for name, colors in zip("ab", facts.colors, strict=True):
            assert colors.mean.tolist() == whole[name]["mean"]
            assert colors.to_common.scale.tolist() == whole[name]["scale"]
        assert facts.side_of("b") == 1
        with pytest.raises(SettingsError, match="'zoe'"):
            facts.side_of("zoe")

    def test_log_and_preview_are_published(self, chain, trained):
        (row,) = manifest.stream(chain.workspace, trained["log"], TRAIN_LOG)
        assert row["step"] == 8
        assert 0 < row["loss_a"] < 1
        assert 0 < row["validation_b"] < 1
        data = chain.workspace.path(trained["preview"]["path"]).read_bytes()
        assert unpack({"bytes": data, "path": None}).shape == (4 * 64, 6 * 64, 3)

    def test_finished_weights_of_the_folder_are_the_published_ones(self, chain, trained):
        found = finished_weights(chain.workspace.path(trained["folder"]))
        assert found["sha256"] == trained["weights"]["sha256"]
        assert Path(found["path"]).is_absolute()

    def test_last_stretch_of_each_video_is_held_out(self, chain, plate):
        kept, held_out, poses = split_chips(chain.workspace, plate.aligned, 0.25)
        assert (len(kept), len(held_out), len(poses)) == (30, 10, 30)
        rows = [r for c in plate.aligned for r in manifest.stream(chain.workspace, c["aligned"], ALIGNED)]
        assert (held_out.colors[-1, ..., :3] == unpack(rows[-1]["chip"])).all()
        assert (kept.colors[0, ..., :3] == unpack(rows[0]["chip"])).all()
        assert poses[3].tolist() == [rows[3]["yaw"], rows[3]["pitch"]]


class TestFinishedWeights:
    @pytest.fixture
    def folder(self, chain, trained, tmp_path):
        shutil.copytree(chain.workspace.path(trained["folder"]), tmp_path / "model")
        return tmp_path / "model"

    def test_folder_without_a_training_is_refused(self, tmp_path):
        with pytest.raises(SettingsError, match="no finished training"):
            finished_weights(tmp_path)

    def test_altered_weights_are_refused(self, folder):
        path = folder / json.loads((folder / FINISHED).read_text())["file"]
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(ManifestError, match="altered"):
            finished_weights(folder)

    def test_missing_weights_are_refused(self, folder):
        (folder / json.loads((folder / FINISHED).read_text())["file"]).unlink()
        with pytest.raises(ManifestError, match="missing"):
            finished_weights(folder)

    def test_pointer_cannot_lead_out_of_the_folder(self, folder):
        pointer = json.loads((folder / FINISHED).read_text())
        moved = folder.parent / "moved.safetensors"
        shutil.move(folder / pointer["file"], moved)
        (folder / FINISHED).write_text(json.dumps({**pointer, "file": "../moved.safetensors"}))
        with pytest.raises(ManifestError):
            finished_weights(folder)

    @pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
    def test_pointer_that_is_no_pointer_is_refused(self, folder, text):
        (folder / FINISHED).write_text(text)
        with pytest.raises(ManifestError):
            finished_weights(folder)

    def test_weights_outside_the_workspace_are_used_by_their_absolute_path(self, chain, folder, trained):
        outside = Swapper(Workspace(folder.parent / "empty"), finished_weights(folder), CPU)
        inside = Swapper(chain.workspace, trained["weights"], CPU)
        pairs = zip(outside.network.parameters(), inside.network.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


class TestSwapper:
    def test_pickle_by_the_name_of_weights_is_never_run(self, chain, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        path = tmp_path / "w.safetensors"
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ManifestError, match="no weights file"):
            Swapper(chain.workspace, file_ref(path), CPU)
        assert not (tmp_path / "sprung").exists()

    def test_altered_or_missing_weights_are_refused(self, chain, trained):
        for wrong in ({"sha256": "0" * 64}, {"path": "checkpoints/none.safetensors"}):
            with pytest.raises(ManifestError, match="missing or were altered"):
                Swapper(chain.workspace, {**trained["weights"], **wrong}, CPU)

    @pytest.mark.parametrize("change", [{"eye_distance": 0.5}, {"coverage": 0.7}, {"centre": 0.3}])
    def test_chips_of_another_cut_are_refused(self, chain, trained, plate, change):
        align = AlignSettings(size=64, **change)
        with pytest.raises(SettingsError, match="use the model's"):
            check_view(Swapper(chain.workspace, trained["weights"], CPU).facts, align)
        aligned = plate.aligned[0]["aligned"]
        runtime = RuntimeSettings(device="cpu", threads=1)
        with pytest.raises(SettingsError, match="use the model's"):
            swap_frames(chain.workspace, 0, aligned, trained["weights"], ("a", "b"), align, SwapTarget(to="b"), runtime)

    def test_larger_chips_of_the_same_cut_are_taken(self, chain, trained):
        check_view(Swapper(chain.workspace, trained["weights"], CPU).facts, AlignSettings(size=256))

    def test_missing_gpu_is_said(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(EnvironmentFault, match="cuda") as caught:
            pick_device(RuntimeSettings(device="cuda"))
        assert caught.value.exit_code == 3
        assert pick_device(RuntimeSettings(device="auto")).type == "cpu"
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert pick_device(RuntimeSettings(device="auto")).type == "cuda"
        assert pick_device(RuntimeSettings(device="cpu")).type == "cpu"
