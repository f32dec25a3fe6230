"""code values <-> linear light, by the transfer that a stream names (H.273 transfer characteristics).

Both ways are exact inverses up to rounding. Scene or display light, and its unit, do not matter for a mean of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from faceswap_core.types import F32

_Curve = Callable[[F32], F32]

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_GAMMA = 2.4


@dataclass(frozen=True)
class Transfer:
    """A pair of curves; code values and light are 0..1."""

    to_light: _Curve
    """Code values -> linear light."""
    to_code: _Curve
    """Linear light -> code values."""


def _power(code: F32) -> F32:
    return np.asarray(np.maximum(code, 0) ** np.float32(_GAMMA), np.float32)


def _root(light: F32) -> F32:
    return np.asarray(np.maximum(light, 0) ** np.float32(1 / _GAMMA), np.float32)


def _pq(code: F32) -> F32:
    root = np.maximum(code.astype(np.float64), 0) ** (1 / _M2)
    return ((np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)).astype(np.float32)


def _pq_back(light: F32) -> F32:
    power = np.maximum(light.astype(np.float64), 0) ** _M1
    return (((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2).astype(np.float32)


def _hlg(code: F32) -> F32:
    low, high = code**2 / 3, (np.exp((np.maximum(code, 0.5) - _C) / _A) + _B) / 12
    return np.asarray(np.where(code <= 0.5, np.maximum(low, 0), high), np.float32)


def _hlg_back(light: F32) -> F32:
    low, high = np.sqrt(3 * np.maximum(light, 0)), _A * np.log(np.maximum(12 * light - _B, 1e-6)) + _C
    return np.asarray(np.where(light <= 1 / 12, low, high), np.float32)


def _srgb(code: F32) -> F32:
    low, high = code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** 2.4
    return np.where(code <= 0.04045, low, high).astype(np.float32)


def _srgb_back(light: F32) -> F32:
    low, high = light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, low, high).astype(np.float32)


def _same(values: F32) -> F32:
    return values


_DISPLAY = Transfer(_power, _root)
_NAMED = {
    8: Transfer(_same, _same),
    13: Transfer(_srgb, _srgb_back),  # IEC 61966-2-1
    16: Transfer(_pq, _pq_back),  # SMPTE ST 2084
    18: Transfer(_hlg, _hlg_back),  # ARIB STD-B67
}


def transfer_of(number: int) -> Transfer:
    """The curves of an H.273 number; those of standard video and unnamed ones are a display's (ITU-R BT.1886)."""
    return _NAMED.get(number, _DISPLAY)
