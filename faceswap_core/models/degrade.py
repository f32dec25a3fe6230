"""views + random numbers -> views as a moving camera or a poor encoder would have left them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Quantisation tables of ITU-T T.81, annex K."""
_RGB_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def motion_kernels(lengths: Tensor, angles: Tensor) -> Tensor:
    """Kernels (N, K, K) of straight moves of ``lengths`` pixels along ``angles`` radians; each sums to 1."""
    reach = math.ceil(float(lengths.max()) / 2)
    axis = torch.arange(-reach, reach + 1, dtype=lengths.dtype, device=lengths.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    along, beside = (x * cos + y * sin).abs(), (y * cos - x * sin).abs()
    ahead = (along - (lengths[:, None, None] - 1) / 2).clamp_min(0)
    kernels = (1 - (ahead**2 + beside**2).sqrt()).clamp_min(0)
    return kernels / kernels.sum((1, 2), keepdim=True)


def moved(views: Tensor, kernels: Tensor) -> Tensor:
    """Blur views (N, C, H, W) by a kernel (N, K, K) each; beyond the view its border repeats."""
    count, channels, height, width = views.shape
    reach = kernels.shape[-1] // 2
    padded = functional.pad(views, (reach,) * 4, mode="replicate").reshape(1, count * channels, *_grown(views, reach))
    weights = kernels.repeat_interleave(channels, 0)[:, None]
    return functional.conv2d(padded, weights, groups=count * channels).view(count, channels, height, width)


def _grown(views: Tensor, reach: int) -> tuple[int, int]:
    return views.shape[-2] + 2 * reach, views.shape[-1] + 2 * reach


def jpeg(colors: Tensor, qualities: Tensor) -> Tensor:
    """Colours (N, 3, H, W) 0..1 as JPEG of each quality 1..100 would keep them, all chroma samples kept.

    Sides are multiples of 8. Source: ITU-T T.81; quality scales its tables as libjpeg does.
    """
    to_ycc = colors.new_tensor(_RGB_TO_YCC)
    planes = torch.einsum("ij,njhw->nihw", to_ycc, colors.clamp(0, 1) * 255)
    planes[:, 0] -= 128
    scale = torch.where(qualities < 50, 5000 / qualities, 200 - 2 * qualities)
    base = colors.new_tensor((_LUMA_TABLE, _CHROMA_TABLE, _CHROMA_TABLE))
    tables = ((base * scale[:, None, None, None] + 50) / 100).floor().clamp(1, 255)[:, :, None, None]
    dct = _dct(colors)
    blocks = _blocks(planes)
    kept = torch.round(dct @ blocks @ dct.T / tables) * tables
    planes = _joined(dct.T @ kept @ dct)
    planes[:, 0] += 128
    return (torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_ycc), planes) / 255).clamp(0, 1)


def _dct(like: Tensor) -> Tensor:
    """Orthonormal DCT-II of eight values, (8, 8)."""
    k, n = np.mgrid[:8, :8]
    matrix = np.cos(np.pi * (2 * n + 1) * k / 16) * np.where(k == 0, math.sqrt(1 / 8), 0.5)
    return torch.from_numpy(matrix).to(like)


def _blocks(planes: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, H/8, W/8, 8, 8)."""
    return planes.unfold(2, 8, 8).unfold(3, 8, 8)


def _joined(blocks: Tensor) -> Tensor:
    count, channels, down, across = blocks.shape[:4]
    return blocks.transpose(3, 4).reshape(count, channels, down * 8, across * 8)
