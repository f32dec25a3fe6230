"""training state <-> safetensors + JSON, switched atomically; no pickle anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from faceswap_core.errors import ManifestError
from faceswap_core.storage import atomic_path, sha256_file
from faceswap_core.types import Json

_KEEP = 2
POINTER = "latest.json"


def save_training(folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Adam, facts: Json) -> None:
    """Write all modules and the optimiser's moments, then point ``latest.json`` at them.

    Args:
        folder: the training's folder.
        modules: by their name in the file; ``network`` is the one that is trained.
        optimizer: Adam over the parameters of ``network``, in their order.
        facts: ``step``, ``seed`` (random numbers are a function of seed and step) and whatever else is to be kept.
    """
    tensors = {f"{name}.{k}": v for name, module in modules.items() for k, v in module.state_dict().items()}
    for name, parameter in modules["network"].named_parameters():
        state = optimizer.state[parameter]
        tensors |= {f"adam.{name}.{k}": state[k] for k in ("exp_avg", "exp_avg_sq", "step")}
    path = folder / f"step-{facts['step']:08d}.safetensors"
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}))
    pointer = {**facts, "file": path.name, "sha256": sha256_file(path)}
    with atomic_path(folder / POINTER) as temporary:
        temporary.write_text(json.dumps(pointer, indent=1))
    for old in sorted(folder.glob("step-*.safetensors"))[:-_KEEP]:
        old.unlink()


def load_training(folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Adam) -> Json | None:
    """Bring back the latest state; None where there is none.

    Raises:
        ManifestError: the file that the pointer names is gone or altered.
    """
    pointer = folder / POINTER
    if not pointer.is_file():
        return None
    try:
        facts: Json = json.loads(pointer.read_text())
        path = folder / Path(str(facts["file"])).name
        if not path.is_file() or sha256_file(path) != facts["sha256"]:
            raise ManifestError(f"checkpoint {path} is missing or altered: remove the folder {folder} to train anew")
        tensors = load_file(path)
        for name, module in modules.items():
            module.load_state_dict(_part(tensors, f"{name}."))
        for name, parameter in modules["network"].named_parameters():
            # the moments lie in memory as the weights do: the fused Adam walks both side by side
            optimizer.state[parameter] = {"step": tensors[f"adam.{name}.step"].to(parameter.device)} | {
                key: torch.empty_like(parameter, requires_grad=False).copy_(tensors[f"adam.{name}.{key}"])
                for key in ("exp_avg", "exp_avg_sq")
            }
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"checkpoint {pointer} cannot be used ({error}): remove {folder} to train anew") from error
    return facts


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def save_weights(path: Path, network: nn.Module, facts: Json) -> None:
    """Write weights alone, with facts as JSON in the file's metadata, to a temporary path."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    path.write_bytes(save(tensors, metadata={"faceswap": json.dumps(facts, sort_keys=True)}))


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill a network from a weights file.

    Raises:
        ManifestError: the file is no safetensors file or does not fit the network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ManifestError(f"weights {path} do not fit the network ({error}): train again or name others") from error
