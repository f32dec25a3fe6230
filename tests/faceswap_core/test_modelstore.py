import hashlib
import importlib.util
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import joblib
import platformdirs
import pytest

from faceswap_core import modelstore
from faceswap_core.errors import ModelMissingError
from faceswap_core.faces.detectors import mtcnn
from faceswap_core.modelstore import (
    MODEL_FILES,
    MODEL_PACKS,
    ModelFile,
    ModelPack,
    check_digest,
    licence_of,
    locate,
    locate_pack,
    store_folder,
    survey,
)

INSTALLED = [name for name, file in MODEL_FILES.items() if file.package]


@pytest.fixture
def tiny(store, monkeypatch):
    """A pinned pack ``tiny`` of two files, which lie in the store."""
    contents = {"a.onnx": b"first", "b.onnx": b"second"}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    monkeypatch.setitem(MODEL_PACKS, "tiny", ModelPack(digests, "tiny terms", commercial=False))
    (store / "tiny").mkdir(parents=True)
    for name, data in contents.items():
        (store / "tiny" / name).write_bytes(data)
    return store / "tiny"


@pytest.mark.parametrize("name", INSTALLED)
def test_installed_file_has_its_pinned_digest_and_a_licence(name):
    assert hashlib.sha256(locate(name).read_bytes()).hexdigest() == MODEL_FILES[name].sha256
    assert MODEL_FILES[name].licence


def test_absent_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(MODEL_FILES, "gone", ModelFile("no_such_package_here", "x", "0", "MIT"))
    with pytest.raises(ModelMissingError, match=r"pip install .*no_such_package_here") as caught:
        locate("gone")
    assert caught.value.exit_code == 3


def test_absent_file_is_named(monkeypatch):
    monkeypatch.setitem(MODEL_FILES, "gone", ModelFile("mtcnn", "no/such/file", "0", "MIT"))
    with pytest.raises(ModelMissingError, match="gone is not installed"):
        locate("gone")


def test_file_missing_from_the_store_is_named_with_the_command_that_brings_it(store):
    with pytest.raises(ModelMissingError, match="`faceswap models pull facemesh`") as caught:
        locate("facemesh")
    assert caught.value.exit_code == 3
    assert not store.exists(), "looking for a file makes no folder"


def test_file_altered_in_the_store_is_not_given(store):
    path = store / MODEL_FILES["facemesh"].relative
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    with pytest.raises(ModelMissingError, match=r"not the pinned 2efcb4f4.*`faceswap models pull facemesh`"):
        locate("facemesh")


def test_store_lies_in_the_users_data_folder_unless_a_variable_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv("FACESWAP_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store_folder() == platformdirs.user_data_path("faceswap") / "models"
    monkeypatch.setenv("FACESWAP_MODELS", "~/weights")
    assert store_folder() == Path.home() / "weights"


class TestPack:
    def test_of_the_store_gives_its_pinned_files(self, tiny):
        (tiny / "stray.onnx").write_bytes(b"x")
        assert locate_pack("tiny") == [tiny / "a.onnx", tiny / "b.onnx"]

    def test_with_a_missing_file_is_refused_with_the_command(self, tiny):
        (tiny / "b.onnx").unlink()
        with pytest.raises(ModelMissingError, match=r"b\.onnx is missing.*pull tiny --accept-noncommercial`"):
            locate_pack("tiny")

    def test_with_an_altered_file_is_refused_with_the_command(self, tiny):
        (tiny / "b.onnx").write_bytes(b"secone")
        with pytest.raises(ModelMissingError, match=r"b\.onnx has sha256 .*pull tiny --accept-noncommercial`"):
            locate_pack("tiny")

    def test_given_by_path_is_every_onnx_file_of_the_folder(self, tiny):
        assert locate_pack(str(tiny)) == [tiny / "a.onnx", tiny / "b.onnx"]

    def test_without_a_folder_or_with_an_empty_one_is_refused_and_nothing_is_made(self, tmp_path, store):
        for pack in (str(tmp_path / "none"), "unheard-of", "buffalo_l"):
            with pytest.raises(ModelMissingError, match=re.escape(repr(pack))):
                locate_pack(pack)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(ModelMissingError, match=r"no \.onnx file"):
            locate_pack(str(tmp_path))

    def test_licence_is_known_by_the_bytes_wherever_they_lie(self, tiny, tmp_path):
        copy = tmp_path / "copy.onnx"
        shutil.copy(tiny / "a.onnx", copy)
        assert licence_of(copy) == "tiny terms"
        copy.write_bytes(b"else")
        assert licence_of(copy) is None


def test_survey_tells_present_missing_and_altered_files_apart(tiny):
    (tiny / "b.onnx").write_bytes(b"x")
    states = {(s.name, s.path.name): s.state for s in survey()}
    assert states["mtcnn-pnet", "pnet.lz4"] == "present"
    assert states["facemesh", "face_landmark.tflite"] == "missing"
    assert states["tiny", "a.onnx"] == "present"
    assert states["tiny", "b.onnx"] == "altered"
    assert [s.name for s in survey(("tiny",))] == ["tiny", "tiny"]


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
