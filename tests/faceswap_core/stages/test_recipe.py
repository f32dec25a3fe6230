"""Settings become a recipe; every network trains, resumes and swaps through the stages."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, TrainSettings
from faceswap_core.errors import NoFaceError, SettingsError
from faceswap_core.faces.geometry import apply, template5, template_to_chip
from faceswap_core.models import MODELS
from faceswap_core.schemas import SWAPPED
from faceswap_core.stages.images import unpack
from faceswap_core.stages.recipe import recipe_of, recognition_crop
from faceswap_core.stages.weights import check_network, read_facts
from faceswap_core.storage import Workspace

TINY = {"width": 4, "latent": 8, "batch": 2, "checkpoint_every": 100, "precision": "fp32"}
COMMON = {"mean": [128.0, 100.0, 90.0], "std": [50.0, 40.0, 30.0]}


@pytest.fixture
def apart(chain, plate, other, tmp_path):
    """The same faces in a workspace of their own, without any training."""
    for folder in (layout.ALIGNED, layout.MASKS):
        shutil.copytree(chain.workspace.root / folder, tmp_path / folder)
    return replace(chain, workspace=Workspace(tmp_path))


@pytest.mark.parametrize("model", MODELS)
def test_every_network_trains_resumes_and_swaps(model, apart, plate, other, tmp_path):
    settings = TrainSettings(model_name=model, iterations=2, **TINY)
    first = apart.train(plate, other, settings)
    longer = apart.train(plate, other, settings.model_copy(update={"iterations": 4}))
    assert longer["folder"] == first["folder"]
    before, after = (load_file(apart.workspace.path(t["weights"]["path"])) for t in (first, longer))
    assert any(not torch.equal(before[k], after[k]) for k in before)
    facts = read_facts(apart.workspace.path(longer["weights"]["path"]))
    assert (facts.model, facts.step, facts.build.width) == (model, 4, 4)
    (swapped, *_) = apart.swap(plate, longer["weights"])
    patches = [unpack(row["patch"]) for row in manifest.stream(apart.workspace, swapped, SWAPPED)]
    assert {p.shape for p in patches} == {(64, 64, 4)}
    assert np.std([p[..., :3] for p in patches]) > 1


class TestRecipe:
    def test_losses_of_no_weight_are_left_out(self):
        recipe = recipe_of(TrainSettings(losses={"edge": 0, "ssim": 0.5}), AlignSettings(), 0, COMMON)
        assert recipe.losses == {"l1": 1.0, "alpha": 0.1, "match": 0.1, "ssim": 0.5}

    def test_eyes_and_mouth_weigh_by_settings_of_their_own(self):
        recipe = recipe_of(TrainSettings(eye_weight=5, mouth_weight=2), AlignSettings(), 0, COMMON)
        assert (recipe.eye_weight, recipe.mouth_weight) == (5, 2)

    def test_recognition_crop_shows_the_face_where_insightface_has_it(self):
        align = AlignSettings()
        matrix = np.array(recognition_crop(align)).reshape(2, 3)
        eyes_in_crop = np.array([[38.2946, 51.6963], [73.5318, 51.5014]])
        found = apply(matrix, (eyes_in_crop + 0.5) / 56 - 1)
        wanted = apply(template_to_chip(1000, align.eye_distance, 1.0, align.centre) / 1000, template5())[:2] * 2 - 1
        np.testing.assert_allclose(found, wanted, atol=0.04)


class TestRefusals:
    def test_too_few_faces_of_a_side_are_refused_before_the_first_step(self, apart, plate, other):
        for a, b in ((plate, other), (other, plate)):
            settings = TrainSettings(min_faces=30, iterations=2, **TINY)
            with pytest.raises(NoFaceError, match="min_faces") as caught:
                apart.train(a, b, settings)
            assert caught.value.exit_code == 4
        assert not list(apart.workspace.path("checkpoints").glob("*/step-*"))

    def test_faces_of_one_side_only_are_refused(self, apart, plate, other):
        with pytest.raises(NoFaceError, match="no face was found in the footage of subject 'b'"):
            apart.train(plate, replace(other, aligned=[]), TrainSettings(iterations=2, **TINY))

    @pytest.mark.parametrize(
        ("asked", "said"),
        [({"model_name": "gan"}, "model_name original"), ({"resolution": 128}, "resolution 64")],
    )
    def test_finished_model_of_another_network_or_resolution_is_refused(self, chain, trained, asked, said):
        facts = read_facts(chain.workspace.path(trained["weights"]["path"]))
        with pytest.raises(SettingsError, match=said) as caught:
            check_network(facts, TrainSettings(**asked))
        assert caught.value.exit_code == 2
        check_network(facts, TrainSettings())
