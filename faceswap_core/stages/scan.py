"""frames, detections, tracks -> figures: how many faces, how steadily followed, at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from faceswap_core import manifest
from faceswap_core.manifest import Row
from faceswap_core.schemas import TRACKS
from faceswap_core.stages.detect import Detected
from faceswap_core.stages.report import mean_jitter
from faceswap_core.storage import Workspace
from faceswap_core.types import Json, ManifestRef

_COLUMNS = ["frame_index", "track_id", "points5", "points5_raw", "interpolated"]


def scan_figures(
    workspace: Workspace, frames: Sequence[ManifestRef], detections: Sequence[Detected], tracks: Sequence[ManifestRef]
) -> Json:
    """What a scan tells of a video.

    Args:
        workspace: where manifests are.
        frames: FRAMES of every chunk.
        detections: DETECTIONS of every chunk.
        tracks: TRACKS of every chunk.

    Returns:
        ``frames`` decoded; ``found``, those in which a face was detected and kept as part of a track;
        ``faces_per_frame`` on average; ``tracks``; ``jitter_before`` and ``jitter_after`` smoothing
        (`faces.steadying.jitter`, tracks counted by their length, null without three frames in a row);
        ``ms_per_frame``, processor time of the detector alone; ``backend``.
    """
    by_track: dict[int, list[Row]] = defaultdict(list)
    for ref in tracks:
        for row in manifest.stream(workspace, ref, TRACKS, _COLUMNS):
            by_track[row["track_id"]].append(row)
    seen = [row["frame_index"] for rows in by_track.values() for row in rows if not row["interpolated"]]
    total = sum(ref["rows"] for ref in frames)
    cpu_seconds = sum(ref["cpu_seconds"] for ref in detections)
    return {
        "frames": total,
        "found": len(set(seen)),
        "faces_per_frame": round(len(seen) / total, 4) if total else 0.0,
        "tracks": len(by_track),
        "jitter_before": mean_jitter(list(by_track.values()), "points5_raw"),
        "jitter_after": mean_jitter(list(by_track.values()), "points5"),
        "ms_per_frame": round(1000 * cpu_seconds / total, 3) if total else None,
        "backend": ", ".join(sorted({ref["backend"] for ref in detections})),
    }
