"""checkpoint folder here <-> the same folder of a workspace in a bucket; of a local workspace they are one."""

from __future__ import annotations

import json
from fnmatch import fnmatch

from faceswap_core import layout
from faceswap_core.errors import ManifestError, SettingsError
from faceswap_core.models.checkpoint import POINTER, STATES
from faceswap_core.stages.weights import FINISHED, finished_weights
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json


def fetch_training(workspace: Workspace, folder: str) -> None:
    """Have what a training goes on from: its latest state, its facts and its pictures.

    Args:
        workspace: where it is.
        folder: checkpoint folder, relative.
    """
    if workspace.store is None:
        return
    latest = {f"{folder}/{entry['file']}" for entry in _kept(workspace, folder)[-1:]}
    workspace.pull(folder, lambda name: not name.endswith(".safetensors") or name in latest)


def send_training(workspace: Workspace, folder: str) -> None:
    """Let the bucket have the newest state: states first, then the list that names them; old ones go last."""
    if workspace.store is None:
        return
    workspace.push(folder)
    kept = {f"{folder}/{entry['file']}" for entry in _kept(workspace, folder)}
    for name in workspace.store.entries(f"{folder}/"):
        if fnmatch(name, f"{folder}/{STATES}") and name not in kept:
            workspace.remove(name)


def ended_trainings(workspace: Workspace) -> list[str]:
    """Checkpoint folders with finished weights, relative, the oldest first; their pointers are here then."""
    names = workspace.pull(layout.CHECKPOINTS, lambda name: fnmatch(name, f"{layout.CHECKPOINTS}/*/{FINISHED}"))
    return [name.rpartition("/")[0] for name in names]


def newest_weights(workspace: Workspace) -> FileRef:
    """The weights of the training that ended last in a workspace.

    Raises:
        SettingsError: none has ended there.
        ManifestError: they were altered.
    """
    ended = ended_trainings(workspace)
    if not ended:
        raise SettingsError(
            f"no training has ended in {workspace.address}: run the job first, or name a finished one by train.model"
        )
    fetch_finished(workspace, ended[-1])
    return finished_weights(workspace.path(ended[-1]))


def fetch_finished(workspace: Workspace, folder: str) -> None:
    """Have the weights that the pointer of a finished training names.

    Raises:
        ManifestError: the pointer is damaged.
    """
    pointer = workspace.read(f"{folder}/{FINISHED}")
    try:
        named: Json = json.loads(pointer or b"{}")
        workspace.localize(f"{folder}/{named['file']}", str(named["sha256"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{folder}/{FINISHED} names no weights ({error!r}): train again") from error


def _kept(workspace: Workspace, folder: str) -> list[Json]:
    """The states that the pointer names, the latest last."""
    pointer = workspace.read(f"{folder}/{POINTER}")
    try:
        facts: Json = json.loads(pointer) if pointer else {"kept": []}
        return sorted(facts["kept"], key=lambda entry: bool(entry["file"] == facts["file"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{folder}/{POINTER} of {workspace.address} cannot be used ({error!r}): remove that folder to train anew"
        ) from error
