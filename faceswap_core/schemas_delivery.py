"""Schemas of what a compositor is handed; units as in `schemas`."""

from __future__ import annotations

import pyarrow as pa

from faceswap_core.schema_fields import MATRIX, schema

_SHOWN = [
    ("frame_index", pa.int64()),
    ("pts", pa.int64()),
    ("state", pa.string()),
    ("reason", pa.string()),
    ("face_index", pa.int32()),  # null: a whole frame, or one without a patch
    ("track_id", pa.int32()),
    ("shot", pa.int32()),
]
_FILE = [
    ("role", pa.string()),  # image, patch or mask
    ("file", pa.string()),
    ("sha256", pa.string()),
    ("bytes", pa.int64()),
    ("width", pa.int32()),  # px
    ("height", pa.int32()),
]

EXPORTED = schema("exported", 1, [*_SHOWN, ("matrix", MATRIX), ("files", pa.list_(pa.struct(_FILE)))])
"""Images of one chunk for a compositor, one row a frame or a face; files lie in the workspace, matrix: frame px ->
patch px."""

DELIVERY = schema(
    "delivery",
    1,
    [
        ("frame_number", pa.int64()),  # in the names of the files
        *_SHOWN,
        ("time_base", pa.string()),  # seconds of a tick, as a fraction
        ("seconds", pa.float64()),  # pts * time_base
        ("timecode", pa.string()),  # null: the source has none
        ("matrix_frame_to_patch", MATRIX),
        ("matrix_patch_to_frame", MATRIX),
        ("corners", pa.list_(pa.float64(), 8)),  # x, y of the patch's four outer corners in the frame
        ("files", pa.list_(pa.struct(_FILE))),
        ("source_sha256", pa.string()),
        ("color_matrix", pa.int32()),  # H.273, as it was used
        ("color_range", pa.string()),  # limited or full, of the source; the images are full
        ("color_primaries", pa.int32()),  # H.273, as the source says
        ("color_transfer", pa.int32()),
        ("bit_depth", pa.int32()),  # of the source's samples
    ],
)
"""What a folder for a compositor holds, one row a frame or a face; files are relative to the folder."""
