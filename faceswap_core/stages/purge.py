"""workspace + record_id -> nothing in it that comes from that record, and the proof."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from faceswap_core import layout
from faceswap_core.errors import FaceswapError
from faceswap_core.stages.lineage import CONSENTS, Lineage, Origin
from faceswap_core.storage import Workspace, sha256_file

_STAGES = (
    *(layout.FRAMES, layout.DETECTIONS, layout.TRACKS, layout.ALIGNED, layout.COLOR_STATS, layout.TRAINING),
    *(layout.SWAPPED, layout.SMOOTHED, layout.CHUNKS, layout.PATCHES, layout.IMAGES, layout.DELIVERED),
    *(layout.REPORTS, layout.FOLDER_REPORTS, layout.EVALUATION, layout.ASSEMBLED),
    *(layout.IMPORTED, layout.MASKS, layout.SHEETS, layout.FACESETS, layout.SELECTIONS),
    *(layout.UNSTEADIED, layout.QUALITY, layout.IDENTITY, layout.PREVIEWS, layout.OUTPUTS, layout.SCRATCH),
)
"""Folders in which a file that no task is known to have made is the rest of one that was killed."""
_LARGEST_TEXT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Purged:
    """What a purge did."""

    record: str
    """record_id."""
    files: int
    """Files deleted: manifests, chips, checkpoints, chunks, records of tasks, reports."""
    outputs: tuple[str, ...]
    """Files outside the workspace that come from the record, such as finished videos."""
    outputs_deleted: bool
    """Whether these were deleted too."""
    scanned: int
    """Files that the proof read afterwards."""
    remaining: tuple[str, ...]
    """Files in which the proof found a digest of something purged: none."""
    next: str
    """The command that deletes ``outputs`` where they were left, as the workspace knows them no longer; '' else."""


def purge(workspace: Workspace, record_id: str, *, outputs: bool) -> Purged:
    """Delete everything that comes from a record, then look whether anything is left.

    Footage is never touched. Of a workspace in a bucket all objects are read. What lies outside the workspace and is
    still what was written is named, and deleted where ``outputs`` says so; the list of what came of whom, by which it
    was found, goes in any case.

    Raises:
        FaceswapError: something is left.
    """
    with workspace.whole() as settle:
        return _purge(workspace, record_id, settle, outputs=outputs)


def _purge(workspace: Workspace, record_id: str, settle: Callable[[], None], *, outputs: bool) -> Purged:
    lineage = Lineage(workspace)
    known = lineage.read()
    derived = derivatives(workspace, record_id)
    needles = {origin.sha256 for origin in derived} | {record_id}
    doomed = {path for origin in derived if (path := _inside(workspace, origin)) is not None}
    doomed |= _orphans(workspace, known) if derived else set()
    doomed |= set(_telling(workspace.root / layout.RESULTS, needles))
    outside = dict.fromkeys(path for origin in derived if (path := _outside(workspace, origin)) is not None)
    count = sum(_delete(path) for path in (*doomed, *(outside if outputs else ())))
    for folder in (*_checkpoints(workspace, record_id), *runs_showing(workspace, needles)):
        count += sum(path.is_file() for path in folder.rglob("*"))
        shutil.rmtree(folder)
    settle()  # before the list forgets them: a purge that was killed is found unfinished
    lineage.keep(origin for origin in known if record_id not in origin.records)
    scanned, remaining = _proof(workspace, needles)
    named = tuple(map(str, outside))
    following = shlex.join(["rm", "--", *named]) if named and not outputs else ""
    result = Purged(record_id, count, named, outputs, scanned, tuple(remaining), following)
    if remaining:
        raise FaceswapError(
            f"{len(remaining)} files still hold data of record {record_id}: {remaining[:5]}; delete them"
            + (f", and what lies outside the workspace: {following}" if following else "")
        )
    return result


def derivatives(workspace: Workspace, record_id: str) -> list[Origin]:
    """What a workspace knows to come from a record, footage left out."""
    return [origin for origin in Lineage(workspace).read() if record_id in origin.records and not origin.source]


def _inside(workspace: Workspace, origin: Origin) -> Path | None:
    path = (workspace.root / origin.path).resolve()
    return path if path.is_relative_to(workspace.root.resolve()) else None


def _outside(workspace: Workspace, origin: Origin) -> Path | None:
    """A file of the user's, where it is still the one that was written."""
    path = Path(origin.path)
    inside = _inside(workspace, origin) is not None
    return path if not inside and path.is_file() and sha256_file(path) == origin.sha256 else None


def _delete(path: Path) -> bool:
    there = path.is_file() or path.is_symlink()
    path.unlink(missing_ok=True)
    return there


def _orphans(workspace: Workspace, known: list[Origin]) -> set[Path]:
    """Files in the folders of stages that no task is known to have made."""
    named = {(workspace.root / origin.path).resolve() for origin in known}
    files = (path for stage in _STAGES for path in (workspace.root / stage).rglob("*") if path.is_file())
    return {path for path in files if path.resolve() not in named}


def _checkpoints(workspace: Workspace, record_id: str) -> list[Path]:
    folder = workspace.root / layout.CHECKPOINTS
    return sorted({path.parent for path in folder.glob(f"*/{CONSENTS}") if _tells(path, {record_id})})


def runs_showing(workspace: Workspace, needles: set[str]) -> list[Path]:
    """Folders of runs that hold, show or name something with one of some digests."""
    folders = (path for path in (workspace.root / layout.RUNS).glob("*") if path.is_dir())
    return [folder for folder in folders if next(_telling(folder, needles), None)]


def _telling(folder: Path, needles: set[str]) -> Iterator[Path]:
    """Files under a folder that name one of some texts, or that one of them is the digest of."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (sha256_file(path) in needles or _tells(path, needles)):
            yield path


def _tells(path: Path, needles: set[str]) -> bool:
    if path.stat().st_size > _LARGEST_TEXT:
        return False
    data = path.read_bytes()
    return any(needle.encode() in data for needle in needles)


def _proof(workspace: Workspace, needles: set[str]) -> tuple[int, list[str]]:
    """Files read, and those that are something purged or name it."""
    files = [path for path in sorted(workspace.root.rglob("*")) if path.is_file() and not _is_consent(workspace, path)]
    return len(files), [str(path) for path in _telling(workspace.root, needles) if not _is_consent(workspace, path)]


def _is_consent(workspace: Workspace, path: Path) -> bool:
    """True for the user's own records and lists, which name their ids rightly."""
    return path.is_relative_to(workspace.root / "consent")
