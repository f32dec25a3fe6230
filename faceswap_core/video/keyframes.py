"""packet bytes -> key class: can decoding start here, and is what follows in presentation clean?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

KeyClass = Literal["", "idr", "open", "gradual", "key"]
"""'' = no key; idr = clean start; open = earlier-shown frames of the GOP need the GOP before;
gradual = intra refresh, clean only some frames later; key = codec without such a distinction."""
SAFE_CUTS: frozenset[str] = frozenset({"idr", "open", "key"})
"""Classes at which a chunk may begin."""
_HEAD = 1024
"""Bytes looked at of each NAL unit: headers and SEI messages stand at its beginning."""


def key_class(codec: str, extradata: bytes | None, packet: bytes) -> KeyClass:
    """Classify a packet that the demuxer flagged as a keyframe.

    Args:
        codec: canonical codec name, e.g. ``h264``.
        extradata: the stream's parameter sets; avcC/hvcC means length-prefixed NAL units.
        packet: the whole packet.
    """
    if codec == "h264":
        return _h264_class(list(_nal_units(packet, _nal_length(extradata, at=4, least=5))))
    if codec == "hevc":
        return _hevc_class(list(_nal_units(packet, _nal_length(extradata, at=21, least=23))))
    return "key"


def _nal_length(extradata: bytes | None, *, at: int, least: int) -> int:
    """Bytes of the length prefix before each NAL unit; 0 for Annex B start codes."""
    if extradata is None or len(extradata) < least or extradata[0] != 1:
        return 0
    return (extradata[at] & 3) + 1


def _nal_units(packet: bytes, length_size: int) -> Iterator[bytes]:
    """The first bytes of each non-empty NAL unit of an access unit."""
    if not length_size:
        at = packet.find(b"\0\0\1")
        while at >= 0:
            if packet[at + 3 : at + 4]:
                yield packet[at + 3 : at + 3 + _HEAD]
            at = packet.find(b"\0\0\1", at + 3)
        return
    at = 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        at += length_size
        if length:
            yield packet[at : at + min(length, _HEAD)]
        at += length


def _h264_class(units: list[bytes]) -> KeyClass:
    """ITU-T H.264 table 7-1: type 5 = IDR slice, type 6 = SEI."""
    types = [unit[0] & 31 for unit in units]
    if 5 in types:
        return "idr"
    seis = (unit for unit, kind in zip(units, types, strict=True) if kind == 6)
    return "gradual" if any(_recovers_later(sei) for sei in seis) else "open"


def _recovers_later(sei: bytes) -> bool:
    """True where a recovery point message (payload type 6) has recovery_frame_cnt > 0."""
    data = sei.replace(b"\0\0\3", b"\0\0")
    at = 1
    while at + 2 < len(data):
        kind, at = _sei_number(data, at)
        size, at = _sei_number(data, at)
        if kind == 6 and at < len(data):
            return not data[at] & 0x80  # ue(v): a leading 1 bit codes zero
        at += size
    return False


def _sei_number(data: bytes, at: int) -> tuple[int, int]:
    """A payload type or size (sum of 0xff bytes and the one after) and the position behind it."""
    value = 0
    while at < len(data) and data[at] == 0xFF:
        value, at = value + 255, at + 1
    return (value + data[at] if at < len(data) else value), at + 1


def _hevc_class(units: list[bytes]) -> KeyClass:
    """ITU-T H.265 table 7-1: 19, 20 = IDR; 16-18 BLA and 21 CRA start an open GOP."""
    types = {(unit[0] >> 1) & 63 for unit in units}
    return "idr" if types & {19, 20} else "open"
