"""What the schemas are made of: their names, and fields that several share."""

from __future__ import annotations

import pyarrow as pa

MATRIX = pa.list_(pa.float64(), 6)
"""A matrix (2, 3), row by row."""


def schema(name: str, version: int, fields: list[tuple[str, pa.DataType]]) -> pa.Schema:
    """Fields under a name and a version, which stand in the metadata."""
    return pa.schema(fields, metadata={"faceswap.schema": f"{name}/{version}"})


def schema_name(schema: pa.Schema) -> str:
    """Name and version of a schema, such as ``detections/1``."""
    return str((schema.metadata or {}).get(b"faceswap.schema", b"").decode(errors="replace"))
