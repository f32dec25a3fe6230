"""The base of all groups of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema

from faceswap_core.errors import SettingsError
from faceswap_core.storage import place_of


def _place(given: Any) -> Path | str:
    if not isinstance(given, str | Path):
        raise ValueError("name a folder or s3://bucket/prefix")
    try:
        return place_of(given)
    except SettingsError as error:
        raise ValueError(str(error)) from error


Place: TypeAlias = Annotated[Path | str, PlainValidator(_place), WithJsonSchema({"type": "string", "format": "path"})]
"""Where a workspace is: the path of a folder, or the text ``s3://bucket/prefix``."""


class Branch(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    paths: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where a file lies; what is in it counts for the cache, and its place does not."""
