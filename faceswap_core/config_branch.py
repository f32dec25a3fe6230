"""The base of all groups of settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Branch(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    paths: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where a file lies; what is in it counts for the cache, and its place does not."""
