"""rows <-> Parquet files of a workspace: published once, never edited, read back only if whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from faceswap_core.errors import ManifestError
from faceswap_core.schemas import schema_name
from faceswap_core.storage import Workspace, sha256_file
from faceswap_core.types import ManifestRef

ROWS_PER_GROUP = 64
"""Rows in one row group, so that a stage streams faces instead of holding a chunk."""
_NUMBERS_PER_GROUP = 4096
"""Rows in one row group of a table of numbers, so that a part of it can be read alone."""
MAX_ROWS = 1 << 23
"""Rows of one manifest, at most: a frame each of 38 hours at 60 a second. Millions fit into some KB of Parquet."""
_MAX_BYTES = 1 << 30
"""Memory that the numbers of a manifest which is read whole may take."""

Row = dict[str, Any]


def publish(
    workspace: Workspace,
    folder: str,
    name: str,
    schema: pa.Schema,
    rows: Iterable[Row],
    metadata: Mapping[str, str] | None = None,
) -> ManifestRef:
    """Write rows to ``<folder>/<name>-<digest>.parquet``, streamed in row groups.

    Args:
        workspace: where to publish.
        folder: the stage's folder.
        name: what the file is about, such as ``detections-0003``.
        schema: one of ``schemas``.
        rows: dictionaries with the schema's columns; missing ones become null.
        metadata: further text for the schema's metadata.
    """
    full = schema.with_metadata({**(schema.metadata or {}), **(metadata or {})})
    count = 0
    with workspace.scratch(".parquet") as temporary:
        with pq.ParquetWriter(temporary, full, compression="zstd") as writer:
            for group in _groups(rows):
                writer.write_table(pa.Table.from_pylist(group, schema=full), row_group_size=ROWS_PER_GROUP)
                count += len(group)
        ref = workspace.publish_file(folder, name, temporary)
    return ManifestRef(path=ref["path"], sha256=ref["sha256"], rows=count, schema=schema_name(schema))


def publish_table(
    workspace: Workspace, folder: str, name: str, table: pa.Table, metadata: Mapping[str, str] | None = None
) -> ManifestRef:
    """Write a table without images, whole and small: integers are stored as differences.

    Args:
        workspace: where to publish.
        folder: the stage's folder.
        name: what the file is about, such as ``packets``.
        table: its schema is one of ``schemas``.
        metadata: further text for the schema's metadata.
    """
    full = table.replace_schema_metadata({**(table.schema.metadata or {}), **(metadata or {})})
    integers = [field.name for field in full.schema if pa.types.is_integer(field.type)]
    others = [field.name for field in full.schema if field.name not in integers]
    with workspace.scratch(".parquet") as temporary:
        pq.write_table(
            full,
            temporary,
            compression="zstd",
            use_dictionary=others,
            column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
            row_group_size=_NUMBERS_PER_GROUP,
        )
        ref = workspace.publish_file(folder, name, temporary)
    return ManifestRef(path=ref["path"], sha256=ref["sha256"], rows=len(full), schema=schema_name(table.schema))


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


def stream(
    workspace: Workspace, ref: ManifestRef, schema: pa.Schema, columns: list[str] | None = None
) -> Iterator[Row]:
    """Rows of a manifest, one row group in memory at a time."""
    with _open(workspace, ref, schema) as file:
        batches = file.iter_batches(batch_size=ROWS_PER_GROUP, columns=columns)
        while True:
            with _damage_named(ref):
                batch = next(batches, None)
                rows = batch.to_pylist() if batch is not None else None
            if rows is None:
                return
            yield from rows


def load(workspace: Workspace, ref: ManifestRef, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """A whole manifest as a table; for manifests without images."""
    with _open(workspace, ref, schema) as file, _damage_named(ref):
        _check_size(file, ref, columns)
        return file.read(columns=columns)


def load_part(
    workspace: Workspace, ref: ManifestRef, schema: pa.Schema, column: str, value: int
) -> tuple[pa.Table, int]:
    """The rows in which a sorted column of integers has a value, and how many rows stand before them.

    Only the row groups that can hold them are read.
    """
    with _open(workspace, ref, schema) as file, _damage_named(ref):
        at = file.schema_arrow.get_field_index(column)
        groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
        limits = [group.column(at).statistics for group in groups]
        found = [n for n, limit in enumerate(limits) if limit.min <= value <= limit.max]
        table = file.read_row_groups(found)
    values = table.column(column).to_numpy()
    first, last = np.searchsorted(values, [value, value + 1]).tolist()
    return table.slice(first, last - first), first + sum(group.num_rows for group in groups[: min(found, default=0)])


def metadata(workspace: Workspace, ref: ManifestRef, schema: pa.Schema) -> dict[str, str]:
    """The text that was published beside the rows."""
    with _open(workspace, ref, schema) as file, _damage_named(ref):
        return {k.decode(): v.decode() for k, v in (file.schema_arrow.metadata or {}).items()}


@contextmanager
def _damage_named(ref: ManifestRef) -> Iterator[None]:
    """Turn what a damaged Parquet file makes the reader raise into ManifestError."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ManifestError(
            f"manifest {ref['path']} is damaged ({str(error)[:200]}): remove it and run the same command again"
        ) from error


def _open(workspace: Workspace, ref: ManifestRef, schema: pa.Schema) -> pq.ParquetFile:
    path = workspace.localize(ref["path"], ref["sha256"])
    if not path.is_file():
        raise ManifestError(f"manifest {path} is missing: run the same command again to compute it anew")
    if sha256_file(path) != ref["sha256"]:
        raise ManifestError(f"manifest {path} was altered after it was published: run the same command again")
    with _damage_named(ref):
        file = pq.ParquetFile(path)
    found, wanted = schema_name(file.schema_arrow), schema_name(schema)
    if found != wanted:
        file.close()
        raise ManifestError(f"{path} follows schema {found!r}, not {wanted!r}: remove it and run again")
    if not file.schema_arrow.equals(schema) or file.metadata.num_rows != ref["rows"] or ref["rows"] > MAX_ROWS:
        rows = file.metadata.num_rows
        file.close()
        raise ManifestError(
            f"{path} has {rows} rows of {found} where {ref['rows']} and no more than {MAX_ROWS} are expected, or "
            "other columns than these have: no run of this program wrote it; remove it and run the same command again"
        )
    return file


def _check_size(file: pq.ParquetFile, ref: ManifestRef, columns: list[str] | None) -> None:
    """Refuse to read whole what would fill the memory: what a file says of its own size is no guard."""
    fields = [field for field in file.schema_arrow if columns is None or field.name in columns]
    needed = file.metadata.num_rows * sum(_width(field.type) for field in fields)
    if needed > _MAX_BYTES:
        raise ManifestError(
            f"manifest {ref['path']} would take {needed} bytes of memory, at most {_MAX_BYTES} are read at once: cut "
            "the video into parts"
        )


def _width(kind: pa.DataType) -> int:
    """Bytes that a value takes at least."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_width(field.type) for field in kind)
    return 8 if pa.types.is_nested(kind) else max(1, _bits(kind) // 8)


def _bits(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width)
    except ValueError:  # text and bytes have an offset each
        return 64
