"""shown views -> losses that compare neighbourhoods: structural similarity, pyramid, spectrum."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from faceswap_core.models.losses.shown import Shown, mean_of

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_PYRAMID_LEVELS = 5


def _gaussian(size: int, sigma: float, like: Tensor) -> Tensor:
    """Normalised Gaussian (size,)."""
    axis = torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2
    window = torch.exp(-0.5 * (axis / sigma) ** 2)
    return window / window.sum()


def _filtered(x: Tensor, window: Tensor) -> Tensor:
    """Each channel of (N, C, r, r) with a separable window of k, at the (r - k + 1) places where it fits.

    As two products with a banded matrix: on a CPU a fraction of the time of a convolution channel by channel.
    """
    places = x.shape[-1] - len(window) + 1
    # a row that is one longer than r begins one place later in each row of r
    band = functional.pad(window, (0, places)).repeat(places)[: places * x.shape[-1]].view(places, -1)  # (r - k + 1, r)
    return band @ (x.contiguous() @ band.T)


def similarity(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Maps (N, C, r - 10, r - 10) of structural similarity, and of contrast and structure alone.

    Source: Wang et al. 2004, Gaussian window of 11 px with deviation 1.5, K1 = .01, K2 = .03, colours 0..1. Places
    whose window would leave the picture are left out.
    """
    window = _gaussian(_WINDOW, _SIGMA, one)
    mean_1, square_1, product = _filtered(torch.cat([one, one * one, one * other]), window).chunk(3)
    mean_2, square_2 = _filtered(torch.cat([other, other * other]), window).chunk(2)  # no gradient of the target's
    contrast = (2 * (product - mean_1 * mean_2) + _C2) / (square_1 - mean_1**2 + square_2 - mean_2**2 + _C2)
    return (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1) * contrast, contrast


def _cropped(shown: Shown) -> Shown:
    """The same with the weights of the places that `similarity` gives."""
    edge = _WINDOW // 2
    return replace(shown, weight=shown.weight[..., edge:-edge, edge:-edge])


def ssim(shown: Shown) -> Tensor:
    """1 - structural similarity (Wang et al. 2004)."""
    return mean_of(1 - similarity(shown.made, shown.target)[0], _cropped(shown))


def ms_ssim(shown: Shown) -> Tensor:
    """1 - structural similarity over scales (Wang, Simoncelli and Bovik 2003).

    A picture gives as many of the five scales as the window fits in (three at 64 px); their exponents are
    brought to the paper's sum.
    """
    scales = 1
    while scales < len(_SCALE_EXPONENTS) and shown.made.shape[-1] >> scales >= _WINDOW:
        scales += 1
    exponents = [e * sum(_SCALE_EXPONENTS) / sum(_SCALE_EXPONENTS[:scales]) for e in _SCALE_EXPONENTS[:scales]]
    found = shown.made.new_ones(())
    for number, exponent in enumerate(exponents):
        whole, contrast = similarity(shown.made, shown.target)
        last = number == scales - 1
        mean = 1 - mean_of(1 - (whole if last else contrast), _cropped(shown))
        found = found * mean.clamp_min(1e-4) ** exponent
        if not last:
            shown = halved(shown)
    return 1 - found


def halved(shown: Shown) -> Shown:
    """The same views at half the side, each pixel the mean of four."""
    made, target, alpha, face, weight = (
        functional.avg_pool2d(x, 2) for x in (shown.made, shown.target, shown.alpha, shown.face, shown.weight)
    )
    return replace(shown, made=made, target=target, alpha=alpha, face=face, weight=weight)


def laplacian(shown: Shown) -> Tensor:
    """Mean absolute difference of every band of a Laplacian pyramid, bands added.

    Source: Lap1 of Bojanowski et al. 2018 (Burt and Adelson 1983 for the pyramid, with its 5-tap window): the sum
    over a band, four times as much for each halving, is the mean times the picture's size, here divided out.
    """
    window = torch.tensor([1, 4, 6, 4, 1], device=shown.made.device, dtype=shown.made.dtype) / 16
    total = shown.made.new_zeros(())
    difference, weight = shown.made - shown.target, shown.weight
    for level in range(_PYRAMID_LEVELS):
        if level == _PYRAMID_LEVELS - 1 or difference.shape[-1] < 8:
            return total + mean_of(difference.abs(), replace(shown, weight=weight))
        coarser = _filtered(functional.pad(difference, (2, 2, 2, 2), mode="replicate"), window)[..., ::2, ::2]
        band = difference - functional.interpolate(coarser, difference.shape[-2:], mode="bilinear", align_corners=False)
        total = total + mean_of(band.abs(), replace(shown, weight=weight))
        difference, weight = coarser, functional.avg_pool2d(weight, 2)
    return total


def focal_frequency(shown: Shown) -> Tensor:
    """Squared difference of the spectra, each frequency weighing as its own difference (Jiang et al. 2021, alpha 1).

    The spectrum is that of the views inside the mask, as far as ``mask_weight`` says.
    """
    weight = shown.mask_weight * shown.weight.clamp(0, 1) + (1 - shown.mask_weight)
    spectrum = torch.fft.fft2((shown.made - shown.target) * weight, norm="ortho")
    distance = spectrum.real**2 + spectrum.imag**2
    focus = distance.detach().sqrt()
    focus = focus / focus.amax((-2, -1), keepdim=True).clamp_min(1e-8)
    weighed: Tensor = focus * distance
    return weighed.mean()
