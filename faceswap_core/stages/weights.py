"""weights file -> network with what must be known to use it: sides, view, colours."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from faceswap_core.config import AlignSettings, RuntimeSettings, TrainSettings
from faceswap_core.config_align import VIEWS
from faceswap_core.errors import EnvironmentFault, ManifestError, SettingsError
from faceswap_core.faces.color import ColorMap, missed_light
from faceswap_core.faces.occlusion import unobstructed
from faceswap_core.models import MODELS, Build
from faceswap_core.models.blocks import channels_last
from faceswap_core.models.checkpoint import load_weights
from faceswap_core.stages.judged import GARBAGE, allowed, built, rgb
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.types import F32, F64, FileRef, Json

FINISHED = "finished.json"
"""File in a checkpoint folder that names the finished weights."""


@dataclass(frozen=True)
class ColorFacts:
    """Colours of one side's whole training set."""

    mean: F64
    """(3,) 0..255."""
    to_common: ColorMap
    """Brings this side's colours to the common space, that of the second side."""


@dataclass(frozen=True)
class WeightsFacts:
    """What stands in the metadata of a weights file."""

    model: str
    """Name in MODELS."""
    build: Build
    """Shape of the network."""
    sides: tuple[str, str]
    """Names of the two subjects; the first is side 0."""
    coverage: float
    """Side of the view as a share of the chip's side."""
    eye_distance: float
    """Distance of the eyes as a share of the view's side."""
    centre: float
    """Height of the view's centre below the eyes, in eye distances."""
    step: int
    """Training steps."""
    colors: tuple[ColorFacts, ColorFacts]
    """Colours of both sides."""
    consents: dict[str, str]
    """record_id of the consent record that each subject was learned under."""
    kinds: dict[str, str]
    """Kind of that record: one that no key signs must not stand in for a person's."""

    def side_of(self, subject: str) -> int:
        """0 or 1.

        Raises:
            SettingsError: the network was not trained on this subject.
        """
        if subject not in self.sides:
            raise SettingsError(f"the model was trained on {list(self.sides)}, not on {subject!r}: use those names")
        return self.sides.index(subject)

    def to_plate(self, source: int, target: int) -> ColorMap:
        """Common space -> what is laid into the plate: the target's own contrast about the plate's mean colours.

        The spread that side A was given for the network is not undone: it is that of A's face, of its beard and brows
        and complexion, and would stretch the eyes and teeth of B by as much.
        """
        mean, common = self.colors[target].mean, self.colors[target].to_common
        own, plate = common.inverse(), self.colors[source].to_common.inverse()
        there = plate.scale * (common.scale * mean + common.shift) + plate.shift
        return ColorMap(own.scale, own.shift + there - mean)


def read_facts(path: Path) -> WeightsFacts:
    """Facts of a weights file.

    Raises:
        ManifestError: the file is no weights file of ours.
    """
    try:
        with safe_open(path, "pt") as file:
            data: Json = json.loads((file.metadata() or {})["faceswap"])
        sides = (str(data["sides"][0]), str(data["sides"][1]))
        colors = [
            ColorFacts(rgb(c["mean"]), ColorMap(rgb(c["scale"]), rgb(c["shift"])))
            for c in (data["colors"][name] for name in sides)
        ]
        model, build = str(data["model"]), allowed(data["build"])
        if model not in MODELS:
            raise ValueError(f"a network {model!r} is not known")
        return WeightsFacts(
            model=model,
            build=build,
            sides=sides,
            coverage=float(data["coverage"]),
            eye_distance=float(data["eye_distance"]),
            centre=float(data.get("centre", VIEWS["face"]["centre"])),  # older files know one view
            step=int(data["step"]),
            colors=(colors[0], colors[1]),
            consents={str(name): str(grant["record"]) for name, grant in data.get("consents", {}).items()},
            kinds={str(name): str(grant["kind"]) for name, grant in data.get("consents", {}).items()},
        )
    except GARBAGE as error:
        raise ManifestError(
            f"{path} is no weights file of this program ({str(error)[:300]}): name a finished checkpoint"
        ) from error


def check_view(facts: WeightsFacts, align: AlignSettings) -> None:
    """Refuse chips that show another part of the face than those the network learned from.

    Raises:
        SettingsError: ``align`` differs from the training's.
    """
    for name in ("coverage", "eye_distance", "centre"):
        learned, given = getattr(facts, name), getattr(align, name)
        if learned != given:
            raise SettingsError(
                f"the model was trained with align.{name} {learned}, the job has {given}: use the model's"
            )


