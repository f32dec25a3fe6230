"""shown views -> difference of the features that VGG16 finds in them, from a weights file of the user's."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from faceswap_core.errors import ModelMissingError
from faceswap_core.models.losses.files import VGG_HOW
from faceswap_core.models.losses.shown import Shown

_BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21))
"""Numbers of the convolutions in ``features`` of VGG16, a pooling between blocks; the fifth block is not used."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Vgg(nn.Module):
    """Distance in VGG16's features (Johnson et al. 2016), a place's features brought to length 1 (Zhang et al. 2018).

    The weights are buffers that no checkpoint holds.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path) -> None:
        """Read the first four blocks' convolutions: ``features.N.weight`` and ``.bias`` as torchvision names them."""
        super().__init__()
        try:
            tensors = load_file(path)
            for number in (n for block in _BLOCKS for n in block):
                for kind in ("weight", "bias"):
                    tensor = tensors[f"features.{number}.{kind}"].float()
                    self.register_buffer(f"{kind}_{number}", tensor, persistent=False)
        except (SafetensorError, KeyError, OSError) as error:
            raise ModelMissingError(f"{path} does not hold VGG16 as safetensors ({error}): {VGG_HOW}") from error
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, shown: Shown) -> Tensor:
        """Mean squared distance of unit feature vectors, over four blocks; the surroundings count as in the target."""
        made = shown.made * shown.face + shown.target * (1 - shown.face) if shown.mask_weight else shown.made
        both = zip(self.features(made), self.features(shown.target), strict=True)
        return torch.stack([(one - other).square().sum(1).mean() for one, other in both]).mean()

    def features(self, x: Tensor) -> list[Tensor]:
        """Unit feature vectors of (N, 3, r, r) 0..1 after each block."""
        x, found = (x - self.mean) / self.std, []
        for number, block in enumerate(_BLOCKS):
            x = functional.max_pool2d(x, 2) if number else x
            for layer in block:
                weight, bias = getattr(self, f"weight_{layer}"), getattr(self, f"bias_{layer}")
                x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
            found.append(functional.normalize(x.float(), dim=1, eps=1e-6))
        return found
