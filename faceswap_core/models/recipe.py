"""What a training depends on beside the faces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Network, losses and optimiser of one training; what has a default is off by it."""

    model: str
    """Name in MODELS."""
    resolution: int
    """Side of a view in pixels."""
    width: int
    """Channels after the first convolution."""
    latent: int
    """Length of the bottleneck."""
    learning_rate: float
    """Step size of the optimiser."""
    ema: float
    """Decay of the averaged weights."""
    precision: str
    """``fp32``, ``bf16`` passes over fp32 weights, or ``fp64``, to compare trainings exactly."""
    mask_weight: float
    """Share of the image loss inside the mask."""
    edge_weight: float
    """Weight of the edge loss."""
    feature_weight: float
    """Further weight of eyes, brows and mouth."""
    features: tuple[tuple[float, float, float], ...]
    """Centre x, y and reach of each feature, as shares of the view's side."""
    alpha_weight: float
    """Weight of the alpha head's loss."""
    match_weight: float
    """Weight of the distance between both people's latent vectors."""
    seed: int
    """Seed of the initial weights."""
    color_mean: tuple[float, float, float]
    """Mean of the common colour space, 0..1."""
    color_std: tuple[float, float, float]
    """Deviation of the common colour space, 0..1."""
    optimizer: str = "adam"
    """``adam``, ``adamw`` or ``sgd``."""
    weight_decay: float = 0.0
    """Shrinkage of the weights a step, as a share of the step size (decoupled for ``adamw``)."""
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
    freeze: tuple[str, ...] = ()
    """Beginnings of the names of parameters that stay as they are."""
