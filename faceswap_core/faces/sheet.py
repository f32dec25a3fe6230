"""chips + captions -> a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from faceswap_core.types import U8

_CAPTION = 16
_GROUND, _INK, _MARK = 24, (220, 220, 220), (230, 60, 60)


def contact_sheet(
    chips: Sequence[U8], captions: Sequence[str], marked: Sequence[bool], *, side: int, columns: int
) -> U8:
    """Rows of chips, left to right and down, each with its caption beneath.

    Args:
        chips: (S, S, 3) RGB, of any size.
        captions: as many texts.
        marked: which of them get a red frame.
        side: side of a chip on the sheet in pixels.
        columns: chips in a row.

    Returns:
        (H, W, 3) RGB.
    """
    rows = max(-(-len(chips) // columns), 1)
    sheet = np.full((rows * (side + _CAPTION), columns * side, 3), _GROUND, np.uint8)
    for number, (chip, caption, mark) in enumerate(zip(chips, captions, marked, strict=True)):
        top, left = number // columns * (side + _CAPTION), number % columns * side
        shown = sheet[top : top + side, left : left + side]
        shown[:] = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA)
        if mark:
            shown[:2], shown[-2:], shown[:, :2], shown[:, -2:] = _MARK, _MARK, _MARK, _MARK
        beneath = np.ascontiguousarray(sheet[top + side : top + side + _CAPTION, left : left + side])
        cv2.putText(beneath, caption, (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.32, _INK, 1, cv2.LINE_AA)
        sheet[top + side : top + side + _CAPTION, left : left + side] = beneath
    return sheet
