"""finished video + plate -> report: same frames, same times, same other streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceswap_core import layout, manifest
from faceswap_core.schemas import REPORT
from faceswap_core.stages.decode import check_source, decoded_index
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from faceswap_core.video.outfile import muxer_of
from faceswap_core.video.verify import verify_video as compare

_SAMPLE = 16
_INEXACT = "largest error"


def verify_video(
    workspace: Workspace, plate: FileRef, frames: Sequence[ManifestRef], video: FileRef, not_carried: list[str]
) -> ManifestRef:
    """Compare the finished video with its plate, packet by packet, and decode a sample of its frames.

    The plate's frames are those that were decoded of it; what is missing of a damaged plate is missing in the video.

    Args:
        workspace: where manifests are.
        plate: the source.
        frames: FRAMES of every chunk of the plate, in order.
        video: the finished video.
        not_carried: streams that the container could not hold, as assembly said; what else it does not hold is found
            here, by reading both files.

    Raises:
        MediaError: one of the files cannot be read, or the plate changed.
    """
    check_source(plate)
    index = decoded_index(workspace, frames)
    found = compare(video["path"], index, plate["path"], _SAMPLE)
    lost = list(found.not_carried)
    named = [name for name in lost if any(text.startswith(_stream(name)) for text in not_carried)]
    rows = [
        {"check": "frames", "passed": found.frames == len(index), "detail": str(found.frames)},
        {
            "check": "pts_equal",
            "passed": found.pts_equal or bool(found.times_explained),
            "detail": "all equal" if found.pts_equal else f"{_INEXACT} {found.max_pts_error_seconds} s",
        },
        {"check": "container", "passed": True, "detail": muxer_of(Path(video["path"]))},
        {
            "check": "streams_equal",
            "passed": found.streams_equal or len(named) == len(lost),
            "detail": "; ".join(lost),
        },
        {
            "check": "sample_decoded",
            "passed": not found.sample_failed,
            "detail": f"{found.sample_decoded} decoded, failed: {list(found.sample_failed)}",
        },
    ]
    for text in (*not_carried, *filter(None, [found.times_explained]), *found.changed):
        rows.append({"check": "not_carried", "passed": True, "detail": text})
    return manifest.publish(workspace, layout.REPORTS, "report", REPORT, rows)


def _stream(name: str) -> str:
    """Kind and index of a stream, as both reports begin: ``audio stream 1``."""
    return " ".join(name.split()[:3])


def video_report(workspace: Workspace, ref: ManifestRef) -> Json:
    """The ``video`` part of report.json, and the list of checks that did not pass; a folder has no other streams."""
    rows = list(manifest.stream(workspace, ref, REPORT))
    passed = {row["check"]: row["passed"] for row in rows}
    details = {row["check"]: row["detail"] for row in rows}
    return {
        "container": details.get("container"),
        "frames": int(details["frames"]),
        "pts_equal": passed["pts_equal"] and not details["pts_equal"].startswith(_INEXACT),
        "streams_equal": passed.get("streams_equal"),
        "sample_decoded": passed["sample_decoded"],
        "not_carried": [row["detail"] for row in rows if row["check"] == "not_carried"],
        "failed_checks": [f"{row['check']}: {row['detail']}" for row in rows if not row["passed"]],
    }
