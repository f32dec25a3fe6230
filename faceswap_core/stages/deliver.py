"""exported images of all chunks -> one folder for a compositor, with its table."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from faceswap_core import layout, manifest
from faceswap_core.config_output import LAST_NUMBER
from faceswap_core.errors import ManifestError, MediaError, SettingsError
from faceswap_core.manifest import Row
from faceswap_core.outfolder import TABLE, TABLE_JSON, place, replaced_folder
from faceswap_core.schemas import DELIVERY, EXPORTED, schema_name
from faceswap_core.stages.decode import check_source, published_chunk
from faceswap_core.stages.delivery import Describer, Kind
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.types import FileRef, Json, ManifestRef
from faceswap_core.video.timecode import read_timecode

_log = logging.getLogger(__name__)


class Delivered(TypedDict):
    """A finished folder."""

    folder: str
    """Its absolute path."""
    table: ManifestRef
    """DELIVERY; file names are relative to the folder."""
    tables: list[FileRef]
    """The two forms of the table in the folder."""
    not_carried: list[str]
    """Streams of the plate that a folder of images cannot hold."""


def deliver_folder(
    workspace: Workspace,
    plate: FileRef,
    frames: Sequence[ManifestRef],
    exported: Sequence[ManifestRef],
    kind: Kind,
    folder: Path,
    start_number: int | None,
) -> Delivered:
    """Name the images of all chunks by frame number, put them into one folder and write its table.

    The number of a frame is ``start_number`` + frame_index; without it numbers begin at the plate's timecode in
    frames, or at 0. Images are hard links of those in the workspace where the disk allows it.

    Args:
        workspace: where manifests and images are.
        plate: the source.
        frames: FRAMES of every chunk of the plate, in order.
        exported: EXPORTED of every chunk, in order.
        kind: what the images are.
        folder: absolute path to write.
        start_number: number of frame 0.

    Raises:
        SettingsError: the folder holds files of others, or numbers would need more than eight digits.
        ManifestError: an image is missing or was altered.
        MediaError: the plate changed, or no frame of it was decoded.
    """
    check_source(plate)
    chunk, facts = published_chunk(workspace, frames[0])
    timecode = read_timecode(plate["path"], facts.stream_index, facts.average_rate)
    first = start_number if start_number is not None else timecode.frames if timecode else 0
    _check_numbers(frames, first)
    describe = Describer(plate, facts, timecode, first_pts=chunk.pts[0], first_number=first)
    with replaced_folder(folder) as scratch:
        table = manifest.publish(
            workspace,
            layout.DELIVERED,
            "frames",
            DELIVERY,
            _placed(workspace, exported, scratch, describe),
            {"about": json.dumps(describe.about(kind))},
        )
        place(workspace.localize(table["path"], table["sha256"]), scratch / TABLE)
        _write_json(workspace, table, describe.about(kind), scratch / TABLE_JSON)
    _log.info("wrote %d rows and their images to %s", table["rows"], folder)
    left = [f"{s.kind} stream {s.index} {s.codec}: a folder of images cannot hold it" for s in facts.other_streams]
    tables = [file_ref(folder / name) for name in (TABLE, TABLE_JSON)]
    return Delivered(folder=str(folder), table=table, tables=tables, not_carried=left)


def _check_numbers(frames: Sequence[ManifestRef], first: int) -> None:
    count = sum(ref["rows"] for ref in frames)
    if not count:
        raise MediaError("no frame of the video was decoded; give another copy of it")
    if first + count - 1 > LAST_NUMBER:
        raise SettingsError(
            f"{count} frames numbered from {first} exceed {LAST_NUMBER}, the last number that file names hold: "
            "set a lower output.start_number"
        )


def _placed(workspace: Workspace, exported: Sequence[ManifestRef], folder: Path, describe: Describer) -> Iterator[Row]:
    """Rows of the table; the images of each are put into the folder first."""
    for ref in exported:
        for row in manifest.stream(workspace, ref, EXPORTED):
            files = []
            for file in row["files"]:
                if not workspace.holds(file["file"], file["sha256"]):
                    raise ManifestError(f"image {file['file']} is missing or altered: run the same command again")
                name = _name(row, file, describe.number(row))
                copied = place(workspace.localize(file["file"], file["sha256"]), folder / name)
                if copied and sha256_file(folder / name) != file["sha256"]:
                    raise ManifestError(f"{folder / name} was not copied whole: run the same command again")
                files.append(file | {"file": name})
            yield describe.row(row, files)


def _name(row: Row, file: Row, number: int) -> str:
    """Name of an image in the folder: a sequence of its own for every track of faces."""
    name = f"{'frame' if file['role'] == 'image' else file['role']}.{number:08d}{Path(file['file']).suffix}"
    return name if row["track_id"] is None else f"track_{row['track_id']:04d}/{name}"


def _write_json(workspace: Workspace, table: ManifestRef, about: Json, path: Path) -> None:
    """Write the table as JSON, row by row."""
    with path.open("w", encoding="utf-8") as stream:
        head = json.dumps({"schema": schema_name(DELIVERY), "about": about}, indent=1)
        stream.write(head.removesuffix("\n}") + ',\n "frames": [')
        for number, row in enumerate(manifest.stream(workspace, table, DELIVERY)):
            stream.write((",\n  " if number else "\n  ") + json.dumps(row))
        stream.write("\n ]\n}\n")
