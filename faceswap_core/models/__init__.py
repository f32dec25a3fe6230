"""Networks by the name in ``train.model_name``."""

from __future__ import annotations

from faceswap_core.models.fakeapp import FakeApp
from faceswap_core.models.fakeapp_cnn import FakeAppCnn
from faceswap_core.models.gan import Gan
from faceswap_core.models.modulated import Modulated
from faceswap_core.models.network import Build, FaceNetwork
from faceswap_core.models.original import Original

__all__ = ["MODELS", "Build", "FaceNetwork"]

MODELS: dict[str, type[FaceNetwork]] = {
    "original": Original,
    "fakeapp": FakeApp,
    "fakeapp_cnn": FakeAppCnn,
    "gan": Gan,
    "modulated": Modulated,
}
