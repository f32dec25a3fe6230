from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from test_loop import RECIPE

from faceswap_core.errors import FaceswapError
from faceswap_core.models import export
from faceswap_core.models.loop import build_network

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own libraries


def test_exported_network_draws_what_the_network_draws(tmp_path):
    network = build_network(replace(RECIPE, seed=3)).eval()
    network.encoder.norm.settle(torch.randn(64, 8, generator=torch.Generator().manual_seed(3)) * 3, 0)
    path = tmp_path / "a-to-b.onnx"
    assert export.export_onnx(network, 64, path, source=0, target=1) < 1e-3
    views = np.random.default_rng(0).random((5, 3, 64, 64), np.float32)
    swapped, redrawn = onnxruntime.InferenceSession(str(path)).run(["swapped", "redrawn"], {"views": views})
    with torch.inference_mode():
        np.testing.assert_allclose(swapped, network(torch.from_numpy(views), 0, 1).numpy(), atol=1e-3)
        np.testing.assert_allclose(redrawn, network(torch.from_numpy(views), 0, 0).numpy(), atol=1e-3)
    assert np.abs(swapped - redrawn).max() > 3e-3


def test_file_that_draws_otherwise_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(FaceswapError, match="otherwise than the network"):
        export.export_onnx(build_network(RECIPE), 64, tmp_path / "x.onnx", source=0, target=1)
