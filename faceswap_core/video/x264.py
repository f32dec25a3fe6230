"""What every x264 encode here needs: closed GOPs and bytes that are equal from run to run.

x264's AVX-512 code (core 165, as PyAV 18.1 ships it) reads memory it never wrote in macroblock-tree
rate control: with equal input and one thread the bytes differ in every few encodes of small pictures
(measured; none of them differs with AVX2 or with mbtree off). So AVX-512 is switched off where the
processor has it.
"""

from __future__ import annotations

from functools import cache

import cv2

_CPU_AVX_512F = 13
"""OpenCV's `CpuFeatures` number; its Python module names none of them."""


@cache
def x264_params() -> str:
    """Value for FFmpeg's ``x264-params`` option."""
    has_avx512 = cv2.checkHardwareSupport(_CPU_AVX_512F)
    return "open-gop=0:asm=avx2" if has_avx512 else "open-gop=0"
