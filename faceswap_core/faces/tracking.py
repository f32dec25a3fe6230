"""detections -> tracks: who is the same face from frame to frame, gaps filled, points smoothed within a shot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from faceswap_core.types import F64, I64, Bool

MIN_TRACK_FRAMES = 3
"""Tracks shorter than this are taken for false alarms, unless the whole shot is shorter."""


@dataclass(frozen=True)
class Detection:
    """One face of one frame."""

    frame_index: int
    """Frame in presentation order."""
    face_index: int
    """Number of the face within its frame."""
    box_xyxy: F64
    """(4,) px."""
    score: float
    """0..1."""
    points5: F64
    """(5, 2) px."""


@dataclass(frozen=True)
class Track:
    """One face over the frames of one shot, without gaps."""

    track_id: int
    """Unique within the video."""
    shot: int
    """Number of the shot."""
    frame_index: I64
    """(N,) consecutive."""
    face_index: I64
    """(N,) number within the frame; negative for an interpolated face."""
    boxes_xyxy: F64
    """(N, 4) px."""
    scores: F64
    """(N,)."""
    points5_raw: F64
    """(N, 5, 2) px, as detected or interpolated."""
    points5: F64
    """(N, 5, 2) px, smoothed."""
    interpolated: Bool
    """(N,) True where no face was detected."""

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.frame_index)


def shots_from_scores(cut_scores: F64, threshold: float) -> I64:
    """Shot of each frame (N,), 0 for the first, from cut scores (N,) 0..1."""
    cuts = np.nan_to_num(cut_scores) > threshold
    cuts[:1] = False
    return np.cumsum(cuts).astype(np.int64)


def overlap(box: F64, others: F64) -> F64:
    """Intersection over union of one box (4,) with (N, 4) boxes -> (N,)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inter = np.prod(np.maximum(high - low, 0), axis=1)
    area, areas = np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1)
    result: F64 = inter / np.maximum(area + areas - inter, 1e-9)
    return result


def link(detections: Iterable[Detection], shots: I64, *, min_iou: float, max_gap: int) -> list[list[Detection]]:
    """Group detections, given in frame order, into tracks: best overlap first, never across a cut."""
    tracks: list[list[Detection]] = []
    for frame in _by_frame(detections):
        now = frame[0].frame_index
        open_tracks = [
            t for t in tracks if shots[t[-1].frame_index] == shots[now] and now - t[-1].frame_index <= max_gap + 1
        ]
        free = dict(enumerate(frame))
        for _, track, index in _pairs(open_tracks, frame, min_iou):
            if index in free and track[-1].frame_index != now:
                track.append(free.pop(index))
        tracks += [[d] for d in free.values()]
    return tracks


def _by_frame(detections: Iterable[Detection]) -> Iterable[list[Detection]]:
    frame: list[Detection] = []
    for detection in detections:
        if frame and frame[0].frame_index != detection.frame_index:
            yield frame
            frame = []
        frame.append(detection)
    if frame:
        yield frame


def _pairs(
    tracks: list[list[Detection]], frame: list[Detection], min_iou: float
) -> list[tuple[float, list[Detection], int]]:
    boxes = np.array([d.box_xyxy for d in frame])
    pairs = []
    for track in tracks:
        for index, iou in enumerate(overlap(track[-1].box_xyxy, boxes)):
            if iou >= min_iou:
                pairs.append((float(iou), track, index))
    return sorted(pairs, key=lambda pair: -pair[0])