def check_network(facts: WeightsFacts, settings: TrainSettings) -> None:
    """Refuse a finished model that is not the network the settings ask for.

    Raises:
        SettingsError: name or shape differ, as far as the settings say other than they would by themselves.
    """
    has = {"model_name": facts.model, **asdict(facts.build)}
    other = {f"train.{k}": v for k, v in settings.asked_for().items() if has[k] != v}
    if other:
        found = ", ".join(f"{k.removeprefix('train.')} {has[k.removeprefix('train.')]}" for k in other)
        raise SettingsError(f"the job asks for {other}, the finished model has {found}: leave those settings out")


def finished_weights(folder: Path) -> FileRef:
    """The finished weights of a checkpoint folder, checked; a weights file itself is taken as it is.

    Raises:
        SettingsError: the folder has none.
        ManifestError: they were altered.
    """
    if folder.is_file():
        read_facts(folder)
        return file_ref(folder)
    pointer = folder / FINISHED
    if not pointer.is_file():
        hint = "; networks are chosen by train.model_name" if folder.name in MODELS else ""
        raise SettingsError(f"train.model {folder} holds no finished training: name a folder under checkpoints/{hint}")
    try:
        data: Json = json.loads(pointer.read_text())
        path, digest = folder / Path(str(data["file"])).name, str(data["sha256"])
        whole = path.is_file() and sha256_file(path) == digest
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise ManifestError(f"{pointer} names no weights ({str(error)[:300]}): restore it or train again") from error
    if not whole:
        raise ManifestError(f"weights {path} are missing or were altered: restore them or train again")
    return FileRef(path=str(path.absolute()), sha256=digest, size=path.stat().st_size)


def pick_device(runtime: RuntimeSettings) -> torch.device:
    """The device that the settings and the machine allow.

    Raises:
        EnvironmentFault: a GPU was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if runtime.device == "cuda" and not available:
        raise EnvironmentFault("runtime.device is 'cuda', but torch finds no CUDA GPU: set it to 'auto' or 'cpu'")
    return torch.device("cuda" if available and runtime.device != "cpu" else "cpu")


def resolve_precision(precision: str, device: torch.device) -> str:
    """``fp32`` or ``bf16`` for training: ``auto`` takes bf16 where the hardware multiplies in it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bf16" if probe is not None and probe() else "fp32"


class Swapper:
    """A loaded network that draws one subject's face from views of another."""

    def __init__(self, workspace: Workspace, weights: FileRef, device: torch.device) -> None:
        """Load weights, from this workspace or from an absolute path."""
        path = workspace.localize(weights["path"], weights["sha256"])
        if not path.is_file() or sha256_file(path) != weights["sha256"]:
            raise ManifestError(f"weights {path} are missing or were altered: run the same command again")
        self.facts = read_facts(path)
        self.device = device
        network = built(self.facts.model, self.facts.build, path)
        load_weights(path, network)
        self.network = channels_last(network.to(device)).eval().requires_grad_(False)

    @property
    def resolution(self) -> int:
        """Side of a view in pixels."""
        return self.facts.build.resolution

    def draw(self, views: F32, *, source: int, target: int) -> F32:
        """D_target(E(views)), at a swap in the light that D_source(E(views)) misses.

        Args:
            views: (N, R, R, 3) 0..255 in the colours of side ``source``.
            source: side of the views, 0 or 1.
            target: side whose face is drawn.

        Returns:
            (N, R, R, 4) RGBA 0..255 in the common colour space, colours not clipped.
        """
        return self.draw_around(views, source=source, target=target, occlusion=0.0)[0]

    def draw_around(self, views: F32, *, source: int, target: int, occlusion: float) -> tuple[F32, F32 | None]:
        """What `draw` gives, cut out where something lies before the face, and how freely the face is seen.

        Args:
            views: as for `draw`.
            source: as for `draw`.
            target: as for `draw`.
            occlusion: difference, of 1, above which what D_source misses at a swap counts as lying before the face.

        Returns:
            RGBA as of `draw`; (N, R, R) 1 free .. 0 hidden, or None where nothing was looked for: occlusion 0, no swap.
        """
        free = None
        common = self.facts.colors[source].to_common.apply(views)
        drawn = self._through(common, source, target)
        if source != target:
            again = self._through(common, source, source)
            light = missed_light(common, again[..., :3], again[..., 3] / np.float32(255))
            drawn[..., :3] += light
            if occlusion:
                free = unobstructed(common, again[..., :3] + light, occlusion)
                drawn[..., 3] *= free
        return drawn, free

    def _through(self, common: F32, source: int, target: int) -> F32:
        x = torch.from_numpy(common / np.float32(255)).permute(0, 3, 1, 2)
        made: Tensor = self.network(x.contiguous(memory_format=torch.channels_last).to(self.device), source, target)
        out: F32 = made.float().permute(0, 2, 3, 1).cpu().numpy() * np.float32(255)
        return out
