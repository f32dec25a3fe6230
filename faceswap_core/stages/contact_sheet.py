"""frames + tracks -> contact sheet: one row of pictures per track, for telling who is who."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.faces.choosing import MIN_TRACK_FRAMES
from faceswap_core.schemas import FRAMES, TRACKS
from faceswap_core.stages.align import warp_chip
from faceswap_core.stages.decode import read_frames
from faceswap_core.stages.images import png, unpack
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F64, U8, FileRef, ManifestRef
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.facts import StreamFacts

PICTURES = 6
"""Pictures of a track."""
MOST_ROWS = 40
"""Tracks on a sheet; of more, those that are seen most are drawn."""
_SIDE = 112
"""Side of a picture in pixels."""
_AROUND = 1.7
"""Side of what a picture shows, in sides of the face's box."""
_LABEL = 236
"""Columns of the words beside the pictures."""
_GROUND, _INK, _PALE = (24, 26, 30), (238, 238, 238), (160, 166, 176)


@dataclass
class SheetTrack:
    """What the sheet says of one track."""

    track_id: int
    """As in TRACKS."""
    shot: int
    """Number of the shot."""
    frames: list[int] = field(default_factory=list)
    """frame_index of each face that was detected."""
    boxes_xyxy: list[F64] = field(default_factory=list)
    """(4,) px, of each."""

    @property
    def size(self) -> float:
        """Mean height of the face in pixels."""
        return float(np.mean([box[3] - box[1] for box in self.boxes_xyxy]))


def contact_sheet(
    workspace: Workspace, name: str, video: FileRef, frames: Sequence[ManifestRef], tracks: Sequence[ManifestRef]
) -> FileRef:
    """Draw the tracks of a video.

    A row shows the track's id, its first and last frame, its length, the mean height of its face, and pictures
    spread evenly over it. Tracks too short to be anybody are left out.

    Args:
        workspace: where manifests are and the sheet goes.
        name: of the sheet's file.
        video: the source.
        frames: FRAMES of every chunk.
        tracks: TRACKS of every chunk.

    Returns:
        The sheet, a PNG file of the workspace.
    """
    cap_threads(1)
    shown, left_out = sheet_tracks(workspace, tracks)
    pictures = _pictures(workspace, video, frames, shown)
    rate = _frame_rate(workspace, frames)
    rows = [_row(track, pictures[track.track_id], rate) for track in shown]
    words = f"{video['path'].rpartition('/')[2]}: {len(shown)} tracks" + (f", {left_out} more" if left_out else "")
    return workspace.publish_bytes(layout.SHEETS, name, ".png", png(np.concatenate([_head(words), *rows])))


def sheet_uri(workspace: Workspace, sheet: FileRef) -> str:
    """A sheet as a data URI of a JPEG, for the flow UI."""
    image = cv2.cvtColor(
        unpack({"bytes": workspace.localize(sheet["path"], sheet["sha256"]).read_bytes()}), cv2.COLOR_RGB2BGR
    )
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def sheet_tracks(workspace: Workspace, tracks: Sequence[ManifestRef]) -> tuple[list[SheetTrack], int]:
    """The tracks that a sheet shows, in order of their ids, and how many others would be worth showing."""
    found: dict[int, SheetTrack] = {}
    for ref in tracks:
        for row in manifest.stream(
            workspace, ref, TRACKS, ["frame_index", "track_id", "shot", "box_xyxy", "interpolated"]
        ):
            if not row["interpolated"]:
                track = found.setdefault(row["track_id"], SheetTrack(row["track_id"], row["shot"]))
                track.frames.append(row["frame_index"])
                track.boxes_xyxy.append(np.array(row["box_xyxy"]))
    lasting = [t for t in found.values() if len(t.frames) >= MIN_TRACK_FRAMES] or list(found.values())
    seen_most = sorted(lasting, key=lambda t: (-(t.size**2) * len(t.frames), t.track_id))[:MOST_ROWS]
    return sorted(seen_most, key=lambda t: t.track_id), len(lasting) - len(seen_most)


