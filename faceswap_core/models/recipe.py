"""What a training depends on beside the faces."""

from __future__ import annotations

from dataclasses import dataclass

from faceswap_core.models.network import Build


@dataclass(frozen=True)
class Recipe:
    """Network, losses and optimiser of one training; what has a default is off by it."""

    model: str
    """Name in MODELS."""
    build: Build
    """Sizes of the network."""
    learning_rate: float
    """Step size of the optimiser."""
    ema: float
    """Decay of the averaged weights."""
    precision: str
    """``fp32``, ``bf16`` passes over fp32 weights, or ``fp64``, to compare trainings exactly."""
    losses: dict[str, float]
    """Weight of each loss by its name in LOSSES or NETWORK_LOSSES; what is not named does not count."""
    mask_weight: float
    """Share of the image losses taken inside the mask."""
    eye_weight: float
    """Further weight of eyes and brows in the image losses."""
    mouth_weight: float
    """Further weight of the mouth in the image losses."""
    seed: int
    """Seed of the initial weights."""
    color_mean: tuple[float, float, float]
    """Mean of the common colour space, 0..1."""
    color_std: tuple[float, float, float]
    """Deviation of the common colour space, 0..1."""
    optimizer: str = "adam"
    """``adam``, ``adamw``, ``sgd`` or ``muon``."""
    weight_decay: float = 0.0
    """Shrinkage of the weights a step, as a share of the step size (decoupled for ``adamw`` and ``muon``)."""
    clip: float = 0.0
    """Largest norm of a turn's gradient; 0 does not clip."""
    accumulate: int = 1
    """Equal parts in which a batch is passed through, their gradients added up."""
    warmup: int = 0
    """Steps over which the step size rises from nothing."""
    schedule: str = "constant"
    """``constant`` or ``cosine``."""
    schedule_steps: int | None = None
    """Step at which ``cosine``, and every staged objective, has run its course; None where nothing depends on it."""
    final_rate: float = 0.0
    """Share of the step size that ``cosine`` ends at."""
    discriminator_rate: float = 2.0
    """Step size of the discriminators, as a multiple of the network's."""
    vgg: tuple[str, str] | None = None
    """Weights file of VGG16 and its digest."""
    arcface: tuple[str, str] | None = None
    """ONNX file of a recognition network and its digest."""
    arcface_matrix: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    """Rows of the map from places of its crop to places of the view, both as shares from -1 to 1."""
    freeze: tuple[str, ...] = ()
    """Beginnings of the names of parameters that stay as they are."""
