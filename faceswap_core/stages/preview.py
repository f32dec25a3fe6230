"""one frame of the plate + weights -> a picture of it before and after, as the finished video would show it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypedDict, get_args

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, BlendSettings, RuntimeSettings, SmoothSettings, SwapTarget
from faceswap_core.errors import SettingsError
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED, FRAMES, MASKS, TRACKS
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.composites import place_of
from faceswap_core.stages.decode import read_frames
from faceswap_core.stages.images import png
from faceswap_core.stages.paste import paste_all, patches_by_frame
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.stages.swap import swap_frames
from faceswap_core.storage import Workspace
from faceswap_core.types import U8, FileRef, FrameState, ManifestRef
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.reader import DecodedFrame

Overlay = Literal["boxes", "landmarks", "mask"]
_GREEN, _YELLOW, _BLUE = (90, 220, 120), (255, 214, 90), (90, 180, 255)
_GAP = 8
"""Columns between the two pictures."""


class Preview(TypedDict):
    """One frame before and after."""

    picture: FileRef
    """PNG: the plate's frame at the left, the finished one at the right."""
    state: FrameState
    """How the frame ends."""
    reason: str
    """Why, where it is not simply swapped."""


def parse_overlays(text: str) -> tuple[Overlay, ...]:
    """Names of overlays, divided by commas.

    Raises:
        SettingsError: there is no such overlay.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in get_args(Overlay)]:
        raise SettingsError(f"there is no overlay {unknown}: name some of {', '.join(get_args(Overlay))}")
    return tuple(overlay for overlay in get_args(Overlay) if overlay in names)


def draw_preview(
    workspace: Workspace,
    plate: FileRef,
    frame_index: int,
    overlays: Sequence[Overlay],
    frames: Sequence[ManifestRef],
    tracks: Sequence[ManifestRef],
    aligned: Sequence[AlignedChunk],
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    settings: SwapTarget,
    smooth: SmoothSettings,
    blend: BlendSettings,
    runtime: RuntimeSettings,
) -> Preview:
    """Swap one frame, with as many around it as its steadying reaches; no manifest of that stays.

    Args:
        workspace: where manifests are.
        plate: the source.
        frame_index: ordinal of the frame in the plate.
        overlays: what is drawn over both pictures.
        frames: FRAMES of every chunk, in order.
        tracks: TRACKS of every chunk.
        aligned: ALIGNED and MASKS of every chunk.
        weights: trained weights.
        direction: subject of the plate, subject to draw.
        align: how chips were cut.
        settings: as in `swap_frames`.
        smooth: as in `smooth_frames`.
        blend: how patches are laid over frames.
        runtime: device and threads.

    Raises:
        SettingsError: the plate has no such frame.
    """
    chunk = _chunk_of(workspace, frames, frame_index)
    decoded = next(f for f in read_frames(workspace, plate, frames[chunk]) if f.frame_index == frame_index)
    absolute: FileRef = {**weights, "path": str(workspace.localize(weights["path"], weights["sha256"]))}
    reach = smooth.radius if smooth.strength else 0
    with _beside(workspace) as small:
        faces, masks = _near(workspace, small, aligned, range(frame_index - reach, frame_index + reach + 1))
        swapped = swap_frames(small, 0, faces, absolute, direction, align, settings, runtime)
        smoothed = smooth_frames(small, 0, swapped, masks, [], [], align, smooth)
        rows = patches_by_frame(small, smoothed).get(frame_index, [])
    seen = [r for r in manifest.stream(workspace, tracks[chunk], TRACKS) if r["frame_index"] == frame_index]
    picture, state, reason = _drawn(decoded, rows, seen, blend, overlays)
    name = f"frame-{frame_index:06d}"
    file = workspace.publish_bytes(layout.PREVIEWS, name, ".png", png(picture))
    return Preview(picture=file, state=state, reason=reason)


def _chunk_of(workspace: Workspace, frames: Sequence[ManifestRef], frame_index: int) -> int:
    last = -1
    for number, ref in enumerate(frames):
        own = manifest.load(workspace, ref, FRAMES, ["frame_index"]).column("frame_index").to_pylist()
        if frame_index in own:
            return number
        last = max([last, *own])
    raise SettingsError(f"the plate has no frame {frame_index} that can be decoded: name one from 0 to {last}")


@contextmanager
def _beside(workspace: Workspace) -> Iterator[Workspace]:
    """A workspace that is gone afterwards."""
    with workspace.scratch(".preview") as path:
        folder = path.with_suffix(".folder")
        try:
            yield Workspace(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _near(
    workspace: Workspace, small: Workspace, chunks: Sequence[AlignedChunk], wanted: range
) -> tuple[ManifestRef, ManifestRef]:
    """ALIGNED and MASKS of the frames wanted alone."""
    faces: list[Row] = []
    masks: list[Row] = []
    for chunk in chunks:
        index = manifest.load(workspace, chunk["aligned"], ALIGNED, ["frame_index"]).column("frame_index").to_pylist()
        if not any(number in wanted for number in index):
            continue
        pairs = zip(
            manifest.stream(workspace, chunk["aligned"], ALIGNED),
            manifest.stream(workspace, chunk["masks"], MASKS),
            strict=True,
        )
        for face, mask in pairs:
            if face["frame_index"] in wanted:
                faces.append(face)
                masks.append(mask)
    return (
        manifest.publish(small, layout.ALIGNED, "aligned", ALIGNED, faces),
        manifest.publish(small, layout.MASKS, "masks", MASKS, masks),
    )


def _drawn(
    decoded: DecodedFrame, rows: list[Row], seen: list[Row], blend: BlendSettings, overlays: Sequence[Overlay]
) -> tuple[U8, FrameState, str]:
    frame = decoded.frame
    before = to_rgb(frame)
    state, reason = paste_all(frame, rows, decoded.corrupt, blend, ("no_face", "no face of the subject"))
    pictures = [before, to_rgb(frame)]
    for picture in pictures:
        if "boxes" in overlays:
            _boxes(picture, seen)
        if "landmarks" in overlays:
            _landmarks(picture, seen)
        if "mask" in overlays:
            _masks(picture, rows, blend)
    gap = np.full((before.shape[0], _GAP, 3), 255, np.uint8)
    return np.hstack([pictures[0], gap, pictures[1]]), state, reason


def _line(picture: U8) -> int:
    return max(1, round(int(picture.shape[1]) / 640))


def _boxes(picture: U8, seen: list[Row]) -> None:
    for row in seen:
        left, top, right, bottom = (round(edge) for edge in row["box_xyxy"])
        colour = _GREEN if row["subject"] else _YELLOW
        cv2.rectangle(picture, (left, top), (right, bottom), colour, _line(picture), cv2.LINE_AA)
        text = f"{row['subject'] or 'nobody'}, track {row['track_id']}" + (" (filled)" if row["interpolated"] else "")
        place, size = (left, max(top - 4 * _line(picture), 12)), 0.4 * _line(picture)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, _line(picture), cv2.LINE_AA)


def _landmarks(picture: U8, seen: list[Row]) -> None:
    for row in seen:
        for x, y in np.array(row["points_dense"] or [], np.float64).reshape(-1, 2):
            cv2.circle(picture, (round(x), round(y)), _line(picture) - 1, _BLUE, -1, cv2.LINE_AA)
        for x, y in np.array(row["points5"], np.float64).reshape(5, 2):
            cv2.circle(picture, (round(x), round(y)), 2 * _line(picture), _YELLOW, -1, cv2.LINE_AA)


def _masks(picture: U8, rows: list[Row], blend: BlendSettings) -> None:
    """Outline where half of a pixel is the patch's, and where the patch begins."""
    for row in rows:
        place = place_of(row, blend, (picture.shape[1], picture.shape[0]))
        if place is None:
            continue
        for level, colour in ((0.02, _BLUE), (0.5, _GREEN)):
            inside = (place.weight > level).astype(np.uint8)
            lines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=place.rect[:2])
            cv2.drawContours(picture, lines, -1, colour, _line(picture), cv2.LINE_AA)
