"""Which networks and losses there are, and what each network sets where a job says nothing."""

from __future__ import annotations

from typing import Any, Literal

ModelName = Literal["original", "fakeapp", "fakeapp_cnn", "gan", "modulated"]
"""The networks; ``faceswap_core.models.MODELS`` holds them."""
Bottleneck = Literal["dense", "conv1x1", "none"]
"""What stands between the encoder and the decoders of ``original``."""
Upsample = Literal["pixelshuffle", "deconv", "resize"]
"""How the decoders of ``original`` double the side."""
LossName = Literal[
    "l1",
    "mse",
    "ssim",
    "ms_ssim",
    "edge",
    "laplacian",
    "focal_frequency",
    "alpha",
    "alpha_mean",
    "alpha_hinge",
    "alpha_variation",
    "latent",
    "match",
    "vgg",
    "arcface",
    "adversarial",
]
"""The losses; ``faceswap_core.models.losses`` holds them."""

LOSS_WEIGHTS: dict[str, float] = {"l1": 1.0, "edge": 1.0, "ssim": 0.2, "alpha": 0.1, "match": 0.1}
"""Weights of the losses where neither network, preset nor job says otherwise."""

SHAPE = ("resolution", "width", "latent", "bottleneck", "upsample", "side_norm")
"""Settings that a network is built from, beside its name."""

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "original": {},
    "fakeapp": {"latent": 100, "losses": {"l1": 0.0, "mse": 10.0, "edge": 0.0, "ssim": 0.0, "latent": 1e-5}},
    "fakeapp_cnn": {"losses": {"l1": 0.0, "mse": 10.0, "edge": 0.0, "ssim": 0.0}},
    "gan": {
        "losses": {
            **{"edge": 0.1, "ssim": 0.0, "adversarial": 0.1},
            **{"alpha_mean": 0.01, "alpha_hinge": 0.1, "alpha_variation": 0.1},
        },
    },
    "modulated": {},
}
"""What each network sets beneath the job's own words: the sizes and losses that its source gives."""

SEED_PRESET: dict[str, Any] = {
    **{"resolution": 64, "width": 128, "latent": 1024, "batch": 64, "iterations": 100_000, "learning_rate": 5e-5},
    "optimizer": "adam",
    **{"side_norm": False, "dropout": 0.0, "ema": 0.0, "mask_weight": 0.0, "eye_weight": 0.0, "mouth_weight": 0.0},
    **{"rotation": 10.0, "zoom": 0.05, "shift": 0.05, "flip": 0.4, "warp": 0.03125, "light": 0.0, "color": 0.0},
    "losses": {"edge": 0.0, "ssim": 0.0, "match": 0.0},
}
"""The seeds' own constants (002, 004): plain L1, nothing of ours but the alpha head."""
