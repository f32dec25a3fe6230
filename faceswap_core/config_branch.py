"""The base of all groups of settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Branch(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
