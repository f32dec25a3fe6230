"""finished weights -> an ONNX file of one direction of the swap."""

from __future__ import annotations

from pathlib import Path

import torch

from faceswap_core.models.export import export_onnx
from faceswap_core.stages.weights import Swapper, finished_weights
from faceswap_core.storage import Workspace, atomic_path
from faceswap_core.types import Json


def export_network(checkpoint: Path, output: Path, source: str = "") -> Json:
    """Write ``output``; it appears only once its drawings equal the network's.

    Args:
        checkpoint: checkpoint folder or weights file.
        output: file to write.
        source: subject of the plate; the first one if empty.

    Returns:
        output, sides (plate's subject first), resolution, and the largest difference of 1 to the network.

    Raises:
        SettingsError: no finished training, or no such subject.
        EnvironmentFault: the exporter is not installed.
    """
    swapper = Swapper(Workspace(checkpoint.parent), finished_weights(checkpoint), torch.device("cpu"))
    sides = swapper.facts.sides
    number = swapper.facts.side_of(source) if source else 0
    with atomic_path(output) as temporary:
        difference = export_onnx(swapper.network, swapper.resolution, temporary, source=number, target=1 - number)
    ordered = [sides[number], sides[1 - number]]
    return {"output": str(output), "sides": ordered, "resolution": swapper.resolution, "difference": difference}
