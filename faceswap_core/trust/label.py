"""label settings + size of a frame -> the mark that viewers see; and the marks that machines read.

The visible mark follows the EU code of practice ("AI MODIFIED", top right) and GB 45438-2025 (5 % of the shorter
side, at least 2 s); the container key ``AIGC`` is that standard's, with its seven fields, the XMP packet carries IPTC's
digital source type.
"""

from __future__ import annotations

import json
from typing import BinaryIO

import cv2
import numpy as np

from faceswap_core.trust.boxes import XMP, find_uuid_box, uuid_box
from faceswap_core.types import F32, U8, Json

Rect = tuple[int, int, int, int]
"""x, y, width, height in px."""
AIGC = "AIGC"
"""Key of the container's metadata."""
AIGC_FIELDS = (
    *("Label", "ContentProducer", "ProduceID", "ReservedCode1"),
    *("ContentPropagator", "PropagateID", "ReservedCode2"),
)
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SMALLEST = 8
"""Height of the text in pixels, at least."""
_GROUND = 0.25
"""How much of the picture shines through behind the text."""


class Label:
    """The mark for frames of one size, upright for the viewer however the frame is stored."""

    def __init__(self, text: str, height: float, frame_wh: tuple[int, int], rotation: int = 0) -> None:
        """Draw it once.

        Args:
            text: ASCII.
            height: of the capitals, as a share of the frame's shorter side.
            frame_wh: stored size in pixels.
            rotation: degrees, counter-clockwise, by which a player turns the stored picture.
        """
        turns = round(rotation / 90) % 4
        shown_wh = frame_wh[::-1] if turns % 2 else frame_wh
        letters = _letters(text, max(round(height * min(frame_wh)), _SMALLEST), shown_wh[0])
        margin = min(max(round(0.02 * min(frame_wh)), 2), shown_wh[0] - letters.shape[1])
        canvas: F32 = np.full(shown_wh[::-1], -1, np.float32)
        canvas[margin : margin + letters.shape[0], shown_wh[0] - margin - letters.shape[1] : shown_wh[0] - margin] = (
            letters[: shown_wh[1] - margin]
        )
        stored = np.rot90(canvas, -turns)
        rows, columns = (np.flatnonzero((stored >= 0).any(axis=axis)) for axis in (1, 0))
        self.rect: Rect = (int(columns[0]), int(rows[0]), len(columns), len(rows))
        """Where it stands in the stored frame."""
        self.letters: F32 = np.ascontiguousarray(stored[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        """(h, w) 0..1: 1 inside a letter."""

    def draw(self, pixels: F32) -> F32:
        """Lay it over its rectangle, (h, w, 3) 0..1: white letters on darkened ground."""
        letters = self.letters[..., None]
        return np.asarray(pixels * _GROUND * (1 - letters) + letters, np.float32)

    def likeness(self, luma: U8) -> float:
        """How much a rectangle of a picture, (h, w) 0..255, looks like it: correlation, 1 for the mark itself."""
        a, b = luma.astype(np.float64) - luma.mean(), self.letters - self.letters.mean()
        scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
        return float((a * b).sum()) / scale if scale else 0.0


def _letters(text: str, height: int, most: int) -> F32:
    """The text, white on black, with a border of a third of its height; smaller where it would be too wide."""
    while True:
        thickness = max(round(height / 9), 1)
        scale = cv2.getFontScaleFromHeight(_FONT, height, thickness)
        (width, tall), below = cv2.getTextSize(text, _FONT, scale, thickness)
        pad = max(height // 3, 2)
        if width + 2 * pad <= most or height <= 2:
            break
        height -= 1
    canvas = np.zeros((tall + below // 2 + 2 * pad, min(width + 2 * pad, most)), np.uint8)
    cv2.putText(canvas, text, (pad, pad + tall), _FONT, scale, 255, thickness, cv2.LINE_AA)
    return np.asarray(canvas / 255, np.float32)


def aigc_tag(producer: str, produce_id: str) -> str:
    """Value of the container key ``AIGC``: its seven fields as JSON text; Label 1 = made by AI."""
    values = dict.fromkeys(AIGC_FIELDS, "") | {"Label": "1", "ContentProducer": producer, "ProduceID": produce_id}
    return json.dumps(values, ensure_ascii=True)


def aigc_fault(text: str | None) -> str:
    """What is wrong with a value of ``AIGC``; '' for a good one."""
    if not text:
        return "the container has no key AIGC"
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return "AIGC is no JSON"
    if not isinstance(values, dict) or set(values) != set(AIGC_FIELDS):
        return f"AIGC must have the fields {', '.join(AIGC_FIELDS)}"
    return "" if values["Label"] == "1" else f"AIGC says Label {str(values['Label'])[:20]!r}, not '1'"


def xmp_packet(source_type: str) -> bytes:
    """XMP that names the digital source type."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="{source_type}"'
        '/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def xmp_box(source_type: str) -> bytes:
    """The packet as a box of an MP4 or QuickTime file, to stand behind all others."""
    return uuid_box(XMP, xmp_packet(source_type))


def find_xmp(stream: BinaryIO) -> bytes:
    """The XMP packet of an MP4 or QuickTime file; nothing where it has none or is damaged."""
    return find_uuid_box(stream, XMP) or b""


def label_facts(
    mode: str, text: str, seconds: float, height: float, reason: str, approved_by: str, watermark: str | None = None
) -> Json:
    """How an output is labelled, as its statement says; fractions as text."""
    hidden = {"watermark": watermark} if watermark else {}
    if mode == "off":
        return {"mode": mode, "reason": reason, "approved_by": approved_by, **hidden}
    return {"mode": mode, "text": text, "seconds": f"{seconds:g}", "height": f"{height:g}", **hidden}
