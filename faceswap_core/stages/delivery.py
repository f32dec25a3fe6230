"""exported images -> the rows of the table that tells a compositor how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.faces.geometry import apply, invert
from faceswap_core.manifest import Row
from faceswap_core.schemas import EXPORTED
from faceswap_core.types import FileRef, Json
from faceswap_core.video.colour import is_full_range, is_rgb, matrix_of
from faceswap_core.video.deep import bit_depth
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.timecode import Timecode

Kind: TypeAlias = Literal["patches", "image_sequence"]
"""What a folder holds."""

CONVENTIONS = {
    "patches": "16-bit RGBA, straight alpha; colours and alpha are those of our own video, which filters them "
    "unpremultiplied, colours cubic and alpha linear; mask is the face mask before it was drawn in and softened",
    "matrices": "2x3 row by row, column vectors x, y, 1; the centre of the top left pixel is (0, 0), y points down",
    "corners": "x, y of the patch's top left, top right, bottom right and bottom left outer corner on the frame; the "
    "outer corner of the frame's top left pixel is (0, 0), y points down (y up: the frame's height - y)",
    "colours": "code values of the source as red, green and blue in full range: its transfer is kept, nothing is "
    "linearised; codes of ITU-T H.273, 2 = the source does not say",
    "orientation": "as stored; rotation is by how many degrees, counter-clockwise, a player turns the picture",
    "order": "rows of one frame in the order in which their patches are laid over it, values cut to 0..1 after each",
}
"""How the table is to be read; stands in the table itself."""


class Describer:
    """Knows what is the same for all rows, and makes rows of the table."""

    def __init__(
        self, plate: FileRef, facts: StreamFacts, timecode: Timecode | None, *, first_pts: int, first_number: int
    ) -> None:
        """Take what is known of the plate, and pts and number of its first frame."""
        self._plate, self._facts, self._timecode = plate, facts, timecode
        self._first_pts, self._first_number = first_pts, first_number
        frame = VideoFrame(facts.width, facts.height, facts.pix_fmt)  # carries the tags to the rules of `colour`
        frame.colorspace, frame.color_range = facts.colorspace, facts.color_range
        self._constant = {
            "time_base": str(facts.time_base),
            "source_sha256": plate["sha256"],
            "color_matrix": 0 if is_rgb(frame) else matrix_of(frame),
            "color_range": "full" if is_full_range(frame) else "limited",
            "color_primaries": facts.color_primaries,
            "color_transfer": facts.color_trc,
            "bit_depth": bit_depth(frame),
        }

    def about(self, kind: Kind) -> Json:
        """What holds for the whole folder."""
        facts = self._facts
        return {
            "kind": kind,
            "source": Path(self._plate["path"]).name,
            "width": facts.width,
            "height": facts.height,
            "pixel_aspect": str(facts.sample_aspect_ratio),
            "rotation": facts.rotation,
            "average_rate": str(facts.average_rate),
            "start_number": self._first_number,
            "start_timecode": str(self._timecode) if self._timecode else None,
            **self._constant,
            "conventions": CONVENTIONS,
        }

    def row(self, exported: Row, files: list[Row]) -> Row:
        """A row of EXPORTED as one of DELIVERY."""
        facts, pts = self._facts, exported["pts"]
        since = (pts - self._first_pts) * facts.time_base
        timecode = self._timecode.later(since, facts.average_rate) if self._timecode else None
        return {
            **{name: exported[name] for name in EXPORTED.names if name not in ("matrix", "files")},
            **self._constant,
            **_geometry(exported["matrix"], files),
            "frame_number": self.number(exported),
            "seconds": float(pts * facts.time_base),
            "timecode": str(timecode) if timecode else None,
            "files": files,
        }

    def number(self, exported: Row) -> int:
        """Number of a row's frame."""
        return int(self._first_number + exported["frame_index"])


def _geometry(flat: list[float] | None, files: list[Row]) -> Row:
    """Both matrices of a patch, and where its outer corners lie on the frame."""
    if flat is None:
        return {}
    matrix = np.array(flat).reshape(2, 3)
    width, height = files[0]["width"], files[0]["height"]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    back = invert(matrix)
    return {
        "matrix_frame_to_patch": flat,
        "matrix_patch_to_frame": back.ravel().tolist(),
        "corners": (apply(back, corners - 0.5) + 0.5).ravel().tolist(),
    }
