"""job + finished weights -> an ONNX file of its swap, by leave of both people and on the list of what is theirs."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from faceswap_core.config import JobSettings
from faceswap_core.errors import SettingsError
from faceswap_core.models.export import export_onnx
from faceswap_core.stages.checkpoints import ended_trainings, fetch_finished
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.stages.lineage import note_made
from faceswap_core.stages.weights import Swapper, finished_weights
from faceswap_core.storage import Workspace, atomic_path, sha256_file
from faceswap_core.types import Json

SUFFIX = ".onnx"


def export_network(job: JobSettings, output: Path, checkpoint: Path | None = None, *, allow_test: bool = False) -> Json:
    """Write ``output``; it appears only once its drawings equal the network's.

    A file that is handed on is the learned face itself: both records must still allow training, whatever the job does.
    The file names them, and a purge of one finds it by the list of the job's workspace.

    Args:
        job: whose subjects, records and direction count.
        output: file to write.
        checkpoint: checkpoint folder or weights file; by default ``train.model``, else the one of the workspace.
        allow_test: whether records of kind test count.

    Returns:
        output, sides (plate's subject first), resolution, and the largest difference of 1 to the network.

    Raises:
        ConsentError: the records do not allow it, or are not those under which the network was trained.
        SettingsError: no finished training, several, no such subject, or a file of another kind.
        EnvironmentFault: the exporter is not installed.
    """
    if output.suffix.lower() != SUFFIX:
        raise SettingsError(f"{output} is to be an ONNX file: let its name end with {SUFFIX}")
    workspace = Workspace(job.workspace)
    grants = ConsentGate(job, allow_test=allow_test).check("the export of the network", training=True)
    weights = finished_weights(checkpoint or job.train.model or _only_training(workspace))
    check_model(workspace, weights, grants)
    swapper = Swapper(workspace, weights, torch.device("cpu"))
    sides = (job.plate.subject, job.swap.to)
    source, target = map(swapper.facts.side_of, sides)
    about = {"consents": json.dumps(grants, sort_keys=True), "weights_sha256": weights["sha256"]}
    with atomic_path(output) as temporary:
        difference = export_onnx(
            swapper.network, swapper.resolution, temporary, source=source, target=target, about=about
        )
        note_made(workspace, {"consents": grants}, [(str(output.absolute()), sha256_file(temporary))])
    return {
        "output": str(output),
        "sides": list(sides),
        "resolution": swapper.resolution,
        "difference": difference,
        "consents": grants,
    }


def _only_training(workspace: Workspace) -> Path:
    """The checkpoint folder of a workspace's one finished training."""
    found = sorted(ended_trainings(workspace))
    if len(found) != 1:
        raise SettingsError(
            f"workspace {workspace.address} holds {len(found)} finished trainings "
            f"({', '.join(Path(folder).name for folder in found) or 'run the job first'}): name one with --checkpoint"
        )
    fetch_finished(workspace, found[0])
    return workspace.path(found[0])
