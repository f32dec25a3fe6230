"""bytes of a picture file -> its size, before anything of it is decoded."""

from __future__ import annotations

import struct
import zlib

from faceswap_core.errors import MediaError

_PNG = b"\x89PNG\r\n\x1a\n"
_WITH_SIZE = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame."""


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height that a whole PNG or JPEG file states.

    Raises:
        MediaError: it is neither, or is cut off or damaged.
    """
    if data.startswith(_PNG):
        return _png_size(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg_size(data)
    raise MediaError("is neither PNG nor JPEG by its first bytes: convert it or move it away")


def _png_size(data: bytes) -> tuple[int, int]:
    """Every chunk's checksum is compared, up to the end mark."""
    at, size = len(_PNG), None
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            break
        if size is None:
            if kind != b"IHDR" or length != 13:
                break
            size = struct.unpack_from(">II", data, at + 8)
        if kind == b"IEND":
            return int(size[0]), int(size[1])
        at = end
    raise MediaError("is a PNG file that is cut off or damaged: replace it or move it away")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """The segments up to the picture's own samples are walked; after those there must be an end mark."""
    at, size = 2, None
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # fill
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if kind in _WITH_SIZE and at + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = int(width), int(height)
        if kind == 0xDA:
            if size is not None and data.rfind(b"\xff\xd9") > at:
                return size
            break
        at += 2 + length
    raise MediaError("is a JPEG file that is cut off or damaged: replace it or move it away")
