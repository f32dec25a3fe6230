"""swapped patches of one chunk and its neighbours -> patches steadied in time, with the colours to fit them by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias, TypeVar

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, SmoothSettings
from faceswap_core.faces.border import colors_apart
from faceswap_core.faces.color_transfer import averaged, centred, measure_colors
from faceswap_core.faces.geometry import chip_to_view, invert
from faceswap_core.faces.motion import flow_between
from faceswap_core.faces.smoothing import Moment, Steadiness, steady_patch, time_weights
from faceswap_core.manifest import Row
from faceswap_core.schemas import MASKS, NO_APART, SMOOTHED, SWAPPED
from faceswap_core.stages.images import pack, unpack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, F64, U8, ManifestRef

_Key: TypeAlias = tuple[int, int]
"""frame_index and face_index."""
_T = TypeVar("_T")


def smooth_frames(
    workspace: Workspace,
    chunk_index: int,
    swapped: ManifestRef,
    masks: ManifestRef | None,
    before: Sequence[ManifestRef],
    after: Sequence[ManifestRef],
    align: AlignSettings,
    settings: SmoothSettings,
) -> ManifestRef:
    """Steady the patches of one chunk.

    Args:
        workspace: where manifests are.
        chunk_index: number of the chunk.
        swapped: SWAPPED of the chunk.
        masks: MASKS of the chunk, to be pasted under; None: the network's alpha alone is known.
        before: SWAPPED of chunks before it, in order, that reach ``settings.radius`` frames back.
        after: SWAPPED of chunks after it, in order, that reach as far ahead.
        align: how the chips, and with them the masks, were cut.
        settings: strength, reach and tolerance of the filter, length of a fade.
    """
    cap_threads(1)
    own = {(r["frame_index"], r["face_index"]) for r in _stream(workspace, [swapped], ["frame_index", "face_index"])}
    covers = _masks(workspace, masks)
    all_rows = _stream(workspace, [*before, swapped, *after], None)

    def rows() -> Iterator[Row]:
        for face, window in _windows(all_rows, settings.radius if settings.strength else 0):
            key = (face.row["frame_index"], face.row["face_index"])
            if key in own:
                mask = _cover(covers.get(key), face.row["free"], align.coverage, face.patch.shape[0])
                yield _finished(face, window, settings) | {"mask": mask}

    return manifest.publish(workspace, layout.SMOOTHED, layout.chunk_name("smoothed", chunk_index), SMOOTHED, rows())


def _stream(workspace: Workspace, refs: Sequence[ManifestRef], columns: list[str] | None) -> Iterator[Row]:
    for ref in refs:
        yield from manifest.stream(workspace, ref, SWAPPED, columns)


@dataclass
class _Face:
    """A row of SWAPPED with its images and colours."""

    row: Row
    patch: U8
    view: U8
    moment: Moment
    patch_colors: F64 | None
    """As `ColorStats.flat`; None where the patch shows nothing."""
    view_colors: F64 | None
    apart: F32 | None
    """As `colors_apart`; None where the patch shows nothing."""

    @classmethod
    def of(cls, row: Row) -> _Face:
        patch, view = unpack(row["patch"]), unpack(row["view"])
        drawn, plate = (measure_colors(image, patch[..., 3]) for image in (patch[..., :3], view))
        if drawn is None or plate is None:
            return cls(row, patch, view, Moment.of(patch, view), None, None, None)
        apart = colors_apart(patch, view, plate.mean - drawn.mean)
        return cls(row, patch, view, Moment.of(patch, view), drawn.flat(), plate.flat(), apart)

    def follows(self, other: _Face) -> bool:
        """Whether this is the other face one frame later."""
        same = all(self.row[k] == other.row[k] for k in ("track_id", "shot"))
        return same and self.row["frame_index"] == other.row["frame_index"] + 1

    @property
    def centre(self) -> F64:
        """(2,) of the patch, frame px."""
        middle = (self.patch.shape[0] - 1) / 2
        to_frame = invert(np.array(self.row["matrix"]).reshape(2, 3))
        return np.asarray(to_frame @ np.array([middle, middle, 1.0]), np.float64)


def _windows(rows: Iterator[Row], radius: int) -> Iterator[tuple[_Face, list[_Face]]]:
    """Each face with all that are at most ``radius`` frames away; no more is held in memory."""
    held: list[_Face] = []
    waiting = 0  # index in ``held`` of the next face to give out
    for row in chain(rows, [None]):
        now = row["frame_index"] if row is not None else None
        while waiting < len(held) and (now is None or held[waiting].row["frame_index"] + radius < now):
            centre = held[waiting]
            at = centre.row["frame_index"]
            yield centre, [face for face in held if abs(face.row["frame_index"] - at) <= radius]
            waiting += 1
        oldest = held[waiting].row["frame_index"] if waiting < len(held) else now
        while waiting and oldest is not None and held[0].row["frame_index"] + radius < oldest:
            held.pop(0)
            waiting -= 1
        if row is not None:
            face = _Face.of(row)
            if radius:
                _link(held, face)
            held.append(face)


def _link(held: Sequence[_Face], face: _Face) -> None:
    """Find the motion from a face's frame before to it, if that is held."""
    for other in held:
        if face.follows(other):
            ahead, back = flow_between(other.view, face.view), flow_between(face.view, other.view)
            other.moment = replace(other.moment, ahead=ahead, back=back)


