"""views + random numbers -> the same views in other colours and light; input and target are given the same."""

from __future__ import annotations

import torch
from torch import Tensor

_LINEAR_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear light of sRGB's primaries (IEC 61966-2-1), white at Y 1."""
_WHITE = (0.95047, 1.0, 1.08883)
"""D65."""
_KNEE = 6 / 29


def relit(views: Tensor, gains: Tensor, slopes: Tensor) -> Tensor:
    """Multiply views by a tint and a shading.

    Args:
        views: (N, C, H, R), one or more square views of R px beneath each other, all lit alike.
        gains: (N, 3) of the first three channels; further channels get none of it.
        slopes: (N, 2) of the shading along x and y, from a view's centre to its edge.
    """
    side = views.shape[-1]
    axis = torch.linspace(-1, 1, side, dtype=views.dtype, device=views.device)
    across = (slopes[:, :1] * axis).exp()[:, None, None, :]
    down = (slopes[:, 1:] * axis).exp().repeat(1, views.shape[-2] // side)[:, None, :, None]
    tint = torch.ones(views.shape[:2], dtype=views.dtype, device=views.device)
    tint[:, :3] = gains
    return (views * tint[:, :, None, None]).mul_(down * across)


def lab_shifted(colors: Tensor, shifts: Tensor) -> Tensor:
    """Shift colours (N, 3, H, W) sRGB 0..1 by (N, 3) in L*, a*, b*; what leaves the gamut is clipped."""
    return _from_lab(_to_lab(colors.clamp(0, 1)) + shifts[:, :, None, None])


def _to_lab(colors: Tensor) -> Tensor:
    linear = torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055).clamp_min(0) ** 2.4)
    xyz = _mixed(colors.new_tensor(_LINEAR_TO_XYZ), linear) / colors.new_tensor(_WHITE)[:, None, None]
    f = torch.where(xyz > _KNEE**3, xyz.clamp_min(_KNEE**3) ** (1 / 3), xyz / (3 * _KNEE**2) + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _from_lab(lab: Tensor) -> Tensor:
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29)) * lab.new_tensor(_WHITE)[:, None, None]
    linear = _mixed(torch.linalg.inv(lab.new_tensor(_LINEAR_TO_XYZ)), xyz).clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-12) ** (1 / 2.4) - 0.055)


def _mixed(matrix: Tensor, colors: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, colors)
