"""Every manifest's schema, in the order of the data.

Units: pixels with the centre of the top left pixel at (0, 0); ``pts`` and ``duration`` in ticks of the stream's
time_base, which stands in the metadata of FRAMES; colours 0..255 RGB. Matrices are 2x3, row by row.
"""

from __future__ import annotations

import pyarrow as pa

from faceswap_core.schema_fields import MATRIX as _MATRIX
from faceswap_core.schema_fields import schema as _schema
from faceswap_core.schema_fields import schema_name as schema_name
from faceswap_core.schemas_delivery import DELIVERY as DELIVERY
from faceswap_core.schemas_delivery import EXPORTED as EXPORTED
from faceswap_core.schemas_quality import QUALITY as QUALITY

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_XYXY = pa.list_(pa.float32(), 4)
_POINTS5 = pa.list_(pa.float32(), 10)
_DENSE = pa.list_(pa.float32())
_RGB = pa.list_(pa.float64(), 3)
_COLORS = pa.list_(pa.float32())  # numbers of `faces.color_transfer.ColorStats`


_FACE = [("frame_index", pa.int64()), ("face_index", pa.int32())]

TRUTH = _schema(
    "truth",
    1,
    [
        ("frame_index", pa.int64()),
        ("landmarks", pa.list_(pa.float32(), 136)),  # 68 points x, y in frame px
        ("visible", pa.list_(pa.bool_(), 68)),
        ("identity", pa.int64()),
        ("performance", pa.int64()),
        ("parameters", pa.string()),  # JSON of expression, pose and light
    ],
)
"""What a rendered actor's clip truly shows, one row a frame."""

PACKETS = _schema(
    "packets",
    1,
    [
        ("pts", pa.int64()),
        ("duration", pa.int64()),
        ("key_class", pa.string()),
        ("packet_dts", pa.int64()),  # null: the file does not say
        ("packet_size", pa.int64()),  # bytes
        ("packet_order", pa.int64()),  # ordinal in the file
        ("chunk_index", pa.int32()),
    ],
)
"""The packets of a whole video, the n-th row that of frame n; stream facts in the metadata."""

FRAMES = _schema(
    "frames",
    1,
    [
        ("frame_index", pa.int64()),
        ("pts", pa.int64()),
        ("duration", pa.int64()),
        ("key_class", pa.string()),
        ("chunk_index", pa.int32()),
        ("corrupt", pa.bool_()),
        ("luma_mean", pa.float32()),  # 0..1
        ("cut_score", pa.float32()),  # mean absolute difference of luma thumbnails to the frame before, 0..1
        ("crc32", pa.int64()),  # of all planes of the decoded frame
    ],
)
"""The frames of one chunk; stream facts, source digest and chunk in the metadata."""

DETECTIONS = _schema(
    "detections",
    1,
    [
        *_FACE,
        ("box_xyxy", _XYXY),
        ("score", pa.float32()),
        ("points5", _POINTS5),  # eye, eye, nose, mouth corner, mouth corner; left of the image first
        ("points_dense", _DENSE),
        ("embedding", pa.list_(pa.float32())),
        ("backend", pa.string()),
    ],
)
"""The faces of one chunk; frames without a face have no row."""

TRACKS = _schema(
    "tracks",
    2,
    [
        *_FACE,
        ("track_id", pa.int32()),
        ("subject", pa.string()),  # null: a face that nobody chose
        ("shot", pa.int32()),
        ("box_xyxy", _XYXY),
        ("score", pa.float32()),
        ("points5", _POINTS5),  # smoothed
        ("points5_raw", _POINTS5),  # as detected or interpolated
        ("points_dense", _DENSE),  # smoothed as the five are; null where the detector has none, or interpolated
        ("similarity", pa.list_(pa.float64(), 4)),  # a, b, x, y: unit square of the template -> frame px
        ("similarity_dense", pa.list_(pa.float64(), 4)),  # the same by the mesh's rigid points; null without a mesh
        ("interpolated", pa.bool_()),
        ("to_edge", pa.int32()),  # frames to where the face enters or leaves within its shot; null: it does neither
    ],
)
"""The faces of one chunk as parts of tracks."""

