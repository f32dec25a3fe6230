"""The schema of what is measured of single frames of a swap."""

from __future__ import annotations

import pyarrow as pa

from faceswap_core.schema_fields import schema as _schema

_POINTS5 = pa.list_(pa.float32(), 10)

QUALITY = _schema(
    "quality",
    2,
    [
        ("variant", pa.string()),  # swap, unsmoothed, no_swap or ideal
        ("frame_index", pa.int64()),
        ("face_index", pa.int32()),
        ("track_id", pa.int32()),
        ("shot", pa.int32()),
        ("eye_distance", pa.float32()),  # in the plate, px; null with all landmarks where no face was detected there
        ("points5", _POINTS5),  # found in the composite, px; null with what is made of it where none was found
        ("points5_plate", _POINTS5),  # found in the plate by the same detector, px
        ("nme", pa.float32()),  # mean distance of the landmarks to the plate's, share of the eyes' distance
        ("pose_error", pa.float32()),  # degrees; null without a mesh, as are the next four
        ("mouth", pa.float32()),  # height by width
        ("mouth_plate", pa.float32()),
        ("eyes", pa.float32()),
        ("eyes_plate", pa.float32()),
        ("lab_apart", pa.list_(pa.float32(), 3)),  # mean CIE L*a*b* of the face less that of the plate's
        ("warp", pa.float32()),  # warping error to the frame before; null where that is none of the same shot
        ("warp_plate", pa.float32()),  # of the plate, along the same flow
        ("sharpness", pa.float32()),  # variance of the Laplacian of luma under the blend's weight
        ("sharpness_plate", pa.float32()),
        ("sharpness_truth", pa.float32()),  # null without truth
        ("seam", pa.float32()),  # steepness across the edge, by that of the plate
        ("leak", pa.float32()),  # largest change outside the patches, 8-bit code values
        ("transfer", pa.float32()),  # towards the truth in the plate's colours; null without truth
        ("encode_loss", pa.float32()),  # mean change of the face by encoding, 8-bit code values; null without a video
        ("traits", pa.list_(pa.float32())),  # as the identity network reads them; null where it does not serve
        ("before", pa.binary()),  # JPEG of the plate's face; null but for the chunk's worst frames
        ("after", pa.binary()),  # JPEG of the same place, swapped
    ],
)
"""The measured frames of one chunk, before encoding and label; those of a sample also in other variants."""
