import hashlib
import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import joblib
import pytest

from faceswap_core import modelstore
from faceswap_core.errors import ModelMissingError
from faceswap_core.faces.detectors import mtcnn
from faceswap_core.modelstore import MODEL_FILES, ModelFile, check_digest, locate


@pytest.mark.parametrize("name", MODEL_FILES)
def test_installed_file_has_its_pinned_digest_and_a_licence(name):
    assert hashlib.sha256(locate(name).read_bytes()).hexdigest() == MODEL_FILES[name].sha256
    assert MODEL_FILES[name].licence


def test_absent_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(MODEL_FILES, "gone", ModelFile("no_such_package_here", "x", "0", "MIT"))
    with pytest.raises(ModelMissingError, match="pip install no_such_package_here") as caught:
        locate("gone")
    assert caught.value.exit_code == 3


def test_absent_file_is_named(monkeypatch):
    monkeypatch.setitem(MODEL_FILES, "gone", ModelFile("mtcnn", "no/such/file", "0", "MIT"))
    with pytest.raises(ModelMissingError, match="gone is not installed"):
        locate("gone")


def test_other_digest_is_refused_with_both_named(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"x")
    found = hashlib.sha256(b"x").hexdigest()
    assert check_digest(path, found, remedy="r") == path
    with pytest.raises(ModelMissingError, match=f"{found}.*{'0' * 64}.*do this"):
        check_digest(path, "0" * 64, remedy="do this")


@pytest.fixture
def altered_package(tmp_path, monkeypatch):
    """The weights of the detector, one byte of each changed."""
    real = Path(importlib.util.find_spec("mtcnn").submodule_search_locations[0])
    shutil.copytree(real / "assets", tmp_path / "assets")
    for path in tmp_path.rglob("*.lz4"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(modelstore.importlib.util, "find_spec", lambda name: spec)
    mtcnn._network.cache_clear()
    yield
    mtcnn._network.cache_clear()


def test_altered_weights_are_refused_before_anything_unpickles_them(altered_package, monkeypatch):
    loaded = []
    monkeypatch.setattr(joblib, "load", lambda *a, **k: loaded.append(a))
    with pytest.raises(ModelMissingError, match="it was not loaded"):
        mtcnn.MtcnnDetector()
    assert loaded == []


def test_package_that_holds_the_weights_is_never_imported():
    import sys

    mtcnn.MtcnnDetector()
    assert "mtcnn" not in sys.modules