FIGURES = [
    ("size", pa.float32()),  # of the face in the frame: root of its box's area, px; of an image: its shorter side
    ("sharpness", pa.float32()),  # variance of the Laplacian of the view's luma
    ("yaw", pa.float32()),  # degrees; positive: the face looks to the image's right
    ("pitch", pa.float32()),  # positive: it looks up
    ("roll", pa.float32()),  # positive: clockwise
    ("exposure", pa.float32()),  # mean luma of the face, 0..1
    ("clipped", pa.float32()),  # share of the face that is black or white
    ("light_x", pa.float32()),  # slope of luma over half the face, of 1 its mean; positive: lit from the right
    ("light_y", pa.float32()),  # positive: lit from below
    ("occlusion", pa.float32()),  # share of the face whose colour is not its own skin's
    ("eyes_open", pa.float32()),  # height by width; null without dense points
    ("mouth_open", pa.float32()),
]
"""What is measured of every face, for curation."""

ALIGNED = _schema(
    "aligned",
    2,
    [
        *_FACE,
        ("track_id", pa.int32()),
        ("subject", pa.string()),
        ("shot", pa.int32()),
        ("interpolated", pa.bool_()),
        ("to_edge", pa.int32()),  # as in TRACKS
        ("score", pa.float32()),
        ("matrix", _MATRIX),  # frame px -> chip px
        ("chip", _IMAGE),
        ("points5", _POINTS5),  # in the chip; null for an image that was given aligned
        ("points_dense", _DENSE),  # in the chip; null where the detector has none
        *FIGURES,
        ("hash", pa.uint64()),  # perceptual: near-duplicates differ in few bits
        ("thumbnail", pa.binary()),  # 24x24 luma of the face, row by row
        ("video", pa.string()),  # sha256 of the source video, or of the images' digests
    ],
)
"""The chips of one chunk, or of one folder of images (frame_index: their order by name)."""

MASKS = _schema(
    "masks",
    2,
    [
        *_FACE,
        ("mask", _IMAGE),  # what is swapped
        ("features", _IMAGE),  # for the weight of the losses: red eyes and brows, green the mouth
        ("color_sum", _RGB),  # under the mask
        ("color_square_sum", _RGB),
        ("color_weight", pa.float64()),  # sum of the mask
    ],
)
"""The face masks of one chunk, in chip px, 0..255, row by row beside ALIGNED."""

COLOR_STATS = _schema(
    "color-stats",
    1,
    [
        ("subject", pa.string()),
        ("video", pa.string()),  # sha256 of the source video; null: the whole set
        ("track_id", pa.int32()),  # null: the whole set
        ("shot", pa.int32()),  # null: the whole set
        ("mean", _RGB),
        ("std", _RGB),
        ("count", pa.int64()),  # faces
        ("scale", _RGB),  # colours of this subject * scale + shift = the common space, that of B
        ("shift", _RGB),
    ],
)
"""Colours of both sides under the face masks, and what brings them together."""

SELECTION = _schema("selection", 1, [*_FACE, ("video", pa.string()), ("keep", pa.bool_()), ("reason", pa.string())])
"""Which faces a user keeps for training; faces that are not named are kept."""

