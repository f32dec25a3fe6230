"""Networks by the name in ``train.model``, and what each of them learns by."""

from __future__ import annotations

from faceswap_core.models.objective import Objective, Reconstruction
from faceswap_core.models.original import Original

__all__ = ["MODELS", "OBJECTIVES", "Original"]

MODELS: dict[str, type[Original]] = {"original": Original}
OBJECTIVES: dict[str, type[Objective]] = {"original": Reconstruction}
