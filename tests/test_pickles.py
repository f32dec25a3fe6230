"""A pickle planted wherever this program reads is never executed."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from faceswap_core import manifest, modelstore
from faceswap_core.errors import FaceswapError, ManifestError, ModelMissingError
from faceswap_core.models.checkpoint import POINTER, Store, load_weights
from faceswap_core.modelstore import check_digest
from faceswap_core.schemas import REPORT
from faceswap_core.stages.consent import read_signed
from faceswap_core.stages.weights import FINISHED, finished_weights, read_facts
from faceswap_core.storage import Workspace, sha256_file


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "executed"


@pytest.fixture(params=["pickle", "torch"])
def planted(request, tmp_path, mark):
    path = tmp_path / "planted"
    if request.param == "pickle":
        path.write_bytes(pickle.dumps(Planted(mark)))
    else:
        torch.save(Planted(mark), path)
    return path


def test_the_plant_works(planted, mark):
    torch.load(planted, weights_only=False) if planted.read_bytes()[:2] == b"PK" else pickle.loads(planted.read_bytes())
    assert mark.is_dir()


def test_as_weights(planted, mark):
    network = torch.nn.Linear(2, 2)
    for read in (read_facts, lambda path: load_weights(path, network), finished_weights):
        with pytest.raises(ManifestError):
            read(planted)
    assert not mark.exists()


def test_as_finished_weights_with_the_right_digest(planted, mark, tmp_path):
    pointer = {"file": planted.name, "sha256": sha256_file(planted)}
    (tmp_path / FINISHED).write_text(json.dumps(pointer))
    with pytest.raises(FaceswapError):
        read_facts(Path(finished_weights(tmp_path)["path"]))
    assert not mark.exists()


def test_as_a_training_state_with_the_right_digest(planted, mark, tmp_path):
    (tmp_path / POINTER).write_text(json.dumps({"step": 1, "file": planted.name, "sha256": sha256_file(planted)}))
    network = torch.nn.Linear(2, 2)
    with pytest.raises(ManifestError):
        Store(tmp_path).load({"network": network}, {})
    assert not mark.exists()


def test_as_a_manifest_with_the_right_digest(planted, mark, tmp_path):
    ref = {"path": planted.name, "sha256": sha256_file(planted), "rows": 1, "schema": "report/1"}
    with pytest.raises(ManifestError):
        list(manifest.stream(Workspace(tmp_path), ref, REPORT))
    assert not mark.exists()


def test_in_the_model_store(planted, mark):
    pinned = modelstore.MODEL_FILES["mtcnn-pnet"]
    with pytest.raises(ModelMissingError, match="not loaded"):
        check_digest(planted, pinned.sha256, remedy="reinstall it")
    assert not mark.exists()


def test_as_a_consent_record(planted, mark):
    with pytest.raises(FaceswapError):
        read_signed(planted)
    assert not mark.exists()
