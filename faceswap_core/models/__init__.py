"""Networks by the name in ``train.model``."""

from __future__ import annotations

from faceswap_core.models.original import Original

__all__ = ["MODELS", "Original"]

MODELS: dict[str, type[Original]] = {"original": Original}
