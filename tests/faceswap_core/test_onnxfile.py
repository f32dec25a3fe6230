import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from faceswap_core.errors import ModelMissingError
from faceswap_core.onnxfile import read_onnx


def outside(name="w", location="../../secret.bin"):
    """A tensor whose bytes are said to lie in another file."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    return tensor


def model(nodes=(), weights=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    nodes = nodes or [helper.make_node("Add", ["x", "w"], ["y"])]
    return helper.make_model(helper.make_graph(list(nodes), "g", [x], [y], list(weights)))


def as_weight():
    return model(weights=[outside()])


def as_attribute():
    return model(nodes=[helper.make_node("Constant", [], ["y"], value=outside())])


def in_an_inner_graph():
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    inner = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "inner", [], [y], [outside()])
    return model(nodes=[helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)])


def in_a_function():
    made = model()
    body = [helper.make_node("Constant", [], ["y"], value=outside())]
    made.functions.append(helper.make_function("own", "f", ["x"], ["y"], body, made.opset_import))
    return made


@pytest.mark.parametrize("make", [as_weight, as_attribute, in_an_inner_graph, in_a_function])
def test_weights_in_another_file_are_refused_and_that_is_not_opened(tmp_path, make):
    path = tmp_path / "a" / "b" / "net.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(make().SerializeToString())
    with pytest.raises(ModelMissingError, match=r"net\.onnx cannot be loaded .*secret\.bin") as caught:
        read_onnx(path, remedy="")
    assert caught.value.exit_code == 3


def test_weights_in_the_file_itself_are_read(tmp_path):
    weight = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    onnx.save(model(weights=[weight]), tmp_path / "net.onnx")
    found = read_onnx(tmp_path / "net.onnx", remedy="")
    assert numpy_helper.to_array(found.graph.initializer[0]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("data", [b"<html>404</html>", b"\x0a\xff\xff\xff\xff\x0f"])
def test_what_is_no_network_is_refused_with_the_remedy(tmp_path, data):
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(ModelMissingError, match="fetch it again"):
        read_onnx(tmp_path / "net.onnx", remedy="fetch it again")
