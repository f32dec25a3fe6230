"""side data of a frame -> what it says of high dynamic range, and how encoders are told.

Mastering display colour volume (SMPTE ST 2086) and content light level (CTA-861.3) hold for a whole film and can be
handed on; HDR10+ and Dolby Vision change from frame to frame and are only recognised.
"""

from __future__ import annotations

import struct
from typing import Any

from av.video.frame import VideoFrame

HDR_TRANSFERS = frozenset({16, 18})
"""H.273 TransferCharacteristics of high dynamic range: PQ and HLG."""
_CHROMATICITY_UNITS = 50_000
_LUMINANCE_UNITS = 10_000
_DYNAMIC = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DOVI_METADATA": "Dolby Vision",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
}

MasteringDisplay = tuple[int, ...]
"""x and y of red, green, blue and white in 0.00002, then least and most luminance in 0.0001 cd/m2: ten integers, as
HEVC's SEI message has them."""


def mastering_display(frame: VideoFrame) -> MasteringDisplay | None:
    """The display that the film was graded on; None where the frame does not say, or says a part only."""
    data = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if data is None:
        return None
    numbers = struct.unpack("=22i", data)  # ten fractions, then whether colours and luminance are given
    if not (numbers[20] and numbers[21]):
        return None
    units = (*[_CHROMATICITY_UNITS] * 8, *[_LUMINANCE_UNITS] * 2)
    pairs = zip(numbers[0:20:2], numbers[1:20:2], units, strict=True)
    return tuple(round(top * unit / bottom) if bottom else 0 for top, bottom, unit in pairs)


def content_light(frame: VideoFrame) -> tuple[int, int] | None:
    """Largest light level of any pixel, and of any frame's mean, in cd/m2."""
    data = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    if data is None:
        return None
    brightest, average = struct.unpack("=2I", data[:8])
    return brightest, average


def dynamic_hdr(frame: VideoFrame) -> tuple[str, ...]:
    """Names of the frame-by-frame metadata of a frame, each once."""
    return tuple(dict.fromkeys(name for kind, name in _DYNAMIC.items() if _side_data(frame, kind) is not None))


def _side_data(frame: VideoFrame, kind: str) -> bytes | None:
    entries: Any = frame.side_data
    entry = entries.get(kind)
    return None if entry is None else bytes(entry)


def display_text(display: MasteringDisplay) -> str:
    """A mastering display as x264 and x265 read it."""
    rx, ry, gx, gy, bx, by, wx, wy, least, most = display
    return f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"


def display_decimals(display: MasteringDisplay) -> str:
    """A mastering display as SVT-AV1 reads it."""
    rx, ry, gx, gy, bx, by, wx, wy = (f"{v / _CHROMATICITY_UNITS:.5f}" for v in display[:8])
    least, most = (f"{v / _LUMINANCE_UNITS:.4f}" for v in display[8:])
    return f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"
