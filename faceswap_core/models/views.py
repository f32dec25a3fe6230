"""views as looked up + random numbers -> input and target of the network."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from faceswap_core.models.degrade import jpeg, motion_kernels, moved
from faceswap_core.models.draws import Draws
from faceswap_core.models.tint import lab_shifted, relit


def finished(views: Tensor, features: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Colour, light and degrade views.

    Args:
        views: (N, 4, 2R, R) float32 0..255: RGB and mask, the warped view above the target.
        features: (N, F, R, R) float32 0..255, of the target.
        draws: their random numbers.

    Returns:
        inputs (N, 3, R, R) and targets (N, 4 + F, R, R), 0..1 in the common colour space. Colours, light and motion
        blur are those of the scene and the same in both; JPEG noise is in the input alone.
    """
    sent = _Sent(views.device)
    factors, offsets = sent(draws.factors), sent(draws.offsets)
    side = views.shape[-1]
    rest = torch.cat([views[:, 3:, side:], features], 1) / 255
    colored = (views * _wide(factors)).add_(_wide(offsets))  # no fused one: it rounds by the batch's size
    if draws.lab.any():
        colored[:, :3] = lab_shifted(colored[:, :3], sent(draws.lab))
    colored = relit(colored, sent(draws.gains), sent(draws.slopes))
    inputs = colored[:, :3, :side].contiguous(memory_format=torch.channels_last)
    reached = colored[:, :3, side:].clamp(0, 1)  # by a sigmoid
    targets = torch.cat([reached, rest], 1).contiguous(memory_format=torch.channels_last)
    if draws.lengths.any():
        blurred = draws.lengths.nonzero()[0]
        kernels = motion_kernels(sent(draws.lengths[blurred]) * (side / 64), sent(draws.angles[blurred]))
        for view in (inputs, targets):
            view[blurred] = moved(view[blurred], kernels)
    if draws.qualities.any():
        noisy = draws.qualities.nonzero()[0]
        inputs[noisy] = jpeg(inputs[noisy], sent(draws.qualities[noisy]))
    return inputs, targets


class _Sent:
    """Arrays -> tensors on one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, numbers: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(numbers).to(self._device, non_blocking=True)


def _wide(values: Tensor) -> Tensor:
    """(N, 3) -> (N, 4, 1, 1), 0 for the channel after RGB, whose values are taken from elsewhere."""
    return functional.pad(values, (0, 1))[:, :, None, None]
