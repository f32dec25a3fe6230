"""SELECTION <-> the faces that train: which were dropped, and which selection a workspace uses."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import TypeAlias

from faceswap_core import layout, manifest
from faceswap_core.errors import ManifestError
from faceswap_core.manifest import Row
from faceswap_core.schemas import SELECTION
from faceswap_core.storage import Workspace
from faceswap_core.types import Json, ManifestRef

FaceKey: TypeAlias = tuple[str, int, int]
"""Source video, frame_index, face_index: what a face is known by whatever its chip's size."""
FACE_KEY = ["video", "frame_index", "face_index"]
_POINTER = f"{layout.SELECTIONS}/current.json"


def face_key(row: Row) -> FaceKey:
    """Name of the face of one row."""
    return str(row["video"]), int(row["frame_index"]), int(row["face_index"])


def dropped_faces(workspace: Workspace, selection: ManifestRef | None) -> Set[FaceKey]:
    """The faces that a selection drops; none without a selection."""
    if selection is None:
        return frozenset()
    return {face_key(row) for row in manifest.stream(workspace, selection, SELECTION) if not row["keep"]}


def current_selection(workspace: Workspace) -> ManifestRef | None:
    """The selection that training in this workspace uses; None where nobody chose.

    Raises:
        ManifestError: the pointer or the manifest that it names is damaged.
    """
    pointer, text = workspace.path(_POINTER), workspace.read(_POINTER)
    if text is None:
        return None
    try:
        ref = ref_of(json.loads(text))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ManifestError(f"{pointer} names no selection ({error!r}): choose again, or remove it") from error
    if not workspace.holds(ref["path"], ref["sha256"]):
        raise ManifestError(f"selection {ref['path']} is gone or was altered: choose again, or remove {pointer}")
    return ref


def ref_of(given: Json) -> ManifestRef:
    """A reference as it stands in a JSON file; whatever else stands there is a KeyError or TypeError."""
    return ManifestRef(
        path=str(given["path"]), sha256=str(given["sha256"]), rows=int(given["rows"]), schema=str(given["schema"])
    )


def use_selection(workspace: Workspace, ref: ManifestRef | None) -> None:
    """Let training in this workspace use a selection, or all faces again."""
    if ref is None:
        workspace.remove(_POINTER)
    else:
        workspace.write(_POINTER, json.dumps(ref).encode())
