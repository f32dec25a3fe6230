"""Perceptual losses, with small networks of the same layers written to files as the real ones are."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from faceswap_core.errors import ModelMissingError
from faceswap_core.models.losses.arcface import Arcface
from faceswap_core.models.losses.files import ARCFACE_HOW, VGG_HOW, weight_file
from faceswap_core.models.losses.perceptual import Vgg

WHOLE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CONVOLUTIONS = {0: (3, 4), 2: (4, 4), 5: (4, 6), 7: (6, 6), 10: (6, 8), 12: (8, 8), 14: (8, 8)}
CONVOLUTIONS |= {17: (8, 8), 19: (8, 8), 21: (8, 8)}


@pytest.fixture
def vgg_file(tmp_path):
    torch.manual_seed(0)
    tensors = {}
    for number, (inputs, outputs) in CONVOLUTIONS.items():
        tensors[f"features.{number}.weight"] = torch.randn(outputs, inputs, 3, 3) / 5
        tensors[f"features.{number}.bias"] = torch.randn(outputs) / 10
    save_file({**tensors, "classifier.0.weight": torch.zeros(2)}, tmp_path / "vgg.safetensors")
    return tmp_path / "vgg.safetensors"


@pytest.fixture
def face_file(tmp_path):
    """Convolution, normalisation, slope, sum, flattening and a dense layer: what the recognition graphs hold."""
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 3, 3, 3), "b": (4,), "g": (4,), "h": (4,), "m": (4,), "v": (4,), "s": (4, 1, 1)}
    shapes |= {"p": (4, 4, 1, 1), "d": (5, 4 * 14 * 14), "e": (5,)}
    values = {k: rng.normal(0, 0.3, shape).astype(np.float32) for k, shape in shapes.items()}
    values["v"] = np.abs(values["v"]) + 0.5
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["1"], strides=[4, 4], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["1", "g", "h", "m", "v"], ["2"], epsilon=1e-5),
        helper.make_node("PRelu", ["2", "s"], ["3"]),
        helper.make_node("Conv", ["3", "p"], ["4"], strides=[2, 2]),
        helper.make_node("Conv", ["3", "p"], ["5"], strides=[2, 2], pads=[0, 0, 0, 0]),
        helper.make_node("Add", ["4", "5"], ["6"]),
        helper.make_node("Flatten", ["6"], ["7"]),
        helper.make_node("Gemm", ["7", "d", "e"], ["y"], transB=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 112, 112])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])
    weights = [numpy_helper.from_array(v, k) for k, v in values.items()]
    model = helper.make_model(helper.make_graph(nodes, "face", [x], [y], weights), ir_version=8)
    model.opset_import[0].version = 13
    onnx.checker.check_model(model)
    onnx.save(model, str(tmp_path / "face.onnx"))
    return tmp_path / "face.onnx"


class TestBoth:
    @pytest.fixture(params=["vgg", "arcface"])
    def loss(self, request):
        if request.param == "vgg":
            return Vgg(request.getfixturevalue("vgg_file"))
        return Arcface(request.getfixturevalue("face_file"), WHOLE)

    def test_equal_views_cost_nothing_and_others_do(self, loss, pictures, turned):
        assert loss(replace(pictures, made=pictures.target)) == pytest.approx(0, abs=1e-6)
        assert loss(pictures) > 1e-3
        assert loss(turned(pictures)) == pytest.approx(float(loss(pictures)), rel=1e-4)

    def test_gradients_reach_the_drawn_view_and_nothing_is_trained_or_kept(self, loss, pictures):
        made = pictures.made.clone().requires_grad_()
        loss(replace(pictures, made=made)).backward()
        assert made.grad.abs().sum() > 0
        assert list(loss.parameters()) == []
        assert loss.state_dict() == {}

    def test_surroundings_of_the_face_do_not_count(self, loss, pictures):
        face = torch.zeros_like(pictures.face)
        face[..., 12:36, 12:36] = 1
        shown = replace(pictures, face=face)
        other = replace(shown, made=torch.where(face > 0, pictures.made, 1 - pictures.made))
        torch.testing.assert_close(loss(other), loss(shown))


def test_embedding_is_that_of_the_onnx_runtime(face_file):
    import onnxruntime

    views = torch.rand(2, 3, 112, 112)
    session = onnxruntime.InferenceSession(str(face_file), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": (views * 2 - 1).numpy()})
    np.testing.assert_allclose(Arcface(face_file, WHOLE).embedded(views).numpy(), wanted, atol=1e-4)


def test_crop_is_taken_where_the_matrix_says(face_file):
    views = torch.rand(1, 3, 224, 224)
    shifted = Arcface(face_file, (0.5, 0.0, -0.5, 0.0, 0.5, 0.5)).embedded(views)
    torch.testing.assert_close(shifted, Arcface(face_file, WHOLE).embedded(views[..., 112:, :112]), atol=1e-4, rtol=0)


class TestFiles:
    def test_file_with_its_digest_is_taken(self, vgg_file):
        digest = hashlib.sha256(vgg_file.read_bytes()).hexdigest()
        assert weight_file((str(vgg_file), digest), VGG_HOW) == vgg_file

    @pytest.mark.parametrize("how", [VGG_HOW, ARCFACE_HOW])
    def test_what_is_not_there_is_said_with_the_command_that_gets_it(self, how, tmp_path, vgg_file):
        for named in (None, (str(tmp_path / "none"), "0" * 64), (str(vgg_file), "0" * 64)):
            with pytest.raises(ModelMissingError, match="sha256sum") as caught:
                weight_file(named, how)
            assert caught.value.exit_code == 3

    def test_file_of_something_else_is_refused(self, tmp_path):
        save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
        (tmp_path / "text").write_text("no network")
        for path in (tmp_path / "other.safetensors", tmp_path / "text"):
            with pytest.raises(ModelMissingError, match="VGG16"):
                Vgg(path)
        with pytest.raises(ModelMissingError):
            Arcface(tmp_path / "text", WHOLE)

    def test_graph_with_its_weights_elsewhere_is_refused(self, face_file):
        onnx.save_model(onnx.load(face_file), face_file, save_as_external_data=True, location="w", size_threshold=0)
        with pytest.raises(ModelMissingError, match="lies in another file"):
            Arcface(face_file, WHOLE)

    def test_graph_of_other_operations_is_refused_by_their_names(self, tmp_path):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 112, 112])
        graph = helper.make_graph([helper.make_node("Sin", ["x"], ["y"])], "g", [x], [x])
        onnx.save(helper.make_model(graph), str(tmp_path / "sin.onnx"))
        with pytest.raises(ModelMissingError, match="Sin"):
            Arcface(tmp_path / "sin.onnx", WHOLE)
