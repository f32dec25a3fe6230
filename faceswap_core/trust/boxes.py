"""MP4 or QuickTime file -> the content of one of its outermost ``uuid`` boxes, found without parsing anything else."""

from __future__ import annotations

from typing import BinaryIO

XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""Type of the box that holds XMP."""
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""Type of the box that holds C2PA manifests."""
_MOST_BOXES = 1000


def uuid_box(kind: bytes, content: bytes) -> bytes:
    """A box, to stand behind all others."""
    return (24 + len(content)).to_bytes(4, "big") + b"uuid" + kind + content


def find_uuid_box(stream: BinaryIO, kind: bytes, most: int = 1 << 20) -> bytes | None:
    """The first ``most`` bytes of a box's content; None where there is none, or damage before it."""
    at, end = 0, stream.seek(0, 2)
    for _ in range(_MOST_BOXES):
        stream.seek(at)
        head = stream.read(24)
        if len(head) < 8:
            return None
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:
            size = end - at
        if size < 8 or at + size > end:
            return None
        if head[4:8] == b"uuid" and head[8:24] == kind:
            return stream.read(min(size - 24, most))
        at += size
    return None
