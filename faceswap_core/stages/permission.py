"""footage -> refused where its own C2PA manifest says that it may not be edited or learned from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from faceswap_core.errors import ConsentError
from faceswap_core.trust.boxes import C2PA, find_uuid_box
from faceswap_core.trust.c2pa import MIME_TYPES, child_manifest, forbidden_use
from faceswap_core.types import FileRef
from faceswap_core.video.sandbox import run_limited


def check_uses(video: FileRef, *, training: bool) -> None:
    """Refuse footage whose maker forbade what a job does (CAWG training and data mining assertion).

    Args:
        video: a source.
        training: whether a network is to learn from it.

    Raises:
        ConsentError: its manifest does not allow it.
        MediaError: its manifest cannot be read within the limits.
    """
    entry = forbidden_use(dict(_uses(video["path"], video["sha256"])), training=training)
    if entry:
        raise ConsentError(f"{video['path']}: its C2PA manifest says {entry}: ask its maker for leave, or leave it out")


@cache
def _uses(path: str, sha256: str) -> tuple[tuple[str, str], ...]:
    """Training and mining entries of a file; none where it has no manifest. The answer hangs on ``sha256``."""
    mime = MIME_TYPES.get(Path(path).suffix.lower())
    if mime is None:
        return ()
    with open(path, "rb") as stream:
        if find_uuid_box(stream, C2PA, most=0) is None:
            return ()
    found = run_limited(child_manifest, {"path": path, "mime": mime, "anchors": []}, source=path)
    return tuple(found["uses"].items())
