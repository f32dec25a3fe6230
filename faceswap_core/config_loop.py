"""The settings of the training loop and of what its faces go through; all are off by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from faceswap_core.config_branch import Branch


class AugmentSettings(Branch):
    """Random changes beside those of the presets."""

    crop: float = Field(default=0.0, ge=0, le=0.5)
    """Largest share of the view's side that is cut off at random, the rest enlarged."""
    lab: float = Field(default=0.0, ge=0, le=50)
    """Spread of a random shift of L*, a* and b*; seeds and peers use up to 10."""
    color_match: float = Field(default=0.0, ge=0, le=1)
    """Chance that a face is given, part of the way, the colours of a random face of the other person."""
    motion_blur: float = Field(default=0.0, ge=0, le=1)
    """Chance of a motion blur on input and target."""
    jpeg: float = Field(default=0.0, ge=0, le=1)
    """Chance that the input is compressed as a poor JPEG would."""
    sampling: Literal["time", "pose"] = "time"
    """``time``: every frame is drawn alike; ``pose``: every ten degrees of yaw and pitch that occur are."""


class LoopSettings(AugmentSettings):
    """How steps are made, watched and kept."""

    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "muon"
    """Rule of the steps; ``muon`` learns more a step than ``adam``, ``sgd`` has Nesterov's momentum and wants a larger
    ``learning_rate``. The other presets than ``draft`` take ``adam``."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Shrinkage of the weights; decoupled from the gradient for ``adamw`` and ``muon``."""
    clip: float = Field(default=0.0, ge=0)
    """Largest norm of the gradient; 0 does not clip."""
    accumulate: int = Field(default=1, ge=1, le=1024)
    """Parts in which a batch is passed through the network, for batches that memory does not hold."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the step size rises from nothing."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the step size goes on: as it is, or falling along half a cosine."""
    schedule_steps: int | None = Field(default=None, ge=1)
    """Step at which the cosine ends, by default ``iterations``, and the stages of ``gan``, by default the preset's; a
    training that is to go on longer names it."""
    final_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of ``learning_rate`` at which the cosine ends."""
    divergence: float = Field(default=5.0, ge=0)
    """Multiple of the lowest loss above which training goes back to its last checkpoint; 0 only minds NaN."""
    start_from: Path | None = None
    """Checkpoint folder or weights file whose weights a new training begins with, as far as names and sizes agree."""
    freeze: tuple[str, ...] = ()
    """Beginnings of parameters' names that are not trained, such as ``encoder.``."""
    keep_last: int = Field(default=2, ge=1, le=1000)
    """How many of the latest checkpoints are kept."""
    keep_best: int = Field(default=1, ge=0, le=1000)
    """How many of those with the best score are kept beside them."""
    patience: int = Field(default=0, ge=0)
    """Checkpoints without a better one, by the log's score, after which training ends early; 0 lets it go on."""
    choose: Literal["last", "best"] = "last"
    """Which checkpoint draws: the last one, or the one with the best score, of those that ``keep_best`` keeps."""
    timelapse: bool = True
    """Whether a grid of pictures is kept at steps 100, 200, 400, 800 and so on."""
    tensorboard: bool = False
    """Whether event files for TensorBoard are written into the checkpoint folder."""

    @model_validator(mode="before")
    @classmethod
    def _cosine_ends_with_the_training(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("schedule") == "cosine" and given.get("schedule_steps") is None:
            return {**given, "schedule_steps": given.get("iterations")}
        return given

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.schedule_steps is not None and self.schedule_steps <= self.warmup:
            raise ValueError(f"schedule_steps ({self.schedule_steps}) must be more than warmup ({self.warmup})")
        return self


NEVER_CHANGE_WEIGHTS = frozenset(
    {"keep_last", "keep_best", "patience", "choose", "timelapse", "tensorboard", "divergence"}
)
"""Settings of the loop that a training may go on with changed; what they set is read anew by each run."""
RECIPE_FIELDS = (
    *("optimizer", "weight_decay", "clip", "accumulate", "warmup", "schedule", "schedule_steps", "final_rate"),
    "freeze",
)
"""Settings that stand in a recipe under the same name."""
AUGMENT_FIELDS = ("crop", "lab", "color_match", "motion_blur", "jpeg")
"""Settings that stand in an augmentation under the same name."""
