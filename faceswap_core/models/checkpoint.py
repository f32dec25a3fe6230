"""training state <-> safetensors + JSON, switched atomically; no pickle anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from faceswap_core.errors import ManifestError, SettingsError
from faceswap_core.models.parallel import place
from faceswap_core.storage import atomic_path, sha256_file
from faceswap_core.types import Json

POINTER = "latest.json"
STATES = "step-*.safetensors"
"""Files of the states that the pointer lists."""
Moments: TypeAlias = Mapping[str, tuple[Optimizer, Mapping[str, nn.Parameter]]]
NO_MOMENTS: Moments = MappingProxyType({})


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Store:
    """The checkpoints of one training: a folder with some files, and a pointer to the latest."""

    folder: Path
    """Where they lie."""
    keep_last: int = 2
    """How many of the latest are kept."""
    keep_best: int = 0
    """How many of those with the lowest score are kept beside them."""
    saved: Callable[[], None] = _nothing
    """Called after each."""

    def save(self, modules: Mapping[str, nn.Module], moments: Moments, facts: Json, score: float | None) -> None:
        """Write all modules and the optimisers' moments aside, then point ``latest.json`` at them.

        Args:
            modules: by their name in the file.
            moments: optimiser and parameters of each turn.
            facts: ``step``, and whatever else is to be kept.
            score: what says how good it is; less is better.
        """
        if place()[0] != 0:
            return
        tensors = {f"{name}.{k}": v for name, module in modules.items() for k, v in module.state_dict().items()}
        for turn, (optimizer, parameters) in moments.items():
            for name, parameter in parameters.items():
                state = optimizer.state[parameter]
                tensors |= {f"moments.{turn}.{name}.{k}": v for k, v in state.items() if isinstance(v, Tensor)}
        path = self.folder / f"step-{facts['step']:08d}.safetensors"
        with atomic_path(path) as temporary:
            temporary.write_bytes(save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}))
        entry = {"file": path.name, "sha256": sha256_file(path), "step": facts["step"], "score": score}
        kept = self._kept([*(e for e in self.listed() if e["file"] != path.name), entry])
        pointer = {**facts, "file": path.name, "sha256": entry["sha256"], "kept": kept}
        with atomic_path(self.folder / POINTER) as temporary:
            temporary.write_text(json.dumps(pointer, indent=1))
        for old in self.folder.glob(STATES):
            if old.name not in {e["file"] for e in kept}:
                old.unlink()
        self.saved()

    def _kept(self, entries: list[Json]) -> list[Json]:
        scored = sorted((e for e in entries if e["score"] is not None), key=lambda e: float(e["score"]))
        chosen = {e["file"] for e in [*entries[-self.keep_last :], *scored[: self.keep_best]]}
        return [e for e in entries if e["file"] in chosen]

    def listed(self) -> list[Json]:
        """Checkpoints that are kept, by their order in time: file, sha256, step, score.

        Raises:
            ManifestError: the pointer is damaged.
        """
        pointer = self.folder / POINTER
        if not pointer.is_file():
            return []
        with damage_named(self.folder):
            kept: list[Json] = json.loads(pointer.read_text())["kept"]
            return [{**e, "file": str(e["file"]), "score": e["score"] and float(e["score"])} for e in kept]

    def best(self) -> Json | None:
        """That of the lowest score, the earliest of equal ones; None where none has a score."""
        return min((e for e in self.listed() if e["score"] is not None), key=lambda e: float(e["score"]), default=None)

    def load(self, modules: Mapping[str, nn.Module], moments: Moments) -> Json | None:
        """Bring back the latest state; None where there is none.

        Raises:
            ManifestError: the file that the pointer names is gone, altered, or of another network.
        """
        pointer = self.folder / POINTER
        if not pointer.is_file():
            return None
        with damage_named(self.folder):
            facts: Json = json.loads(pointer.read_text())
        self.load_from(facts, modules, moments)
        return facts

    def load_from(
        self, entry: Json, modules: Mapping[str, nn.Module], moments: Moments = NO_MOMENTS, cure: str = ""
    ) -> None:
        """Bring back a state that `listed` names, or as much of it as is asked for.

        Args:
            entry: ``file`` and ``sha256``.
            modules: what is filled.
            moments: the same of the optimisers.
            cure: what to do where the file cannot be used; by default to train anew.

        Raises:
            ManifestError: its file is gone, altered, or of another network.
        """
        cure = cure or f"remove the folder {self.folder} to train anew"
        try:
            path = self.folder / Path(str(entry["file"])).name
            if not path.is_file() or sha256_file(path) != entry["sha256"]:
                raise ManifestError(f"checkpoint {path} is missing or altered: {cure}")
            tensors = load_file(path)
            for name, module in modules.items():
                module.load_state_dict(_part(tensors, f"{name}."))
            for turn, (optimizer, parameters) in moments.items():
                for name, parameter in parameters.items():
                    optimizer.state[parameter] = _moments_of(_part(tensors, f"moments.{turn}.{name}."), parameter)
        except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
            raise ManifestError(f"checkpoint of {self.folder} cannot be used ({str(error)[:300]}): {cure}") from error


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Turn what a damaged pointer makes its reader raise into ManifestError."""
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ManifestError(f"{folder / POINTER} is damaged ({error!r}): remove {folder} to train anew") from error


def _moments_of(found: dict[str, Tensor], parameter: nn.Parameter) -> dict[str, Tensor]:
    """Moments in memory as the weights lie there: fused optimisers walk both side by side."""
    if not found:
        raise KeyError("moments of the optimiser")
    return {
        key: value.to(parameter.device)
        if value.shape != parameter.shape
        else torch.empty_like(parameter, requires_grad=False).copy_(value)
        for key, value in found.items()
    }


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


def warm_start(path: Path, network: nn.Module) -> int:
    """Fill what of a network has the same name and shape in a weights file; returns how many tensors.

    Raises:
        SettingsError: no tensor of the file fits.
        ManifestError: the file is no safetensors file.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ManifestError(f"{path} is no weights file ({error}): name a checkpoint's weights") from error
    own = network.state_dict()
    fitting = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise SettingsError(f"no tensor of {path} has the name and shape of one of this network: name other weights")
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
