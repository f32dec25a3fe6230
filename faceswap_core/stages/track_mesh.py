"""meshes of detections -> those of tracks: moved as the five points were steadied, and a place fitted to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from faceswap_core import manifest
from faceswap_core.faces.dense import fit_dense, is_mesh
from faceswap_core.faces.geometry import fit_similarity, template5
from faceswap_core.faces.steadying import Steadied, runs, smooth_series
from faceswap_core.faces.tracks import Track
from faceswap_core.manifest import Row
from faceswap_core.schemas import DETECTIONS
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, ManifestRef

Meshes: TypeAlias = Mapping[tuple[int, int], F64]
"""Meshes (468, 2) px, or similarities (4,), by frame_index and face_index of their detection."""


def meshes_of(workspace: Workspace, detections: ManifestRef) -> Meshes:
    """The meshes of one chunk; none where the detector gives none."""
    rows = manifest.stream(workspace, detections, DETECTIONS, ["frame_index", "face_index", "points_dense"])
    found = {}
    for row in rows:
        points = None if row["points_dense"] is None else np.array(row["points_dense"], np.float64).reshape(-1, 2)
        if is_mesh(points):
            found[row["frame_index"], row["face_index"]] = points
    return found


def fits_of(workspace: Workspace, detections: Sequence[ManifestRef]) -> Meshes:
    """Similarities (4,) template -> px by the meshes of a whole video; only one chunk's meshes are held at a time."""
    return {key: fit_dense(mesh) for ref in detections for key, mesh in meshes_of(workspace, ref).items()}


def similarities_by_mesh(track: Track, steadied: Steadied, fits: Meshes, radius: int) -> F64 | None:
    """Similarities (N, 4) template -> px by the mesh; None for a track without one.

    What the mesh's fit differs by from that of the five raw points is steadied and, where no face was detected,
    interpolated; it then goes on top of the steadied place.
    """
    keys = zip(track.frame_index.tolist(), track.face_index.tolist(), strict=True)
    known = [(i, fits[key]) for i, key in enumerate(keys) if key in fits]
    if not known:
        return None
    raw = [_complex(fit_similarity(template5(), track.points5_raw[i])) for i, _ in known]
    mesh = [_complex(fit) for _, fit in known]
    differs = np.array([(k / k5, (t - t5) / k5) for (k, t), (k5, t5) in zip(mesh, raw, strict=True)])
    flat = np.stack([differs[:, 0].real, differs[:, 0].imag, differs[:, 1].real, differs[:, 1].imag], axis=1)
    frames = track.frame_index[[i for i, _ in known]]
    filled = np.stack([np.interp(track.frame_index, frames, column) for column in flat.T], axis=1)
    out = np.empty((len(track), 4))
    for run in runs(track.frame_index):
        out[run] = smooth_series(filled[run], radius)
    scale = steadied.similarities[:, 0] + 1j * steadied.similarities[:, 1]
    shift = steadied.similarities[:, 2] + 1j * steadied.similarities[:, 3]
    turned, moved = scale * (out[:, 0] + 1j * out[:, 1]), scale * (out[:, 2] + 1j * out[:, 3]) + shift
    return np.stack([turned.real, turned.imag, moved.real, moved.imag], axis=1)


def with_mesh(row: Row, meshes: Meshes) -> Row:
    """A row of TRACKS with its mesh, moved as its place was steadied; as it is where it has none."""
    mesh = meshes.get((row["frame_index"], row["face_index"]))
    if mesh is None or row["subject"] is None:
        return row
    raw, shift = _complex(fit_similarity(template5(), np.array(row["points5_raw"]).reshape(5, 2)))
    scale, place = _complex(np.array(row["similarity"]))
    moved = (mesh[:, 0] + 1j * mesh[:, 1] - shift) / raw * scale + place
    return row | {"points_dense": np.stack([moved.real, moved.imag], axis=1).ravel().tolist()}


def _complex(similarity: F64) -> tuple[complex, complex]:
    a, b, x, y = (float(v) for v in similarity)
    return complex(a, b), complex(x, y)
