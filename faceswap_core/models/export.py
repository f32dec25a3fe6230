"""network -> ONNX: views of one person in, the swap and the redrawn views out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from faceswap_core.errors import EnvironmentFault, FaceswapError
from faceswap_core.models import FaceNetwork
from faceswap_core.types import F32

OUTPUTS = ("swapped", "redrawn")
TOLERANCE = 1e-3
"""Largest difference, of 1, between what both draw."""


class _Swap(nn.Module):
    """What the swap asks of a network: D_target(E(x)) and D_source(E(x))."""

    def __init__(self, network: FaceNetwork, source: int, target: int) -> None:
        super().__init__()
        self.network, self.source, self.target = network, source, target

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        codes = self.network.encode(views, [self.source])
        return self.network.decode(codes, self.target), self.network.decode(codes, self.source)


def export_onnx(
    network: FaceNetwork,
    resolution: int,
    path: Path,
    *,
    source: int,
    target: int,
    about: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Write a network as ONNX, with ``about`` as the file's metadata, and check it against itself.

    The graph takes ``views`` (N, 3, R, R) float32 0..1 of side ``source`` in the common colour space and gives
    ``swapped`` and ``redrawn`` (N, 4, R, R) RGBA 0..1; N is free.

    Returns:
        the largest difference between both, over random views.

    Raises:
        EnvironmentFault: the exporter or ONNX Runtime is not installed.
        FaceswapError: they differ by more than a thousandth.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 (torch's exporter needs it)
    except ImportError as error:
        raise EnvironmentFault(
            f"export to ONNX lacks {error.name}: pip install 'faceswap-pipeline[export]' and try again"
        ) from error
    swap = _Swap(network.eval().cpu(), source, target).eval()
    example = torch.rand(3, 3, resolution, resolution, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(
        swap,
        (example[:2],),
        path,
        input_names=["views"],
        output_names=list(OUTPUTS),
        dynamic_shapes={"views": {0: torch.export.Dim("faces", min=1, max=4096)}},
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(about))
    onnx.save(model, path)
    with torch.inference_mode():
        wanted = [out.numpy() for out in swap(example)]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    made: list[F32] = session.run(list(OUTPUTS), {"views": example.numpy()})
    difference = max(float(np.abs(a - b).max()) for a, b in zip(made, wanted, strict=True))
    if not difference <= TOLERANCE:
        raise FaceswapError(f"{path} draws otherwise than the network, by {difference:.2g} of 1: do not use it")
    return difference