def _run(face: _Face, window: Sequence[_Face]) -> tuple[list[_Face], int]:
    """The unbroken run of a face's track and shot in the window, and where the face stands in it."""
    run = [face]
    for other in sorted(window, key=lambda one: one.row["frame_index"]):
        if other.follows(run[-1]):
            run.append(other)
    after = len(run)
    for other in sorted(window, key=lambda one: -one.row["frame_index"]):
        if run[0].follows(other):
            run.insert(0, other)
    return run, len(run) - after


def _finished(face: _Face, window: Sequence[_Face], settings: SmoothSettings) -> Row:
    run, at = _run(face, window)
    steadiness = Steadiness(settings.strength, settings.detail, settings.radius, settings.tolerance)
    idle = not settings.strength or not settings.radius
    patch = face.patch if idle else steady_patch([one.moment for one in run], at, steadiness)
    near = run[max(at - 1, 0) : at + 2]
    motion = (near[-1].centre - near[0].centre) / max(len(near) - 1, 1)
    return face.row | {
        "patch": face.row["patch"] if idle else pack(patch),
        "opacity": _opacity(face.row["to_edge"], settings),
        "motion": motion.tolist(),
        "patch_colors": _colors([one.patch_colors for one in run], at, settings, patch[..., :3], patch[..., 3]),
        "view_colors": _colors([one.view_colors for one in run], at, settings, face.view, patch[..., 3]),
        "apart": _apart([one.apart for one in run], at, settings),
    }


def _opacity(to_edge: int | None, settings: SmoothSettings) -> float:
    """How much of a face is shown that enters or leaves so many frames away."""
    if to_edge is None or not settings.strength:
        return 1.0
    return min(1.0, (to_edge + 1) / (settings.fade + 1))


def _colors(run: Sequence[F64 | None], at: int, settings: SmoothSettings, image: U8, alpha: U8) -> F64 | None:
    """Colours of an image under its alpha, their spread averaged over the run; None where it has none of its own."""
    centre = run[at]
    if centre is None or not settings.strength or not settings.radius:
        return centre
    return centred(averaged(*_weighted(run, at, settings)), image, alpha)


def _apart(run: Sequence[F32 | None], at: int, settings: SmoothSettings) -> Row | None:
    """How plate and patch are apart, averaged over the run; None where a patch shows nothing."""
    centre = run[at]
    if centre is None:
        return None
    if settings.strength and settings.radius:
        several, weights = _weighted(run, at, settings)
        centre = np.asarray(np.einsum("n,nhwc->hwc", weights, several) / np.sum(weights), np.float32)
    return pack(np.asarray(np.clip(np.rint(centre + NO_APART), 0, 255), np.uint8))


def _weighted(run: Sequence[_T | None], at: int, settings: SmoothSettings) -> tuple[list[_T], list[float]]:
    """What is known within reach in a run, and what each counts in an average over time."""
    weights = time_weights(settings.radius)
    known = {i - at: one for i, one in enumerate(run) if one is not None and abs(i - at) <= settings.radius}
    factors = [1.0 if i == 0 else settings.strength * float(weights[i + settings.radius]) for i in known]
    return list(known.values()), factors


def _masks(workspace: Workspace, masks: ManifestRef | None) -> dict[_Key, Row]:
    """Value of the mask's column by frame and face."""
    if masks is None:
        return {}
    rows = manifest.stream(workspace, masks, MASKS, ["frame_index", "face_index", "mask"])
    return {(row["frame_index"], row["face_index"]): row["mask"] for row in rows}


def _cover(packed: Row | None, free: Row | None, coverage: float, side: int) -> Row | None:
    """A chip's mask in the pixels of its patch, without what lies before the face."""
    if packed is None:
        return None
    mask = unpack(packed)
    matrix = chip_to_view(mask.shape[0], coverage, side)
    cover = cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_LINEAR)
    return pack(np.asarray(cover if free is None else cv2.multiply(cover, unpack(free), scale=1 / 255), np.uint8))