TRAIN_LOG = _schema(
    "train-log",
    3,
    [
        ("step", pa.int64()),
        ("loss_a", pa.float32()),  # null where nothing was trained, as in a row that tells of going back
        ("loss_b", pa.float32()),
        ("validation_a", pa.float32()),  # null where not measured
        ("validation_b", pa.float32()),
        ("cycle", pa.float32()),  # of A drawn as B and drawn back; null where not measured, as the next three
        ("likeness", pa.float32()),  # of A drawn as B to the nearest face of B
        ("landmarks", pa.float32()),  # of the swap to A's, of the eyes' distance
        ("identity", pa.float32()),  # cosine to B less that to A
        ("seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        ("losses", pa.list_(pa.struct([("name", pa.string()), ("value", pa.float32())]))),  # all that are shown
        ("rate", pa.float64()),  # step size of the next step
        ("samples_per_second", pa.float32()),  # faces of both sides
        ("data_wait_share", pa.float32()),  # of the time since the last row
        ("peak_memory_bytes", pa.int64()),
        ("event", pa.string()),  # such as going back to a checkpoint
    ],
)
"""Losses of both sides, speed and memory over the steps of the training."""

_PATCH = [
    *_FACE,
    ("track_id", pa.int32()),
    ("shot", pa.int32()),
    ("to_edge", pa.int32()),  # as in TRACKS
    ("patch", _IMAGE),  # RGBA
    ("view", _IMAGE),  # RGB, the plate's face as the network saw it, in patch px
    ("matrix", _MATRIX),  # frame px -> patch px
]

SWAPPED = _schema(
    "swapped",
    3,
    [*_PATCH, ("free", _IMAGE)],  # 255 where nothing lies before the plate's face, 0 hidden; null: not looked for
)
"""Patches of one chunk, as the network drew them."""

NO_APART = 128
"""Value of SMOOTHED's ``apart`` where plate and patch agree."""

SMOOTHED = _schema(
    "smoothed",
    3,
    [
        *_PATCH,
        ("mask", _IMAGE),  # of the plate's face without what lies before it, in patch px, 0..255
        ("opacity", pa.float32()),  # 0..1: less where a face enters or leaves
        ("motion", pa.list_(pa.float32(), 2)),  # of the face's centre, frame px a frame
        ("patch_colors", _COLORS),  # under the patch's alpha, their spread averaged over time; null where that is empty
        ("view_colors", _COLORS),
        ("apart", _IMAGE),  # 32 px, coarsely: plate less patch after a shift by means, averaged over time; 128 is none
    ],
)
"""Patches of one chunk, steadied in time, with what is needed to fit them to the plate."""

CHUNKS = _schema(
    "chunks",
    1,
    [
        ("chunk_index", pa.int32()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("frames", pa.int64()),
        ("first_pts", pa.int64()),
        ("last_pts", pa.int64()),
        (
            "states",
            pa.list_(pa.struct([("frame_index", pa.int64()), ("state", pa.string()), ("reason", pa.string())])),
        ),
    ],
)
"""One encoded chunk and how each of its frames ended."""

REPORT = _schema("report", 1, [("check", pa.string()), ("passed", pa.bool_()), ("detail", pa.string())])
"""What verification found."""

EVALUATION = _schema(
    "evaluation",
    2,
    [
        ("frame_index", pa.int64()),
        ("swap", pa.float64()),  # L1 to the truth inside the mask, 0..1
        ("plate", pa.float64()),
        ("mean_face", pa.float64()),
        ("reconstruction", pa.float64()),
        ("transfer", pa.float64()),
        ("residual", pa.float64()),
        ("reconstruction_transfer", pa.float64()),
        ("reconstruction_residual", pa.float64()),
        ("mean_face_transfer", pa.float64()),
        ("mean_face_residual", pa.float64()),
        ("blurred_truth_transfer", pa.float64()),
        ("blurred_truth_residual", pa.float64()),
        ("ssim", pa.float64()),  # to the truth inside the mask, as all that follow
        ("plate_ssim", pa.float64()),
        ("reconstruction_ssim", pa.float64()),
        ("mean_face_ssim", pa.float64()),
        ("blurred_truth_ssim", pa.float64()),
    ],
)
"""The swap against the truth, one row a frame."""
