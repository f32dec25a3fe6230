"""detections of one face in one shot -> its track: gaps filled, and where it enters and leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from faceswap_core.faces.tracking import MEMORY_FRAMES, Detection, Group, mean_embedding, predict
from faceswap_core.types import F64, I64, Bool


@dataclass(frozen=True)
class Track:
    """One face of one shot, its short gaps filled."""

    track_id: int
    """Unique within the video."""
    shot: int
    """Number of the shot."""
    frame_index: I64
    """(N,) rising; consecutive but for gaps too long to be filled."""
    face_index: I64
    """(N,) number within the frame; negative for an interpolated face."""
    boxes_xyxy: F64
    """(N, 4) px."""
    scores: F64
    """(N,); 0 for an interpolated face."""
    points5_raw: F64
    """(N, 5, 2) px, as detected or interpolated."""
    interpolated: Bool
    """(N,) True where no face was detected."""
    embedding: F64 | None = None
    """(E,) mean direction of its embeddings; None where the detector has none."""

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.frame_index)


def fill(group: Group, *, track_id: int, shots: I64, max_gap: int) -> Track:
    """One group -> a track: gaps of up to ``max_gap`` frames filled and marked, longer ones left.

    Between detections they are interpolated linearly. Those to the ends of the shot are carried on along the motion:
    a face that is found so soon after a cut was there from the cut on.
    """
    shot = int(shots[group[0].frame_index])
    known = [*carried(group, shots, max_gap), *group]
    known.sort(key=lambda d: d.frame_index)
    at = np.array([d.frame_index for d in known])
    values = np.array([np.concatenate([d.box_xyxy, [d.score], d.points5.ravel()]) for d in known])
    short = np.flatnonzero(np.diff(at) <= max_gap + 1)
    bridged = [np.arange(at[i] + 1, at[i + 1]) for i in short]
    frames = np.sort(np.concatenate([at, *bridged]))
    dense = np.stack([np.interp(frames, at, column) for column in values.T], axis=1)
    interpolated = ~np.isin(frames, [d.frame_index for d in group])
    face_index = np.full(len(frames), -1 - track_id)
    face_index[~interpolated] = [d.face_index for d in group]
    return Track(
        track_id=track_id,
        shot=shot,
        frame_index=frames,
        face_index=face_index,
        boxes_xyxy=dense[:, :4],
        scores=np.where(interpolated, 0.0, dense[:, 4]),
        points5_raw=dense[:, 5:].reshape(-1, 5, 2),
        interpolated=interpolated,
        embedding=mean_embedding(group),
    )


def carried(group: Group, shots: I64, max_gap: int) -> Group:
    """Where a face is expected in the frames between it and an end of its shot that is at most ``max_gap`` away.

    Nothing for a face of less than `MEMORY_FRAMES` detections, which may be none.
    """
    first, last = np.flatnonzero(shots == shots[group[0].frame_index])[[0, -1]]
    before, after = range(int(first), group[0].frame_index), range(group[-1].frame_index + 1, int(last) + 1)
    wanted = [frame for gap in (before, after) if len(gap) <= max_gap for frame in gap]
    return [_moved(group, frame) for frame in wanted] if len(group) >= MEMORY_FRAMES else []


def _moved(group: Group, frame_index: int) -> Detection:
    nearest = group[-1] if frame_index > group[-1].frame_index else group[0]
    box = predict(group, frame_index)
    away = (box[:2] + box[2:] - nearest.box_xyxy[:2] - nearest.box_xyxy[2:]) / 2
    return replace(nearest, frame_index=frame_index, box_xyxy=nearest.box_xyxy + np.tile(away, 2), score=0.0,
                   points5=nearest.points5 + away)  # fmt: skip


def to_edge(track: Track, shots: I64) -> list[int | None]:
    """Frames from each frame of a track to the nearest one in which the face enters or leaves within its shot.

    A gap that was not filled is left and entered, too. A track that begins or ends with its shot is cut off there, and
    the face neither enters nor leaves; None where it does neither anywhere.
    """
    seen = {int(frame) for frame in track.frame_index}
    missed = {n for frame in seen for n in (frame - 1, frame + 1) if n not in seen and 0 <= n < len(shots)}
    gone = np.array([n for n in missed if shots[n] == track.shot])
    return [int(np.abs(gone - frame).min()) - 1 if len(gone) else None for frame in sorted(seen)]
