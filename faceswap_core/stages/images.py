"""arrays <-> the image columns of manifests, and image files: lossless PNG.

An image of a column is filtered and not deflated: its Parquet page is compressed by zstd anyway, to fewer bytes and
in a tenth of the time, and any reader of PNG still reads it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.errors import ManifestError
from faceswap_core.types import U8, U16

_FILE = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_COLUMN = [cv2.IMWRITE_PNG_COMPRESSION, 0, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]


def pack(image: U8) -> dict[str, Any]:
    """(H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint8 -> value of an image column."""
    return {"bytes": _encoded(image, _COLUMN), "path": None}


def png(image: U8 | U16) -> bytes:
    """(H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16 -> bytes of a PNG file as deep."""
    return _encoded(image, _FILE)


def _encoded(image: U8 | U16, how: list[int]) -> bytes:
    stored: npt.NDArray[Any] = image
    if image.ndim == 3:
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, data = cv2.imencode(".png", stored, how)
    if not done:
        raise ManifestError(f"an image of shape {image.shape} cannot be written as PNG")
    return bytes(data)


def jpeg(image: U8, widest: int) -> bytes:
    """(H, W, 3) RGB -> bytes of a JPEG file, reduced to ``widest`` columns at most; for looking at."""
    scale = min(1.0, widest / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise ManifestError(f"an image of shape {image.shape} cannot be written as JPEG")
    return bytes(data)


def unpack(value: dict[str, Any]) -> U8:
    """Value of an image column -> uint8 array in RGB order, with the channels it was packed with.

    Raises:
        ManifestError: the bytes are no image.
    """
    data = np.frombuffer(value["bytes"] or b"", np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if image is None:
        raise ManifestError("an image column holds bytes that are no image: remove that manifest and run again")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return np.asarray(image, np.uint8)


def read_png16(data: bytes) -> U16:
    """Bytes of a 16-bit PNG file -> (H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint16.

    Raises:
        ManifestError: the bytes are no such image.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint16:
        raise ManifestError(f"{len(data)} bytes that should be a 16-bit PNG are none: run the same command again")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return np.asarray(image, np.uint16)
