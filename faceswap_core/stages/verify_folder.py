"""finished folder + plate -> report: every frame, with its time and whole files, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from faceswap_core import layout, manifest
from faceswap_core.errors import ManifestError, MediaError
from faceswap_core.manifest import Row
from faceswap_core.outfolder import PROVENANCE, TABLE, TABLE_JSON, files_below
from faceswap_core.schemas import REPORT
from faceswap_core.stages.decode import check_source, decoded_index
from faceswap_core.stages.deliver import Delivered
from faceswap_core.stages.images import read_png16
from faceswap_core.storage import Workspace, sha256_file
from faceswap_core.types import FileRef, ManifestRef
from faceswap_core.video.exr import read_exr

_SAMPLE = 16


def verify_folder(
    workspace: Workspace, plate: FileRef, frames: Sequence[ManifestRef], delivered: Delivered
) -> ManifestRef:
    """Check a folder by its own table: frames and times against the plate, files against size and digest.

    Some images, spread over the table, are decoded.

    Raises:
        MediaError: the plate changed.
        ManifestError: the folder's table is gone.
    """
    check_source(plate)
    index = decoded_index(workspace, frames)
    folder = Path(delivered["folder"])
    if not (folder / TABLE).is_file():
        raise ManifestError(f"{folder / TABLE} is missing: run the same command again")
    shown = dict.fromkeys((row["frame_index"], row["pts"]) for row in _rows(folder))
    files = [file for row in _rows(folder) for file in row["files"]]
    damaged = [file["file"] for file in files if not _whole(folder, file)]
    named = {TABLE, TABLE_JSON} | {file["file"] for file in files}
    picked = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(_SAMPLE, len(files))).astype(int))]
    unreadable = [file["file"] for file in picked if not _readable(folder, file)]
    stray = sorted((files_below(folder) - {PROVENANCE}) ^ named)
    checks = [
        ("frames", len(shown) == len(index), str(len(shown))),
        ("pts_equal", [pts for _, pts in shown] == index.pts.tolist(), f"{len(shown)} times"),
        ("files", not damaged, f"{len(files)} files, not as the table says: {damaged[:5]}"),
        ("only_named_files", not stray, f"missing or not named in the table: {stray[:5]}"),
        ("tables_equal", _tables_equal(folder), f"{TABLE} and {TABLE_JSON}"),
        ("sample_decoded", not unreadable, f"{len(picked)} decoded, failed: {unreadable}"),
        *(("not_carried", True, text) for text in delivered["not_carried"]),
    ]
    rows = [{"check": check, "passed": passed, "detail": detail} for check, passed, detail in checks]
    return manifest.publish(workspace, layout.FOLDER_REPORTS, "report", REPORT, rows)


def _rows(folder: Path) -> Iterator[Row]:
    with pq.ParquetFile(folder / TABLE) as table:
        for batch in table.iter_batches(batch_size=manifest.ROWS_PER_GROUP):
            yield from batch.to_pylist()


def _tables_equal(folder: Path) -> bool:
    try:
        with (folder / TABLE_JSON).open(encoding="utf-8") as stream:
            lines = (line for line in stream if line.startswith("  {"))  # a row a line
            pairs = zip_longest((json.loads(line.rstrip(",\n")) for line in lines), _rows(folder))
            return all(found == wanted for found, wanted in pairs)
    except (OSError, ValueError):
        return False


def _whole(folder: Path, file: Row) -> bool:
    path = folder / file["file"]
    return path.is_file() and (path.stat().st_size, sha256_file(path)) == (file["bytes"], file["sha256"])


def _readable(folder: Path, file: Row) -> bool:
    """True where an image decodes, as deep as it should be, to the size in the table."""
    try:
        data = (folder / file["file"]).read_bytes()
        image = read_exr(data) if file["file"].endswith(".exr") else read_png16(data)
    except (OSError, ManifestError, MediaError):
        return False
    return bool(image.shape[:2] == (file["height"], file["width"]))
