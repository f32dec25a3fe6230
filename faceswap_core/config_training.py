"""The settings of training, and the presets that fill them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from faceswap_core.config_loop import LoopSettings
from faceswap_core.config_network import (
    LOSS_WEIGHTS,
    MODEL_DEFAULTS,
    SEED_PRESET,
    SHAPE,
    Bottleneck,
    LossName,
    ModelName,
    Upsample,
)

Weight = Annotated[float, Field(ge=0, le=1000)]

_LONG: dict[str, Any] = {"rotation": 10.0, "zoom": 0.05, "shift": 0.05, "warp": 0.03125, "optimizer": "adam"}
"""Optimiser and augmentation of the seeds, for long trainings; of a short one even a tenth of the latter blurs it."""

TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {
        **{"resolution": 64, "width": 16, "latent": 128, "batch": 8, "iterations": 1100, "learning_rate": 2e-3},
        "optimizer": "muon",
    },
    "standard": {
        **{"resolution": 128, "width": 64, "latent": 512, "batch": 32, "iterations": 60_000, "learning_rate": 2e-4},
        **_LONG,
    },
    "master": {
        **{"resolution": 256, "width": 128, "latent": 1024, "batch": 16, "iterations": 200_000, "learning_rate": 1e-4},
        **_LONG,
    },
    "seed": SEED_PRESET,
}
"""What each training preset sets."""


class TrainSettings(LoopSettings):
    """How the network is built and trained."""

    paths: ClassVar[frozenset[str]] = frozenset({"model", "start_from", "vgg_file", "arcface_file"})
    """What these name counts by digest, not by place."""
    preset: Literal["draft", "standard", "master", "seed"] = "draft"
    """``draft`` fits two CPU cores; ``standard`` and ``master`` need a GPU; ``seed`` is the published network."""
    model_name: ModelName = "original"
    """Which network is trained."""
    model: Path | None = None
    """Folder of a finished checkpoint: it draws, and nothing is trained."""
    resolution: int = Field(default=64, ge=64, le=512, multiple_of=64)
    """Side of the network's input and output in pixels."""
    width: int = Field(default=16, ge=4, le=256)
    """Channels after the first convolution (128 in the seeds)."""
    latent: int = Field(default=128, ge=8, le=4096)
    """Length of the latent vector (1024 in the seeds)."""
    bottleneck: Bottleneck = "dense"
    """What narrows the code of ``original``: a dense layer, a pair of 1x1 convolutions, or nothing."""
    upsample: Upsample = "pixelshuffle"
    """How the decoders of ``original`` double the side."""
    side_norm: bool = True
    """Whether the latent vectors are normalised for each person apart; without it a swap keeps more of the plate."""
    batch: int = Field(default=8, ge=2, le=1024)
    """Faces a side in one step."""
    iterations: int = Field(default=1100, ge=1, le=100_000_000)
    """Steps in all; a higher number later goes on from the last step."""
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    """Step size of the optimiser."""
    ema: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones used; 0 uses the last step's."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the passes (weights are always fp32); ``auto`` is bf16 where the hardware has it."""
    losses: dict[LossName, Weight] = LOSS_WEIGHTS  # type: ignore[assignment]
    """Weight of each loss; those named here are laid over those of network and preset, and 0 leaves one out."""
    mask_weight: float = Field(default=1.0, ge=0, le=1)
    """Share of the image losses that is weighted by the face mask; the rest counts every pixel alike."""
    eye_weight: float = Field(default=3.0, ge=0, le=100)
    """Further weight of eyes and brows in the image losses; 0 counts them as the rest of the face."""
    mouth_weight: float = Field(default=3.0, ge=0, le=100)
    """Further weight of the mouth in the image losses."""
    vgg_file: Path | None = None
    """VGG16's weights as safetensors, for the loss ``vgg``."""
    vgg_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Digest that this file must have."""
    arcface_file: Path | None = None
    """Recognition network of an InsightFace pack as ONNX, for the loss ``arcface``; by default the model store's."""
    arcface_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Digest that this file must have."""
    discriminator_rate: float = Field(default=2.0, gt=0, le=100)
    """Step size of the discriminators of the loss ``adversarial``, as a multiple of ``learning_rate``."""
    min_faces: int = Field(default=8, ge=1, le=1_000_000)
    """Fewest faces a side that a training begins with."""
    dropout: float = Field(default=0.3, ge=0, lt=0.9)
    """Share of the latent vector's entries set to zero in training, so that the swap does not overfit."""
    validation_share: float = Field(default=0.1, ge=0, lt=0.9)
    """Share of each video, its last stretch of time, held out from training."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; at most so many are lost when a run is killed."""
    rotation: float = Field(default=0.0, ge=0, le=45)
    """Largest random turn in degrees."""
    zoom: float = Field(default=0.0, ge=0, le=0.5)
    """Largest random change of size."""
    shift: float = Field(default=0.0, ge=0, le=0.5)
    """Largest random shift as a share of the view's side."""
    flip: float = Field(default=0.4, ge=0, le=1)
    """Chance of a mirrored sample."""
    warp: float = Field(default=0.005, ge=0, le=0.2)
    """Standard deviation of the 5x5 warp as a share of the view's side (5 px of 160 in the seeds)."""
    light: float = Field(default=0.1, ge=0, le=1)
    """Spread of a random shading across the view, in natural logarithms from centre to edge."""
    color: float = Field(default=0.05, ge=0, le=1)
    """Spread of a random gain of all channels, and half as much of each apart, in natural logarithms."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"batch ({self.batch}) must be a multiple of accumulate ({self.accumulate})")
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        filled = _beneath(str(given.get("preset", "draft")), str(given.get("model_name", "original")))
        losses = given.get("losses", {})
        if isinstance(losses, dict):
            losses = {**filled["losses"], **losses}
        return {**filled, **given, "losses": losses}

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.model_name != "original" and (self.bottleneck, self.upsample) != ("dense", "pixelshuffle"):
            raise ValueError(f"bottleneck and upsample are settings of 'original', not of {self.model_name!r}")
        if (self.patience or self.choose == "best") and not (self.validation_share and self.keep_best):
            raise ValueError("patience and choose = 'best' need validation_share and keep_best above 0 to go by")
        if not any(self.losses.get(name) for name in ("l1", "mse", "ssim", "ms_ssim", "laplacian")):
            raise ValueError("losses weigh none of l1, mse, ssim, ms_ssim, laplacian: colours would stay undecided")
        return self

    def asked_for(self) -> dict[str, Any]:
        """Name and shape of the network as far as they differ from what preset and network say by themselves."""
        usual = {**_usual(), **_beneath(self.preset, self.model_name), "model_name": "original"}
        return {name: value for name in ("model_name", *SHAPE) if (value := getattr(self, name)) != usual[name]}


def _beneath(preset: str, model_name: str) -> dict[str, Any]:
    """What preset and network set beneath the job's own words; unknown names set nothing, and are refused later."""
    of_preset, of_model = TRAIN_PRESETS.get(preset, {}), MODEL_DEFAULTS.get(model_name, {})
    losses = {**LOSS_WEIGHTS, **of_preset.get("losses", {}), **of_model.get("losses", {})}
    stages = {"schedule_steps": of_preset["iterations"]} if model_name == "gan" and of_preset else {}
    return {**of_preset, **of_model, **stages, "losses": losses}


def _usual() -> dict[str, Any]:
    return {name: TrainSettings.model_fields[name].default for name in SHAPE}
