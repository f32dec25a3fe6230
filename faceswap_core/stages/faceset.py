"""aligned faces of a workspace -> one table to choose from -> SELECTION: which of them train."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from faceswap_core import layout, manifest
from faceswap_core.errors import ManifestError, NoFaceError, SettingsError
from faceswap_core.faces.diversity import (
    THUMBNAIL,
    duplicates,
    expression,
    quality,
    spread_out,
    standardised,
    strangeness,
)
from faceswap_core.faces.filters import matching
from faceswap_core.faces.sheet import contact_sheet
from faceswap_core.schemas import ALIGNED, FIGURES, SELECTION
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.images import png, unpack
from faceswap_core.stages.selection import FACE_KEY, current_selection, face_key, ref_of, use_selection
from faceswap_core.storage import Workspace
from faceswap_core.types import U8, Bool, ManifestRef

if TYPE_CHECKING:
    import pandas as pd

_POINTER = f"{layout.FACESETS}/current.json"
_FIGURES = [name for name, _ in FIGURES]
_READ = [*FACE_KEY, "track_id", "shot", "interpolated", "score", *_FIGURES, "hash", "thumbnail"]
_WORTH = ("sharpness", "exposure", "occlusion", "strangeness")
_POSE = {"yaw": 5.0, "pitch": 5.0}
_LIGHT = {"exposure": 0.03, "light_x": 0.05, "light_y": 0.05}
"""Figures that a pose and a light are told by, with the spread below which they hardly differ."""
_PASSED_OVER = "not among the best"
COLUMNS = (
    *("subject", "source", "frame_index", "face_index", "track_id", "shot", "interpolated", "score"),
    *(*_FIGURES, "strangeness", "duplicate", "keep", "reason"),
)
"""Columns that expressions may name; see `Faceset.to_pandas`."""


def record_faceset(workspace: Workspace, sides: Mapping[str, Mapping[str, Sequence[AlignedChunk]]]) -> None:
    """Write down which faces a job trains on, by subject and source, so that they can be chosen from."""
    found = {
        subject: [{"source": source, "aligned": [c["aligned"] for c in chunks]} for source, chunks in sources.items()]
        for subject, sources in sides.items()
    }
    workspace.write(_POINTER, json.dumps({"subjects": found}, indent=1).encode())


@dataclass(frozen=True)
class Faceset:
    """The faces that a workspace's job trains on, and which of them are kept.

    >>> faces = Faceset.open("work/interview")
    >>> faces.drop("sharpness < 20 or abs(yaw) > 60")
    >>> faces.best(500, subject="b")
    """

    workspace: Workspace
    """Where they are."""
    table: pd.DataFrame
    """See `to_pandas`; with ``hash`` and ``thumbnail`` beside."""
    chunks: tuple[ManifestRef, ...]
    """ALIGNED manifests, in the order of the table."""

    @classmethod
    def open(cls, workspace: str | Path) -> Faceset:
        """Read the figures of all faces of a workspace; no picture is read and no video opened.

        Raises:
            ManifestError: there are none yet, or they were altered.
        """
        place = Workspace(workspace)
        parts, refs = [], []
        for subject, source, ref in _recorded(place):
            part = manifest.load(place, ref, ALIGNED, _READ)
            for name, text in (("source", source), ("subject", subject)):
                part = part.append_column(name, pa.array([text] * len(part), pa.string()))
            parts.append(part)
            refs.append(ref)
        if not parts:
            raise NoFaceError(f"the faceset of {place.address} is empty: give videos that show the people")
        table = pa.concat_tables(parts).to_pandas()
        return cls(place, _judged(place, table), tuple(refs))

    def to_pandas(self) -> pd.DataFrame:
        """One row a face.

        Columns: who and where (subject, source, video, frame_index, face_index, track_id, shot, interpolated, score),
        the figures of ``schemas.FIGURES``, strangeness (how unlike the subject's other faces it looks, 0 to 1),
        duplicate (looks like an earlier one of its subject), keep and reason.
        """
        return self.table.drop(columns=["hash", "thumbnail"])

    def matching(self, where: str | None, subject: str | None = None) -> Bool:
        """Rows (N,) for which an expression is true, of one subject or of all; all of them without an expression.

        Raises:
            SettingsError: the expression is none, or there is no such subject.
        """
        names = self.table["subject"].to_numpy()
        if subject is not None and subject not in set(names):
            raise SettingsError(f"the faceset has no subject {subject!r}: it has {sorted(set(names))}")
        of_subject = np.ones(len(names), bool) if subject is None else np.asarray(names == subject, np.bool_)
        if where is None:
            return of_subject
        return matching(where, {name: self.table[name].to_numpy() for name in COLUMNS}) & of_subject

    def drop(self, where: str, subject: str | None = None) -> ManifestRef:
        """Leave faces out of training; a new SELECTION takes the place of the current one."""
        return self._choose(self.matching(where, subject), keep=False, reason=where)

    def keep(self, where: str | None = None, subject: str | None = None, *, only: bool = False) -> ManifestRef | None:
        """Take faces in again, all without an expression; ``only`` leaves out the others of the subject."""
        found = self.matching(where, subject)
        if only:
            self._mark(self.matching(None, subject) & ~found, keep=False, reason=f"not {where}")
        return self._choose(found, keep=True, reason="")

    def best(self, count: int, subject: str | None = None) -> ManifestRef:
        """Keep the ``count`` faces of each subject, or of one, that differ most in pose, light and expression.

        Sharp faces weigh more; faces that were dropped before, interpolated ones and near-duplicates stay out.
        """
        if count < 1:
            raise SettingsError(f"best needs a number of faces above 0, got {count}")
        if subject is not None:
            self.matching(None, subject)
        for name in [subject] if subject is not None else sorted(set(self.table["subject"])):
            self._keep_best(self.matching(None, name), count)
        return self.publish()

    def _keep_best(self, of_subject: Bool, count: int) -> None:
        passed_over = self.table["reason"].str.startswith(_PASSED_OVER).to_numpy(bool)
        able = of_subject & (self.table["keep"].to_numpy(bool) | passed_over)
        able &= ~self.table["interpolated"].to_numpy(bool)
        unlike = able & ~self.table["duplicate"].to_numpy(bool)
        rows = (unlike if unlike.sum() >= count else able).nonzero()[0]
        chosen = np.zeros(len(able), bool)
        chosen[rows[most_different(self.table.iloc[rows], count)]] = True
        self._mark(of_subject & ~chosen, keep=False, reason=f"{_PASSED_OVER} {count}")
        self._mark(chosen, keep=True, reason="")

    def _choose(self, rows: Bool, *, keep: bool, reason: str) -> ManifestRef:
        self._mark(rows, keep=keep, reason=reason)
        return self.publish()

    def _mark(self, rows: Bool, *, keep: bool, reason: str) -> None:
        changed = rows & (self.table["keep"].to_numpy(bool) != keep)
        self.table.loc[changed, "keep"] = keep
        self.table.loc[changed, "reason"] = reason

    def publish(self) -> ManifestRef:
        """Write the SELECTION and let training use it.

        Raises:
            SettingsError: a subject would have no face left.
        """
        left = self.table.groupby("subject")["keep"].sum()
        if (left == 0).any():
            empty = sorted(left.index[left == 0])
            raise SettingsError(f"no face of {empty} would be left to train on: drop fewer; nothing was changed")
        names = [*FACE_KEY, "keep", "reason"]
        rows = (dict(zip(names, row, strict=True)) for row in self.table[names].itertuples(index=False))
        ref = manifest.publish(self.workspace, layout.SELECTIONS, "selection", SELECTION, rows)
        use_selection(self.workspace, ref)
        return ref

    def pictures(self, rows: Sequence[int]) -> list[U8]:
        """Chips (S, S, 3) of some rows of the table, in their order; only their row groups are read."""
        ends = np.cumsum([ref["rows"] for ref in self.chunks])
        found: dict[int, U8] = {}
        for number, ref in enumerate(self.chunks):
            first = int(ends[number]) - ref["rows"]
            wanted = sorted({row - first for row in rows if first <= row < ends[number]})
            for row, image in _chips(self.workspace, ref, wanted):
                found[first + row] = image
        return [found[row] for row in rows]

    def sheet(
        self, where: str | None = None, subject: str | None = None, *, by: str = "strangeness", count: int = 100
    ) -> bytes:
        """Contact sheet as PNG, those first that stand out most; faces that are left out have a red frame.

        Args:
            where: which faces; all by default.
            subject: of one subject; of all by default.
            by: column that says which come first: the largest, with a ``-`` before its name the smallest.
            count: how many at most.
        """
        name, sign = by.lstrip("-"), -1 if by.startswith("-") else 1
        if name not in COLUMNS or self.table[name].dtype.kind not in "iufb":
            raise SettingsError(f"a sheet cannot be ordered by {by!r}: name a column of numbers, such as sharpness")
        rows = self.matching(where, subject).nonzero()[0]
        if not len(rows):
            raise NoFaceError(f"no face matches {where!r}: nothing to show")
        values = np.nan_to_num(self.table[name].to_numpy()[rows].astype(np.float64) * sign, nan=-np.inf)
        shown = rows[np.argsort(-values, kind="stable")][:count]
        picked = self.table.iloc[shown]
        numbers = zip(picked["subject"], picked["frame_index"], picked[name].astype(float), strict=True)
        captions = [f"{whose} {frame} {value:.3g}" for whose, frame, value in numbers]
        left_out = (~picked["keep"].to_numpy(bool)).tolist()
        return png(contact_sheet(self.pictures(shown.tolist()), captions, left_out, side=112, columns=10))


def most_different(faces: pd.DataFrame, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Numbers of the rows of one subject's faces that differ most in pose, light and expression."""
    told = [standardised(faces[list(group)].to_numpy(float), list(group.values())) for group in (_POSE, _LIGHT)]
    features = np.concatenate([g / np.sqrt(g.shape[1]) for g in told] + [expression(_thumbnails(faces))], axis=1)
    sharpness, exposure, *rest = (faces[name].to_numpy(float) for name in _WORTH)
    weight = quality(
        sharpness / np.maximum(exposure, 0.05) ** 2, *rest
    )  # a dark face has less contrast, not less detail
    return spread_out(features, weight, count)


def _recorded(workspace: Workspace) -> list[tuple[str, str, ManifestRef]]:
    """Subject, source and ALIGNED of each chunk."""
    pointer = workspace.read(_POINTER)
    if pointer is None:
        raise ManifestError(f"{workspace.address} holds no faceset yet: begin `faceswap run` on its job first")
    try:
        subjects = json.loads(pointer)["subjects"]
        return [
            (str(name), str(one["source"]), ref_of(ref))
            for name, sources in subjects.items()
            for one in sources
            for ref in one["aligned"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{workspace.path(_POINTER)} names no faceset ({error!r}): run the job again") from error


def _judged(workspace: Workspace, table: pd.DataFrame) -> pd.DataFrame:
    """The table with strangeness, duplicate, keep and reason."""
    table["strangeness"], table["duplicate"] = 1.0, False
    for _, rows in table.groupby("subject").indices.items():
        part = table.iloc[rows]
        table.loc[rows, "strangeness"] = strangeness(_thumbnails(part))
        table.loc[rows, "duplicate"] = duplicates(part["hash"].to_numpy(np.uint64))
    chosen = current_selection(workspace)
    said = {face_key(r): r for r in manifest.stream(workspace, chosen, SELECTION)} if chosen else {}
    found = [said.get(key) for key in zip(table["video"], table["frame_index"], table["face_index"], strict=True)]
    table["keep"] = [True if one is None else bool(one["keep"]) for one in found]
    table["reason"] = ["" if one is None else str(one["reason"] or "") for one in found]
    return table


def _thumbnails(faces: pd.DataFrame) -> U8:
    data = np.frombuffer(b"".join(faces["thumbnail"]), np.uint8)
    return data.reshape(len(faces), THUMBNAIL, THUMBNAIL)


def _chips(workspace: Workspace, ref: ManifestRef, rows: Sequence[int]) -> list[tuple[int, U8]]:
    """Number and chip of some rows of one manifest."""
    if not rows:
        return []
    found = []
    with pq.ParquetFile(workspace.localize(ref["path"], ref["sha256"])) as file:
        first = 0
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            here = [row for row in rows if first <= row < end]
            if here:
                chips = file.read_row_group(group, columns=["chip"]).column("chip")
                found += [(row, unpack(chips[row - first].as_py())) for row in here]
            first = end
    return found
