"""aligned faces of both sides -> colour statistics, and the map that brings A's colours to B's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import NormalizeSettings
from faceswap_core.errors import NoFaceError
from faceswap_core.faces.color import ColorMap, ColorSums, color_map
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED, COLOR_STATS, MASKS
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.selection import FACE_KEY, FaceKey, dropped_faces, face_key
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import NOBODY, Grant, bound
from faceswap_core.types import ManifestRef

_Key = tuple[str | None, int | None, int | None]
"""Source video, track and shot; all None for the whole set."""
_WHOLE: _Key = (None, None, None)


def normalize_color(
    workspace: Workspace,
    side_a: Sequence[AlignedChunk],
    side_b: Sequence[AlignedChunk],
    names: tuple[str, str],
    settings: NormalizeSettings,
    selection: ManifestRef | None = None,
    consents: Mapping[str, Grant] = NOBODY,
) -> ManifestRef:
    """Measure the colours of both sides under their masks, of the faces that ``selection`` keeps; without one, of all.

    ``consents`` stand in the metadata.

    Raises:
        NoFaceError: one side has no face at all.
    """
    dropped = dropped_faces(workspace, selection)
    sums = [_sums(workspace, side, dropped) for side in (side_a, side_b)]
    for name, side in zip(names, sums, strict=True):
        if not side:
            raise NoFaceError(
                f"no face was found in the footage of subject {name!r}, or all were dropped: give videos that show it, "
                "or keep some with `faceswap faces keep`"
            )
    matched = color_map(settings.rule, sums[0][_WHOLE][0], sums[1][_WHOLE][0])
    identity = ColorMap(np.ones(3), np.zeros(3))
    rows = []
    for name, side, found in zip(names, sums, (matched, identity), strict=True):
        rows += [_row(name, key, *value, found) for key, value in sorted(side.items(), key=lambda kv: str(kv[0]))]
    return manifest.publish(workspace, layout.COLOR_STATS, "color-stats", COLOR_STATS, rows, bound(consents))


def _sums(
    workspace: Workspace, chunks: Sequence[AlignedChunk], dropped: Set[FaceKey]
) -> dict[_Key, tuple[ColorSums, int]]:
    empty = (ColorSums(np.zeros(3), np.zeros(3), 0.0), 0)
    found: dict[_Key, tuple[ColorSums, int]] = defaultdict(lambda: empty)
    for chunk in chunks:
        faces = manifest.stream(workspace, chunk["aligned"], ALIGNED, [*FACE_KEY, "track_id", "shot"])
        colors = manifest.stream(workspace, chunk["masks"], MASKS, ["color_sum", "color_square_sum", "color_weight"])
        for face, row in zip(faces, colors, strict=True):
            if face_key(face) in dropped:
                continue
            one = ColorSums(np.array(row["color_sum"]), np.array(row["color_square_sum"]), row["color_weight"])
            for key in (_WHOLE, (face["video"], face["track_id"], face["shot"])):
                total, count = found[key]
                found[key] = (total + one, count + 1)
    return dict(found)


def _row(name: str, key: _Key, sums: ColorSums, count: int, found: ColorMap) -> Row:
    return {
        "subject": name,
        "video": key[0],
        "track_id": key[1],
        "shot": key[2],
        "mean": sums.mean.tolist(),
        "std": sums.std.tolist(),
        "count": count,
        "scale": found.scale.tolist(),
        "shift": found.shift.tolist(),
    }


def color_facts(workspace: Workspace, stats: ManifestRef) -> dict[str, dict[str, list[float]]]:
    """Mean, scale and shift of each subject's whole set, by the subject's name."""
    return {
        row["subject"]: {k: row[k] for k in ("mean", "std", "scale", "shift")}
        for row in manifest.stream(workspace, stats, COLOR_STATS)
        if row["track_id"] is None
    }
