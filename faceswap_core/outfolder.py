"""files -> a folder of the user's that appears under its name only when complete.

A folder is replaced only if all that lies in it was put there by an earlier run: it tells so by its own table.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from faceswap_core.errors import SettingsError
from faceswap_core.schemas import DELIVERY, schema_name
from faceswap_core.storage import disk_full_as_ours, process_lives
from faceswap_core.types import Json

TABLE = "frames.parquet"
"""The table of a folder; lies in every folder of ours."""
TABLE_JSON = "frames.json"
"""The same as JSON."""
PROVENANCE = "provenance.json"
"""What is known of the folder's making, signed."""
_MAX_ROWS = 1 << 23
"""Frames of a folder, at most."""
_ROWS_AT_A_TIME = 64
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


def check_replaceable(folder: Path) -> None:
    """Refuse a target that holds anything but what an earlier run wrote.

    Raises:
        SettingsError: it is no folder, or holds files of others.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise SettingsError(f"output.folder {folder} exists and is no folder: name another")
    foreign = sorted(files_below(folder) - named_files(folder))
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise SettingsError(
            f"output.folder {folder} holds files that no run of this program wrote ({foreign[0]}{more}): "
            "name a new or empty folder"
        )


def files_below(folder: Path) -> set[str]:
    """Every file under a folder, relative, with forward slashes; none where there is no folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def named_files(folder: Path) -> set[str]:
    """Files that the folder's own table names, the tables included; none where it has no table of ours."""
    found = listed_files(folder)
    return {TABLE, TABLE_JSON, PROVENANCE} | {name for name, _ in found} if found is not None else set()


def listed_files(folder: Path) -> list[tuple[str, str]] | None:
    """Name and sha256 of every file that a folder's own table lists; None where it has no table of ours."""
    try:
        with pq.ParquetFile(folder / TABLE) as table:
            if not table.schema_arrow.equals(DELIVERY) or schema_name(table.schema_arrow) != schema_name(DELIVERY):
                return None
            if table.metadata.num_rows > _MAX_ROWS:
                return None
            rows = (
                row for batch in table.iter_batches(_ROWS_AT_A_TIME, columns=["files"]) for row in batch.to_pylist()
            )
            return [(file["file"], file["sha256"]) for row in rows for file in row["files"]]
    except (OSError, TypeError, pa.ArrowException):
        return None


def child_listed_files(arguments: Json, tell: object) -> list[tuple[str, str]] | None:
    """`listed_files` of a folder that comes from elsewhere, for a process of its own."""
    return listed_files(Path(arguments["folder"]))


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give a scratch folder beside ``folder``; at the end it takes its name, and what lay there before is deleted.

    On any error the old folder stays as it was, and nothing of the new one is left.

    Raises:
        SettingsError: as `check_replaceable`.
        DiskFullError: no space left.
    """
    scratch, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{part}") for part in ("partial", "old"))
    with disk_full_as_ours(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(folder)
        check_replaceable(folder)
        try:
            scratch.mkdir()
            yield scratch
            _flush_to_disk(scratch)
            if folder.exists():
                folder.rename(old)
            try:
                scratch.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)


def _flush_to_disk(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _clear_leftovers(folder: Path) -> None:
    """Delete what runs that were killed left beside the folder; give its old state back where it lost its name."""
    for path in folder.parent.glob(f".{folder.name}.*"):
        pid, _, part = path.name.removeprefix(f".{folder.name}.").partition(".")
        if part not in ("partial", "old") or not pid.isdecimal() or process_lives(int(pid)):
            continue
        if part == "old" and not folder.exists():
            path.rename(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)


def place(source: Path, target: Path) -> bool:
    """Put a finished file of the workspace under a name in a folder: a hard link where that works, else a copy.

    Returns:
        True where it had to be copied.

    Raises:
        OSError: neither works.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
        return True
    return False
