"""views as looked up + random numbers -> input and target of the network."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from faceswap_core.models.degrade import jpeg, motion_kernels, moved
from faceswap_core.models.draws import Draws
from faceswap_core.models.tint import lab_shifted, relit


def finished(views: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Colour, light and degrade views.

    Args:
        views: (N, C, 2R, R) float32 0..255: RGB, mask and what else lies in a chip, the warped view above the target.
        draws: their random numbers.

    Returns:
        inputs (N, 3, R, R) and targets (N, C, R, R), 0..1 in the common colour space. Colours, light and motion blur
        are those of the scene and the same in both; JPEG noise is in the input alone.
    """
    sent = _Sent(views.device)
    factors, offsets = sent(draws.factors), sent(draws.offsets)
    drawn = views[:, 3:, views.shape[-1] :] / 255
    colored = views * _wide(factors, views.shape[1], 1 / 255) + _wide(offsets, views.shape[1], 0.0)
    if draws.lab.any():
        colored[:, :3] = lab_shifted(colored[:, :3], sent(draws.lab))
    colored = relit(colored, sent(draws.gains), sent(draws.slopes))
    inputs, targets = colored[:, :3, : views.shape[-1]], colored[:, :, views.shape[-1] :]
    targets[:, :3].clamp_(0, 1)  # what a sigmoid can reach
    targets[:, 3:] = drawn
    inputs, targets = (t.contiguous(memory_format=torch.channels_last) for t in (inputs, targets))
    if draws.lengths.any():
        blurred = draws.lengths.nonzero()[0]
        kernels = motion_kernels(sent(draws.lengths[blurred]) * (views.shape[-1] / 64), sent(draws.angles[blurred]))
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


def _wide(values: Tensor, channels: int, rest: float) -> Tensor:
    """(N, 3) -> (N, C, 1, 1) with one value for every channel after RGB."""
    return torch.cat([values, values.new_full((len(values), channels - 3), rest)], 1)[:, :, None, None]
