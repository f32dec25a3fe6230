"""stored record of a task run -> hit or miss: read as plain JSON, trusted only if all it promises is there.

Prefect looks a record up by its file name and lets the record itself say how it is to be read, so that whoever can
write one pickle into the folder runs code here. Every record is therefore read and judged before Prefect sees it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from prefect.filesystems import LocalFileSystem
from prefect.serializers import JSONSerializer

from faceswap_core import layout, manifest
from faceswap_core.errors import FaceswapError, ResourceError
from faceswap_core.schemas import CHUNKS, DELIVERY, EXPORTED, schema_name
from faceswap_core.storage import Workspace
from faceswap_core.types import Json, ManifestRef

_log = logging.getLogger(__name__)


def error_as_text(value: Any) -> str:
    """Write the error of a failed task run, the only thing beside JSON values that is ever recorded."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    raise TypeError(f"{type(value).__name__} is no JSON value: a task returns references and numbers only")


PLAIN_JSON: JSONSerializer[Any] = JSONSerializer(object_encoder="tasks.records.error_as_text", object_decoder=None)
"""Reads JSON values only; Prefect's own default also builds objects of whatever classes a record names."""

MAX_RECORD_BYTES = 8 * 1024 * 1024
_GARBAGE = (OSError, ValueError, TypeError, KeyError, RecursionError, FaceswapError, pa.ArrowException)
"""All that reading a damaged record or manifest can raise."""


class Records(LocalFileSystem):
    """The records of a workspace as Prefect reads and writes them; of one in a bucket it reads the judged copies."""

    _block_type_name = "Faceswap records"
    workspace: str
    """The workspace."""

    def _resolve_path(self, path: str) -> Path:
        folder = results_folder(self.workspace)
        return folder / Path(path).name if path else folder

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write one record, into the bucket last of all that belongs to it."""
        full = self._resolve_path(path)
        await asyncio.to_thread(Workspace(self.workspace).write, layout.result_record(full.name), content)
        return str(full)

    def write_path(self, path: str, content: bytes, **_: bool) -> str:  # type: ignore[override]  # as Prefect's own do
        """Do the same."""
        full = self._resolve_path(path)
        Workspace(self.workspace).write(layout.result_record(full.name), content)
        return str(full)


def results_folder(workspace: str) -> Path:
    """Folder of the records of a workspace."""
    return Workspace(workspace).root / layout.RESULTS


def admit(workspace: str, key: str) -> bool:
    """Remove the record of ``key`` unless it can be trusted; False where it is bad and cannot be removed.

    Raises:
        ResourceError: the bucket does not answer, so that nothing is known.
    """
    record = results_folder(workspace) / key
    store = Workspace(workspace)
    store.refresh(layout.result_record(key))
    if not record.is_symlink() and not record.exists():
        return True
    try:
        problem = _problem(store, record)
    except ResourceError:
        raise
    except _GARBAGE as error:
        problem = f"it cannot be read ({type(error).__name__})"
    return problem is None or _remove(store, record, problem)


def recorded_result(workspace: str, key: str) -> Any:
    """What the record of ``key`` holds; None where there is none, or none that can be trusted."""
    record = results_folder(workspace) / key
    if not admit(workspace, key) or not record.is_file():
        return None
    return json.loads(json.loads(record.read_bytes())["result"])


def _problem(workspace: Workspace, record: Path) -> str | None:
    """What speaks against a record."""
    if record.is_symlink() or not record.is_file() or record.stat().st_size > MAX_RECORD_BYTES:
        return "it is no small plain file"
    data = json.loads(record.read_bytes(), object_pairs_hook=_without_repeated_keys)
    if set(data) != {"metadata", "result"} or data["metadata"]["serializer"] != PLAIN_JSON.model_dump(mode="json"):
        return "it was not written as plain JSON"
    for path, sha256 in promised_files(workspace, json.loads(data["result"])):
        if not workspace.holds(path, sha256):
            return f"{path} is gone or was altered"
    return None


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def promised_files(workspace: Workspace, result: Any) -> Iterator[tuple[str, str]]:
    """Path and sha256 of every file that a result refers to, chunks and images behind their manifest included."""
    if isinstance(result, dict) and "path" in result and "sha256" in result:
        yield str(result["path"]), str(result["sha256"])
        yield from _behind(workspace, cast(ManifestRef, result))
    elif isinstance(result, dict):
        if {"folder", "table"} <= set(result):  # a folder of the user's, and the manifest that names its files
            yield from _images(workspace, result["table"], DELIVERY, f"{result['folder']}/")
        for value in result.values():
            yield from promised_files(workspace, value)
    elif isinstance(result, list):
        for value in result:
            yield from promised_files(workspace, value)


def _behind(workspace: Workspace, ref: ManifestRef) -> Iterator[tuple[str, str]]:
    """Files of the workspace that a manifest names."""
    if ref.get("schema") == schema_name(CHUNKS):
        for row in manifest.stream(workspace, ref, CHUNKS, ["path", "sha256"]):
            yield row["path"], row["sha256"]
    elif ref.get("schema") == schema_name(EXPORTED):
        yield from _images(workspace, ref, EXPORTED, "")


def _images(workspace: Workspace, ref: ManifestRef, schema: pa.Schema, folder: str) -> Iterator[tuple[str, str]]:
    for row in manifest.stream(workspace, ref, schema, ["files"]):
        for file in row["files"]:
            yield folder + file["file"], file["sha256"]


def _remove(workspace: Workspace, record: Path, problem: str) -> bool:
    _log.info("computing anew what record %s holds: %s", record.name, problem)
    try:
        if workspace.store:
            workspace.remove(layout.result_record(record.name))
        else:
            record.unlink()
    except OSError as error:
        _log.warning("record %s is not used and cannot be removed: %s", record, error)
        return False
    return True
