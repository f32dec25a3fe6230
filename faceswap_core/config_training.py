"""The settings of training, and the presets that fill them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from faceswap_core.config_loop import LoopSettings

_SEED_AUGMENTATION: dict[str, Any] = {"rotation": 10.0, "zoom": 0.05, "shift": 0.05, "warp": 0.03125}

TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"resolution": 64, "width": 16, "latent": 128, "batch": 8, "iterations": 1400, "learning_rate": 1e-3},
    "standard": {
        **{"resolution": 128, "width": 64, "latent": 512, "batch": 32, "iterations": 60_000, "learning_rate": 2e-4},
        **_SEED_AUGMENTATION,
    },
    "master": {
        **{"resolution": 256, "width": 128, "latent": 1024, "batch": 16, "iterations": 200_000, "learning_rate": 1e-4},
        **_SEED_AUGMENTATION,
    },
}
"""What each training preset sets."""


class TrainSettings(LoopSettings):
    """How the network is built and trained."""

    preset: Literal["draft", "standard", "master"] = "draft"
    """``draft`` fits two CPU cores; ``standard`` and ``master`` need a GPU."""
    model: str = "original"
    """Name of a network, or the path of a finished checkpoint folder (then nothing is trained)."""
    resolution: int = Field(default=64, ge=64, le=512, multiple_of=64)
    """Side of the network's input and output in pixels."""
    width: int = Field(default=16, ge=4, le=256)
    """Channels after the first convolution (128 in the seeds)."""
    latent: int = Field(default=128, ge=8, le=4096)
    """Length of the latent vector (1024 in the seeds)."""
    batch: int = Field(default=8, ge=2, le=1024)
    """Faces a side in one step."""
    iterations: int = Field(default=1400, ge=1, le=100_000_000)
    """Steps in all; a higher number later goes on from the last step."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """Step size of Adam."""
    ema: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones used; 0 uses the last step's."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the passes (weights are always fp32); ``auto`` is bf16 where the hardware has it."""
    mask_weight: float = Field(default=1.0, ge=0, le=1)
    """Share of the image loss that is weighted by the face mask; the rest counts every pixel alike."""
    edge_weight: float = Field(default=1.0, ge=0, le=10)
    """Weight of the edge loss, which sharpens eyes and brows."""
    feature_weight: float = Field(default=3.0, ge=0, le=100)
    """Further weight of eyes, brows and mouth in the image losses; 0 counts the whole face alike."""
    alpha_weight: float = Field(default=0.1, ge=0, le=10)
    """Weight of the loss of the alpha head."""
    match_weight: float = Field(default=0.1, ge=0, le=10)
    """Weight of the distance between both people's latent vectors: how much one decoder can make of the other's."""
    dropout: float = Field(default=0.3, ge=0, lt=0.9)
    """Share of the latent vector's entries set to zero in training, so that the swap does not overfit."""
    validation_share: float = Field(default=0.1, ge=0, lt=0.9)
    """Share of each video, its last stretch of time, held out from training."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; at most so many are lost when a run is killed."""
    rotation: float = Field(default=1.5, ge=0, le=45)
    """Largest random turn in degrees."""
    zoom: float = Field(default=0.01, ge=0, le=0.5)
    """Largest random change of size."""
    shift: float = Field(default=0.01, ge=0, le=0.5)
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
        return {**TRAIN_PRESETS.get(str(given.get("preset", "draft")), {}), **given}
