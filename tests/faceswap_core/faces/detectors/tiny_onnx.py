"""Tiny ONNX files with the layouts of SCRFD, ArcFace, the 106 points and YuNet, for the real loaders.

To the two detectors a face is a pure red square with a side of 64, 128 or 256 px (strides 8, 16, 32) whose corner
lies on a multiple of the stride. Its five points lie at ``POINTS`` within it.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
HALF = 4
"""Half the side of a face, in strides."""
POINTS = np.array([[0.325, 0.375], [0.675, 0.375], [0.5, 0.525], [0.36, 0.7], [0.64, 0.7]], np.float32)
"""Eyes, nose and mouth corners as shares of the square's side."""
EMBEDDING = 64


class Graph:
    """Collects nodes and constants."""

    def __init__(self, height="H", width="W"):
        self.input = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, height, width])
        self.nodes, self.constants, self.outputs = [], [], []

    def constant(self, values):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind, *inputs, to=None, **attributes):
        to = to or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [to], **attributes))
        return to

    def output(self, name, shape):
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def save(self, path):
        graph = helper.make_graph(self.nodes, "tiny", [self.input], self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def fullness(graph, rgb_weights, stride):
    """Probability of a face at every anchor, (1, 1, H/stride, W/stride): how red the square about it is."""
    weights = graph.constant(np.array(rgb_weights, np.float32).reshape(1, 3, 1, 1))
    red = graph.add("Conv", "input", weights)
    side = 2 * HALF * stride
    before = HALF * stride
    pads = [before, before, side - stride - before, side - stride - before]
    mean = graph.add("AveragePool", red, kernel_shape=[side] * 2, strides=[stride] * 2, pads=pads, count_include_pad=1)
    steep = graph.add("Mul", mean, graph.constant(np.float32(30)))
    return graph.add("Sigmoid", graph.add("Sub", steep, graph.constant(np.float32(25.5))))  # 0.5 where 85 % are red


def like(graph, column, values, to):
    """The same row of values beside every entry of a column."""
    nothing = graph.add("Mul", column, graph.constant(np.float32(0)))
    return graph.add("Add", nothing, graph.constant(np.asarray(values, np.float32)), to=to)


def offsets():
    """The five points from the anchor, in strides: (10,)."""
    return ((POINTS - 0.5) * 2 * HALF).ravel()


def write_scrfd(path, anchors=2, points=True):
    """Scores, boxes and points of three strides; rows are cells, then anchors. Input (RGB - 127.5) / 128."""
    graph = Graph()
    for stride in STRIDES:
        cells = graph.add("Reshape", fullness(graph, [0.5, -0.25, -0.25], stride), graph.constant([-1, 1]))
        twice = graph.add("MatMul", cells, graph.constant(np.ones((1, anchors), np.float32)))
        graph.add("Reshape", twice, graph.constant([-1, 1]), to=f"score{stride}")
        like(graph, f"score{stride}", [[HALF] * 4], to=f"box{stride}")
        if points:
            like(graph, f"score{stride}", offsets()[None], to=f"points{stride}")
    for name, width in (("score", 1), ("box", 4), ("points", 10))[: 3 if points else 2]:
        for stride in STRIDES:
            graph.output(f"{name}{stride}", [f"N{stride}", width])
    graph.save(path)


def write_yunet(path):
    """Class, object, box and point maps of three strides. Input BGR, 0 to 255."""
    graph = Graph()
    for stride in STRIDES:
        red = fullness(graph, [-0.5 / 255, -0.5 / 255, 1 / 255], stride)
        graph.add("Reshape", red, graph.constant([1, -1, 1]), to=f"cls_{stride}")
        graph.add("Identity", f"cls_{stride}", to=f"obj_{stride}")
        like(graph, f"cls_{stride}", [[[0, 0, *[np.log(2 * HALF)] * 2]]], to=f"bbox_{stride}")
        like(graph, f"cls_{stride}", offsets()[None, None], to=f"kps_{stride}")
    for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in STRIDES:
            graph.output(f"{name}_{stride}", [1, f"N{stride}", width])
    graph.save(path)


def write_arcface(path, seed=0):
    """(1, 3, 112, 112) -> (1, EMBEDDING): a coarse picture, randomly projected."""
    weights = np.random.default_rng(seed).standard_normal((3 * 7 * 7, EMBEDDING)).astype(np.float32)
    graph = Graph(112, 112)
    pooled = graph.add("AveragePool", "input", kernel_shape=[16, 16], strides=[16, 16])
    graph.add("MatMul", graph.add("Flatten", pooled), graph.constant(weights), to="vector")
    graph.output("vector", [1, EMBEDDING])
    graph.save(path)


def put_weights_elsewhere(path):
    """Move a network's weights into a file beside it, as large networks are kept."""
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)


def ellipse():
    """106 points about (0, 0) in units of half the crop's side."""
    angle = np.linspace(0, 2 * np.pi, 106, endpoint=False)
    return np.stack([0.5 * np.cos(angle), 0.6 * np.sin(angle)], 1).astype(np.float32)


def write_landmarks(path, numbers=212):
    """(1, 3, 192, 192) -> (1, numbers) in -1..1: always the same ellipse."""
    graph = Graph(192, 192)
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", "input"))
    nothing = graph.add("MatMul", pooled, graph.constant(np.zeros((3, numbers), np.float32)))
    graph.add("Add", nothing, graph.constant(np.resize(ellipse(), (1, numbers))), to="points")
    graph.output("points", [1, numbers])
    graph.save(path)


def write_pack(folder: Path) -> Path:
    """A pack as InsightFace has them, with a network that is not used."""
    folder.mkdir(parents=True)
    write_scrfd(folder / "det.onnx")
    write_landmarks(folder / "2d106.onnx")
    write_landmarks(folder / "1k3d68.onnx", numbers=3309)
    write_arcface(folder / "rec.onnx")
    return folder


def picture(*corners, size_hw=(360, 640), side=64):
    """Grey image with red squares whose top left corners lie at (x, y)."""
    image = np.full((*size_hw, 3), 90, np.uint8)
    for x, y in corners:
        image[y : y + side, x : x + side] = (255, 0, 0)
    return image


def points_at(x, y, side=64):
    """Five points of a square, in px."""
    return POINTS * side + [x, y]
