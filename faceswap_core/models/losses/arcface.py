"""shown views -> how unlike the person they look to a recognition network of an InsightFace pack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceswap_core.errors import ModelMissingError
from faceswap_core.models.losses.files import ARCFACE_HOW
from faceswap_core.models.losses.shown import Shown
from faceswap_core.onnxfile import read_onnx

_SIDE = 112


def _conv(inputs: list[Tensor], how: dict[str, Any]) -> Tensor:
    top, left, bottom, right = how.get("pads", [0, 0, 0, 0])
    x = functional.pad(inputs[0], (left, right, top, bottom))
    stride, dilation = how.get("strides", [1, 1]), how.get("dilations", [1, 1])
    bias = inputs[2] if len(inputs) > 2 else None
    return functional.conv2d(x, inputs[1], bias, stride, 0, dilation, how.get("group", 1))


def _batch_norm(inputs: list[Tensor], how: dict[str, Any]) -> Tensor:
    x, weight, bias, mean, var = inputs
    return functional.batch_norm(x, mean, var, weight, bias, training=False, eps=how.get("epsilon", 1e-5))


def _gemm(inputs: list[Tensor], how: dict[str, Any]) -> Tensor:
    weight = inputs[1] if how.get("transB", 0) else inputs[1].t()
    out: Tensor = functional.linear(inputs[0], weight) * how.get("alpha", 1.0)
    if len(inputs) > 2:
        out = out + inputs[2] * how.get("beta", 1.0)
    return out


_OPERATIONS: dict[str, Callable[[list[Tensor], dict[str, Any]], Tensor]] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "PRelu": lambda x, how: functional.prelu(x[0], x[1].flatten()),
    "Relu": lambda x, how: functional.relu(x[0]),
    "Add": lambda x, how: x[0] + x[1],
    "Flatten": lambda x, how: x[0].flatten(how.get("axis", 1)),
    "Identity": lambda x, how: x[0],
    "Dropout": lambda x, how: x[0],
}
"""What the graphs of the packs' recognition networks (IResNet) are made of."""


class Arcface(nn.Module):
    """1 - cosine of the embeddings of drawn and wanted views (Deng et al. 2019).

    The graph is walked in torch, so that gradients pass; its weights are buffers that no checkpoint holds.
    """

    grid: Tensor

    def __init__(self, path: Path, matrix: tuple[float, ...]) -> None:
        """Read the graph.

        Args:
            path: ONNX file.
            matrix: rows of the 2x3 map from places of the network's 112 px crop to places of the view, both as
                shares from -1 to 1.

        Raises:
            ModelMissingError: the file is no such network, or names other files.
        """
        import onnx  # slow to import

        super().__init__()
        graph = read_onnx(path, remedy=ARCFACE_HOW).graph
        unknown = sorted({node.op_type for node in graph.node} - set(_OPERATIONS))
        if unknown or not graph.node:
            raise ModelMissingError(f"{path} has operations {unknown} that no recognition network has: {ARCFACE_HOW}")
        self._names: dict[str, str] = {}
        for number, tensor in enumerate(graph.initializer):
            self._names[tensor.name] = f"weight_{number}"
            value = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
            self.register_buffer(f"weight_{number}", value, persistent=False)
        self._input = next(i.name for i in graph.input if i.name not in self._names)
        self._nodes = [
            (n.op_type, list(n.input), n.output[0], {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute})
            for n in graph.node
        ]
        theta = torch.tensor(matrix).view(1, 2, 3)
        grid = functional.affine_grid(theta, [1, 3, _SIDE, _SIDE], align_corners=False)
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, shown: Shown) -> Tensor:
        """Mean over the views."""
        made = shown.made * shown.face + shown.target * (1 - shown.face) if shown.mask_weight else shown.made
        return (1 - functional.cosine_similarity(self.embedded(made), self.embedded(shown.target))).mean()

    def embedded(self, views: Tensor) -> Tensor:
        """Embeddings (N, E) of views (N, 3, r, r) 0..1 RGB."""
        crops = functional.grid_sample(views, self.grid.expand(len(views), -1, -1, -1), align_corners=False)
        values: dict[str, Tensor] = {self._input: crops * 2 - 1}
        for kind, inputs, output, how in self._nodes:
            found = [values[i] if i in values else getattr(self, self._names[i]) for i in inputs if i]
            values[output] = _OPERATIONS[kind](found, how)
        return values[output].float()
