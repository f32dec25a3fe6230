"""Types that travel between floors: references to published files, and progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict  # pydantic, which reads flow parameters, takes no other before Python 3.12

U8: TypeAlias = npt.NDArray[np.uint8]
U16: TypeAlias = npt.NDArray[np.uint16]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
I64: TypeAlias = npt.NDArray[np.int64]
Bool: TypeAlias = npt.NDArray[np.bool_]
Json: TypeAlias = dict[str, Any]
"""A JSON object whose keys a docstring names."""

FrameState = Literal["swapped", "passed_through", "no_face", "failed"]
"""How a frame ended: face replaced, copied on purpose, no face in it, or an error."""


class ManifestRef(TypedDict):
    """Reference to one published manifest; plain JSON, so that it can be a task's result."""

    path: str
    """Path relative to the workspace, with forward slashes."""
    sha256: str
    """Digest of the file's bytes."""
    rows: int
    """Number of rows."""
    schema: str
    """Name and version of the schema, such as ``detections/1``."""


class FileRef(TypedDict):
    """Reference to one published file that is no manifest (a video, weights, a picture)."""

    path: str
    """Path relative to the workspace, or absolute for a file outside it."""
    sha256: str
    """Digest of the file's bytes."""
    size: int
    """Length in bytes."""


Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with (done, total, note) while a stage works; must return at once."""


def no_progress(done: int, total: int, note: str) -> None:
    """Ignore progress."""