def fill(linked: Sequence[Detection], *, track_id: int, shot: int) -> Track:
    """One group of detections -> a track without gaps, missing frames interpolated linearly and marked."""
    known = np.array([d.frame_index for d in linked])
    frames = np.arange(known[0], known[-1] + 1)
    values = np.array([np.concatenate([d.box_xyxy, [d.score], d.points5.ravel()]) for d in linked])
    dense = np.stack([np.interp(frames, known, column) for column in values.T], axis=1)
    interpolated = ~np.isin(frames, known)
    face_index = np.full(len(frames), -1 - track_id)
    face_index[~interpolated] = [d.face_index for d in linked]
    points = dense[:, 5:].reshape(-1, 5, 2)
    return Track(
        track_id=track_id,
        shot=shot,
        frame_index=frames,
        face_index=face_index,
        boxes_xyxy=dense[:, :4],
        scores=np.where(interpolated, 0.0, dense[:, 4]),
        points5_raw=points,
        points5=points,
        interpolated=interpolated,
    )


def smooth(track: Track, radius: int) -> Track:
    """The same track with its points smoothed.

    The similarity that aligns a face is linear in its points, so smoothing the points smooths it alike.
    """
    flat = smooth_series(track.points5_raw.reshape(len(track), -1), radius)
    return replace(track, points5=flat.reshape(-1, 5, 2))


def smooth_series(values: F64, radius: int) -> F64:
    """Local linear fit under Hann weights over ``radius`` samples to each side.

    Zero phase and of finite support; straight motion passes unchanged, at the ends too.

    Args:
        values: (N, C) evenly spaced samples.
        radius: reach to each side; 0 returns the values.
    """
    if radius == 0 or len(values) < 3:
        return values
    out = np.empty_like(values)
    for i in range(len(values)):
        lo, hi = max(0, i - radius), min(len(values), i + radius + 1)
        t = np.arange(lo, hi) - i
        weight = 0.5 + 0.5 * np.cos(np.pi * t / (radius + 1))
        out[i] = _fit_at_zero(t, weight) @ values[lo:hi]
    return out


def _fit_at_zero(t: I64, weight: F64) -> F64:
    """Coefficients (K,) that give the weighted straight line's value at t = 0."""
    s0, s1, s2 = weight.sum(), (weight * t).sum(), (weight * t * t).sum()
    result: F64 = weight * (s2 - s1 * t) / (s0 * s2 - s1 * s1)
    return result


def choose_subject(tracks: Sequence[Track], shots: I64) -> set[int]:
    """Ids of the tracks taken for the subject: the largest faces, one at a time in each frame."""
    chosen: list[Track] = []
    lengths = np.bincount(shots) if len(shots) else np.zeros(1, int)
    for track in sorted(tracks, key=lambda t: (-_presence(t), t.track_id)):
        if len(track) < min(MIN_TRACK_FRAMES, lengths[track.shot]):
            continue
        if not any(_overlap_in_time(track, other) for other in chosen):
            chosen.append(track)
    return {track.track_id for track in chosen}


def _presence(track: Track) -> float:
    return float(np.prod(track.boxes_xyxy[:, 2:] - track.boxes_xyxy[:, :2], axis=1).sum())


def _overlap_in_time(one: Track, other: Track) -> bool:
    return bool(one.frame_index[0] <= other.frame_index[-1] and other.frame_index[0] <= one.frame_index[-1])


def to_edge(track: Track, shots: I64) -> list[int | None]:
    """Frames from each frame of a track to the nearest one in which the face enters or leaves within its shot.

    A track that begins or ends with its shot is cut off there, and the face neither enters nor leaves; None where
    that is so at both ends.
    """
    first, last = int(track.frame_index[0]), int(track.frame_index[-1])
    ends = [first] if first > 0 and shots[first - 1] == track.shot else []
    ends += [last] if last + 1 < len(shots) and shots[last + 1] == track.shot else []
    return [min(abs(int(frame) - end) for end in ends) if ends else None for frame in track.frame_index]


def jitter(points: F64) -> float:
    """Median length of the points' second difference, as a share of the eyes' distance; points (N, 5, 2)."""
    if len(points) < 3:
        return 0.0
    second = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=-1).mean(1)
    eyes = np.linalg.norm(points[1:-1, 1] - points[1:-1, 0], axis=-1)
    return float(np.median(second / np.maximum(eyes, 1e-6)))
