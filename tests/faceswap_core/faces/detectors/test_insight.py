"""A tiny pack goes through the library's own loader; no test reaches the network."""

import hashlib
import shutil
import socket
import warnings

import insightface.data
import numpy as np
import pytest
import tiny_onnx

from faceswap_core.config import DetectSettings
from faceswap_core.errors import EnvironmentFault, ModelMissingError, NoFaceError, SettingsError
from faceswap_core.faces.detectors import DETECTORS, weight_files
from faceswap_core.faces.detectors.insight import InsightDetector, arcface_template
from faceswap_core.faces.detectors.insight_pack import load_pack, providers_for
from faceswap_core.faces.geometry import fit_similarity, similarity_matrix
from faceswap_core.faces.identity import embed
from faceswap_core.modelstore import MODEL_PACKS, ModelPack


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_onnx.write_pack(tmp_path_factory.mktemp("packs") / "whole")


@pytest.fixture
def pack(whole, tmp_path):
    """A pack of this test's own, to be damaged."""
    return shutil.copytree(whole, tmp_path / "pack")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No connection, and a home in which a download would be seen."""

    def refuse(*arguments):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FACESWAP_MODELS", str(tmp_path / "store"))
    yield
    assert not (tmp_path / "home").exists()


def person(mark, corner=(184, 120), size_hw=(360, 640)):
    """A picture with one square, told from others by a dark mark within it."""
    image = tiny_onnx.picture(corner, size_hw=size_hw)
    x, y = corner[0] + 8 + 24 * (mark % 2), corner[1] + 4 + 36 * (mark // 2)
    image[y : y + 16, x : x + 20] = (60, 0, 0)
    return image


class TestDetector:
    def test_dense_points_are_those_of_the_landmark_network_about_the_box(self, whole):
        faces = InsightDetector(str(whole)).detect(tiny_onnx.picture((184, 120)))
        expected = tiny_onnx.ellipse() * (64 * 1.5 / 2) + [216, 152]  # the crop is half as large again as the box
        np.testing.assert_allclose(faces.points_dense[0], expected, atol=1)

    def test_one_person_has_one_identity_wherever_it_stands(self, whole):
        detector = InsightDetector(str(whole))
        first, moved, other = (
            detector.detect(image).embeddings[0] for image in (person(0), person(0, corner=(400, 200)), person(3))
        )
        assert first @ moved > 0.999
        assert first @ other < 0.99

    def test_identity_is_the_librarys_own(self, whole):
        from insightface.app.common import Face

        models = load_pack(str(whole), "cpu")
        bgr = np.ascontiguousarray(person(1)[..., ::-1])
        five = tiny_onnx.points_at(184, 120).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # scikit-image's `estimate`, which the library calls
            theirs = models["recognition"].get(bgr, Face(kps=five))
        ours = InsightDetector(str(whole)).detect(person(1)).embeddings[0]
        np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs), atol=1e-4)

    @pytest.mark.parametrize("side", [112, 224, 128, 256])
    def test_template_is_the_librarys_own(self, side):
        from insightface.utils.face_align import estimate_norm

        five = tiny_onnx.points_at(184, 120)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            theirs = estimate_norm(five, side)
        ours = similarity_matrix(fit_similarity(five, arcface_template(side)))
        np.testing.assert_allclose(ours, theirs, atol=1e-3)

    def test_pack_without_further_networks_gives_boxes_and_five_points(self, pack):
        (pack / "2d106.onnx").unlink()
        (pack / "rec.onnx").unlink()
        faces = InsightDetector(str(pack)).detect(tiny_onnx.picture((184, 120)))
        assert len(faces) == 1
        assert faces.points_dense is None
        assert faces.embeddings is None

    def test_works_on_one_thread(self, whole):
        for model in load_pack(str(whole), "cpu").values():
            assert model.session.get_session_options().intra_op_num_threads == 1
            assert model.session.get_providers() == ["CPUExecutionProvider"]

    def test_gpu_that_is_not_there_is_refused_when_asked_for(self, whole, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        with pytest.raises(EnvironmentFault, match="onnxruntime-gpu") as caught:
            InsightDetector(str(whole), device="cuda")
        assert caught.value.exit_code == 3
        assert providers_for("auto") == ["CPUExecutionProvider"]


class TestGuard:
    def refused(self, pack):
        with pytest.raises(ModelMissingError) as caught:
            InsightDetector(str(pack))
        assert caught.value.exit_code == 3
        return str(caught.value)

    def test_missing_pack_names_the_command_that_brings_it(self, tmp_path):
        assert "`faceswap models pull buffalo_l --accept-noncommercial`" in self.refused("buffalo_l")
        assert not (tmp_path / "store").exists()

    def test_missing_folder_is_named_and_not_made(self, tmp_path):
        assert str(tmp_path / "none") in self.refused(tmp_path / "none")
        assert not (tmp_path / "none").exists()

    def test_empty_folder_is_refused(self, tmp_path):
        (tmp_path / "empty").mkdir()
        assert "no .onnx file" in self.refused(tmp_path / "empty")

    @pytest.mark.parametrize("name", ["det.onnx", "rec.onnx", "2d106.onnx"])
    @pytest.mark.parametrize("share", [0, 0.5, 0.99])
    def test_cut_off_file_is_named(self, pack, name, share):
        data = (pack / name).read_bytes()
        (pack / name).write_bytes(data[: int(len(data) * share)])
        assert name in self.refused(pack)

    def test_file_that_is_no_network_is_named(self, pack):
        (pack / "det.onnx").write_bytes(b"<html>404 Not Found</html>")
        assert "det.onnx cannot be loaded" in self.refused(pack)

    @pytest.mark.parametrize("name", ["det.onnx", "rec.onnx", "2d106.onnx"])
    def test_file_with_its_weights_elsewhere_is_refused(self, pack, name):
        tiny_onnx.put_weights_elsewhere(pack / name)
        assert "lies in another file" in self.refused(pack)

    def test_file_of_another_digest_is_refused(self, whole, tmp_path, monkeypatch):
        digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in whole.glob("*.onnx")}
        monkeypatch.setitem(MODEL_PACKS, "tiny", ModelPack(digests, "tiny terms", commercial=True))
        stored = shutil.copytree(whole, tmp_path / "store" / "tiny")
        assert len(InsightDetector("tiny").detect(tiny_onnx.picture((184, 120)))) == 1
        tiny_onnx.write_arcface(stored / "rec.onnx", seed=1)
        message = self.refused("tiny")
        assert "rec.onnx has sha256" in message
        assert "`faceswap models pull tiny`" in message

    def test_pack_without_a_detector_is_refused(self, pack):
        (pack / "det.onnx").unlink()
        assert "no detector with five points" in self.refused(pack)

    def test_detector_without_points_is_refused(self, pack):
        tiny_onnx.write_scrfd(pack / "det.onnx", points=False)
        assert "no detector with five points" in self.refused(pack)

    def test_network_for_which_the_library_unpickles_a_file_is_not_loaded(self, whole, monkeypatch):
        monkeypatch.setattr(insightface.data, "get_object", None)
        monkeypatch.setattr("insightface.model_zoo.landmark.get_object", None)
        assert set(load_pack(str(whole), "cpu")) == {"detection", "landmarks", "recognition"}


class TestWeightFiles:
    def files(self, **settings):
        return {file.name: file for file in weight_files(DetectSettings(**settings))}

    def test_of_a_pack_are_all_its_files_by_digest(self, pack):
        before = self.files(backend="insightface", pack=str(pack))
        assert set(before) == {"det.onnx", "2d106.onnx", "1k3d68.onnx", "rec.onnx"}
        tiny_onnx.write_arcface(pack / "rec.onnx", seed=1)
        after = self.files(backend="insightface", pack=str(pack))
        assert {name for name in before if before[name] != after[name]} == {"rec.onnx"}
        assert {file.licence for file in after.values()} == {None}

    def test_of_yunet_is_the_file_that_was_named(self, tmp_path):
        tiny_onnx.write_yunet(tmp_path / "yunet.onnx")
        (file,) = weight_files(DetectSettings(backend="yunet", model_file=tmp_path / "yunet.onnx"))
        assert file.sha256 == hashlib.sha256((tmp_path / "yunet.onnx").read_bytes()).hexdigest()

    def test_of_the_truth_are_none(self):
        assert weight_files(DetectSettings(backend="truth")) == []


class TestYunet:
    def make(self, model_file):
        return DETECTORS["yunet"](DetectSettings(backend="yunet", model_file=model_file), "cpu")

    def test_without_a_file_is_a_fault_of_the_settings(self):
        with pytest.raises(SettingsError, match=r"detect\.model_file"):
            self.make(None)

    def test_file_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(ModelMissingError, match=r"none\.onnx does not exist"):
            self.make(tmp_path / "none.onnx")

    @pytest.mark.parametrize("share", [0, 0.5])
    def test_cut_off_file_is_named(self, tmp_path, share):
        tiny_onnx.write_yunet(tmp_path / "yunet.onnx")
        data = (tmp_path / "yunet.onnx").read_bytes()
        (tmp_path / "yunet.onnx").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ModelMissingError, match=r"yunet\.onnx cannot be loaded"):
            self.make(tmp_path / "yunet.onnx")

    def test_file_with_its_weights_elsewhere_is_refused(self, tmp_path):
        tiny_onnx.write_yunet(tmp_path / "yunet.onnx")
        tiny_onnx.put_weights_elsewhere(tmp_path / "yunet.onnx")
        with pytest.raises(ModelMissingError, match="lies in another file"):
            self.make(tmp_path / "yunet.onnx")

    def test_another_network_is_refused(self, whole):
        with pytest.raises(ModelMissingError, match=r"det\.onnx cannot be loaded as YuNet"):
            self.make(whole / "det.onnx")

    def test_says_nothing_while_it_loads(self, tmp_path, capfd):
        tiny_onnx.write_yunet(tmp_path / "yunet.onnx")
        self.make(tmp_path / "yunet.onnx")
        assert capfd.readouterr().err == ""


class TestEmbed:
    def test_is_the_identity_of_the_largest_face(self, whole):
        detector = InsightDetector(str(whole))
        halves = person(0, size_hw=(360, 320)), tiny_onnx.picture((64, 64), size_hw=(360, 320), side=128)
        image = np.concatenate(halves, axis=1)
        faces = detector.detect(image)
        sizes = np.ptp(faces.boxes_xyxy[:, [0, 2]], axis=1)
        assert set(sizes.round()) == {64, 128}, "a large square is full of small ones"
        np.testing.assert_array_equal(embed(detector, image), faces.embeddings[sizes.argmax()])

    def test_of_a_picture_without_a_face_is_refused(self, whole):
        with pytest.raises(NoFaceError, match="no face"):
            embed(InsightDetector(str(whole)), tiny_onnx.picture())

    def test_by_a_detector_that_knows_no_identities_is_refused(self, pack):
        (pack / "rec.onnx").unlink()
        with pytest.raises(SettingsError, match="cannot tell people apart"):
            embed(InsightDetector(str(pack)), tiny_onnx.picture((184, 120)))