_COLUMNS = ["frame_index", "track_id", "shot", "box_xyxy", "interpolated"]


def _pictures(
    workspace: Workspace, video: FileRef, frames: Sequence[ManifestRef], tracks: Sequence[SheetTrack]
) -> dict[int, list[U8]]:
    """Pictures of each track in order; a chunk is decoded only as far as its last wanted frame."""
    wanted: dict[int, list[tuple[int, F64]]] = defaultdict(list)
    for track in tracks:
        for i in sorted(set(np.linspace(0, len(track.frames) - 1, PICTURES).round().astype(int).tolist())):
            wanted[track.frames[i]].append((track.track_id, track.boxes_xyxy[i]))
    pictures: dict[int, list[U8]] = {track.track_id: [] for track in tracks}
    for ref in frames:
        numbers = manifest.load(workspace, ref, FRAMES, ["frame_index"]).column("frame_index").to_pylist()
        last = max((number for number in numbers if number in wanted), default=-1)
        for frame in read_frames(workspace, video, ref) if last >= 0 else ():
            if frame.frame_index in wanted:
                image = to_rgb(frame.frame)
                for track_id, box in wanted[frame.frame_index]:
                    pictures[track_id].append(_cut_out(image, box))
            if frame.frame_index >= last:
                break
    return pictures


def _cut_out(image: U8, box: F64) -> U8:
    """The face with its surroundings, square; beyond the frame its border repeats."""
    centre, side = (box[:2] + box[2:]) / 2, _AROUND * max(float((box[2:] - box[:2]).max()), 1.0)
    scale, middle = _SIDE / side, (_SIDE - 1) / 2
    return warp_chip(
        image, np.array([[scale, 0, middle - scale * centre[0]], [0, scale, middle - scale * centre[1]]]), _SIDE
    )


def _frame_rate(workspace: Workspace, frames: Sequence[ManifestRef]) -> float:
    """Mean frames a second, by the times of the first and last frame; 0 where there is but one."""
    pts: list[int] = []
    base = Fraction(1)
    for ref in frames:
        base = StreamFacts.from_json(manifest.metadata(workspace, ref, FRAMES)["facts"]).time_base
        pts += manifest.load(workspace, ref, FRAMES, ["pts"]).column("pts").to_pylist()
    length = float((max(pts) - min(pts)) * base) if pts else 0.0
    return (len(pts) - 1) / length if length else 0.0


def _head(words: str) -> U8:
    strip = np.full((36, _LABEL + PICTURES * (_SIDE + 4), 3), _GROUND, np.uint8)
    return _written(strip, words, 24, 0.5, _INK)


def _row(track: SheetTrack, pictures: Sequence[U8], rate: float) -> U8:
    strip = np.full((_SIDE + 8, _LABEL + PICTURES * (_SIDE + 4), 3), _GROUND, np.uint8)
    first, last = track.frames[0], track.frames[-1]
    _written(strip, f"track {track.track_id}", 36, 0.8, _INK)
    _written(strip, f"frames {first} - {last}, shot {track.shot}", 62, 0.45, _PALE)
    seconds = f"{len(track.frames) / rate:.2f} s" if rate else f"{len(track.frames)} frames"
    _written(strip, f"{seconds}, face {track.size:.0f} px high", 84, 0.45, _PALE)
    for n, picture in enumerate(pictures):
        strip[4 : 4 + _SIDE, _LABEL + n * (_SIDE + 4) :][:, :_SIDE] = picture
    return strip


def _written(strip: U8, words: str, baseline: int, size: float, colour: tuple[int, int, int]) -> U8:
    """Draw words into the strip; signs other than ASCII become question marks, as the font has no others."""
    plain = words.encode("ascii", "replace").decode()
    cv2.putText(strip, plain, (12, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
    return strip
