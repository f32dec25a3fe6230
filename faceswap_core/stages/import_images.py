"""a folder of aligned pictures -> aligned: chips of a subject of whom there is no video."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings
from faceswap_core.errors import MediaError
from faceswap_core.faces.geometry import template5
from faceswap_core.faces.picture import picture_size
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED
from faceswap_core.stages.align import figures
from faceswap_core.stages.images import pack
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.threads import cap_threads
from faceswap_core.types import U8, FileRef, ManifestRef, Progress, no_progress

SUFFIXES = (".png", ".jpg", ".jpeg")
_MOST_BYTES = 256 << 20
_MOST_PIXELS = 8192 * 8192
_LEAST_SIDE = 16


def image_refs(folder: Path) -> list[FileRef]:
    """The pictures of a folder, sorted by name; hidden files are passed over.

    Raises:
        MediaError: there is none, or something that is no PNG or JPEG lies among them.
    """
    if not folder.is_dir():
        raise MediaError(f"images {folder} is no folder: name one with aligned PNG or JPEG pictures")
    found = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: p.name)
    for path in found:
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            raise MediaError(f"{path} is no PNG or JPEG file: move it out of the folder of images")
        if path.stat().st_size > _MOST_BYTES:
            raise MediaError(f"{path} has {path.stat().st_size} bytes, at most {_MOST_BYTES} are read: make it smaller")
    if not found:
        raise MediaError(f"images {folder} holds no picture: put aligned PNG or JPEG pictures there")
    return [file_ref(path) for path in found]


def import_images(
    workspace: Workspace,
    images: Sequence[FileRef],
    subject: str,
    settings: AlignSettings,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Bring pictures to the chip's size, the middle square of each; they count as aligned like chips of ours.

    Raises:
        MediaError: one of them is broken, too small or too large; it is named.
    """
    cap_threads(1)
    source = hashlib.sha256("".join(ref["sha256"] for ref in images).encode()).hexdigest()

    def rows() -> Iterator[Row]:
        for number, ref in enumerate(images):
            yield _row(ref, settings) | {"frame_index": number, "subject": subject, "video": source}
            progress(number + 1, len(images), "images")

    return manifest.publish(workspace, layout.IMPORTED, "aligned-images", ALIGNED, rows())


def _row(ref: FileRef, settings: AlignSettings) -> Row:
    image = _read(Path(ref["path"]), ref["sha256"])
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    way = cv2.INTER_AREA if side > settings.size else cv2.INTER_CUBIC
    square = image[top : top + side, left : left + side]
    chip = np.asarray(cv2.resize(square, (settings.size, settings.size), interpolation=way), np.uint8)
    scale = settings.size / side
    shift = (scale - 1) / 2
    return {
        "face_index": 0,
        "track_id": 0,
        "shot": 0,
        "interpolated": False,
        "score": 1.0,
        "matrix": [scale, 0.0, shift - scale * left, 0.0, scale, shift - scale * top],
        "chip": pack(chip),
        "size": float(side),
    } | figures(chip, template5(), settings)


def _read(path: Path, sha256: str) -> U8:
    """One picture (H, W, 3) RGB, turned as its camera says.

    Raises:
        MediaError: it changed, or is not as a whole picture should be.
    """
    data = path.read_bytes() if path.is_file() and sha256_file(path) == sha256 else b""
    if not data:
        raise MediaError(f"{path} is gone or changed while the job ran: run the same command again")
    try:
        width, height = picture_size(data)
    except MediaError as error:
        raise MediaError(f"{path} {error}") from error
    if not (min(width, height) >= _LEAST_SIDE and width * height <= _MOST_PIXELS):
        raise MediaError(
            f"{path} has {width}x{height} px, taken are sides from {_LEAST_SIDE} px and up to {_MOST_PIXELS} pixels: "
            "resize it or move it away"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MediaError(f"{path} cannot be decoded ({error.err}): replace it or move it away") from error
    if image is None:
        raise MediaError(f"{path} cannot be decoded: replace it or move it away")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
