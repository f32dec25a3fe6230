"""detections -> tracks: who is the same face from frame to frame, and again after it was hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from faceswap_core.types import F64, I64

Group = list["Detection"]
"""Detections of one face in one shot, in the order of the frames."""

MEMORY_FRAMES = 6
"""Latest detections of a face from which its motion is read, at least."""
_BESIDE = 2
"""Frames on each side that a cut must stand out from."""
_STANDS_OUT = 6.0
"""How many times as much a cut changes: faces that move reach 5, cuts within one room 15 and more."""
_CLEAR = 1.5
"""How many times likelier a rejoining must be than the next best that it rules out."""


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
    embedding: F64 | None = None
    """(E,) of length 1; None where the detector has none."""


@dataclass(frozen=True)
class Likeness:
    """What two detections of one face have in common."""

    min_iou: float
    """Least overlap of a face with where it was expected."""
    min_cosine: float
    """Least cosine of two embeddings of one person."""


def shots_from_scores(cut_scores: F64, threshold: float) -> I64:
    """Shot of each frame (N,), 0 for the first, from cut scores (N,) 0..1.

    A cut between pictures that are alike scores little, and stands out all the same: a shot also ends where a third
    of the threshold is reached and the frames on both sides change far less. A flash changes two frames, and is none.
    """
    scores = np.nan_to_num(cut_scores)
    beside = np.pad(scores, _BESIDE)
    around = [
        beside[_BESIDE + shift : _BESIDE + shift + len(scores)] for shift in range(-_BESIDE, _BESIDE + 1) if shift
    ]
    stands_out = (scores > threshold / 3) & (scores > _STANDS_OUT * np.max(around, axis=0))
    cuts = (scores > threshold) | stands_out
    cuts[:1] = False
    return np.cumsum(cuts).astype(np.int64)


def overlap(box: F64, others: F64) -> F64:
    """Intersection over union of one box (4,) with (N, 4) boxes -> (N,)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inter = np.prod(np.maximum(high - low, 0), axis=1)
    area, areas = np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1)
    result: F64 = inter / np.maximum(area + areas - inter, 1e-9)
    return result


def predict(group: Sequence[Detection], frame_index: int) -> F64:
    """Box (4,) where a face is expected in another frame: steady motion of its centre, the latest size.

    The motion is a straight line through the detections nearest to that frame: through more of them, the farther
    the frame is. Works backwards, too, from the first detections to an earlier frame.
    """
    forwards = frame_index >= group[-1].frame_index
    away = abs(frame_index - group[-1 if forwards else 0].frame_index)
    count = max(MEMORY_FRAMES, away)
    near = group[-count:] if forwards else group[:count]
    boxes = np.array([d.box_xyxy for d in near])
    times = np.array([d.frame_index - frame_index for d in near], np.float64)
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    spread = times - times.mean()
    slope = spread @ centres / max(spread @ spread, 1e-9)
    centre = centres.mean(0) - slope * times.mean()
    size = (sizes[-MEMORY_FRAMES:] if forwards else sizes[:MEMORY_FRAMES]).mean(0)
    return np.concatenate([centre - size / 2, centre + size / 2])


def link(detections: Iterable[Detection], shots: I64, likeness: Likeness, *, max_gap: int) -> list[Group]:
    """Group detections, given in frame order, frame by frame, never across a cut.

    Each frame's faces are given to the groups so that all together fit best (the assignment problem), by the
    overlap with where each was expected and, where there are embeddings, by their cosine. Faces that fit none
    begin a group; a group that got none for more than ``max_gap`` frames ends.
    """
    groups: list[Group] = []
    alive: list[Group] = []
    for frame in _by_frame(detections):
        now = frame[0].frame_index
        alive = [g for g in alive if shots[g[-1].frame_index] == shots[now] and now - g[-1].frame_index <= max_gap + 1]
        scores = np.array([[_fit(group, face, likeness) for face in frame] for group in alive])
        free = dict(enumerate(frame))
        for number, face_number in _assign(scores):
            alive[number].append(free.pop(face_number))
        born = [[face] for face in free.values()]
        groups += born
        alive += born
    return groups


def _by_frame(detections: Iterable[Detection]) -> Iterator[list[Detection]]:
    frame: list[Detection] = []
    for detection in detections:
        if frame and frame[0].frame_index != detection.frame_index:
            yield frame
            frame = []
        frame.append(detection)
    if frame:
        yield frame


def _fit(group: Group, face: Detection, likeness: Likeness) -> float:
    """How well a face continues a group; 0 where it cannot."""
    iou = float(overlap(predict(group, face.frame_index), face.box_xyxy[None])[0])
    if iou < likeness.min_iou:
        return 0.0
    cosine = _cosine(mean_embedding(group[-MEMORY_FRAMES:]), face.embedding)
    if cosine is None:
        return iou
    return iou + cosine if cosine >= likeness.min_cosine else 0.0


def mean_embedding(group: Sequence[Detection]) -> F64 | None:
    """Mean direction (E,) of the embeddings of a face; None where there are none."""
    known = [d.embedding for d in group if d.embedding is not None]
    if not known:
        return None
    mean = np.mean(known, axis=0)
    result: F64 = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return result


def _cosine(one: F64 | None, other: F64 | None) -> float | None:
    return None if one is None or other is None else float(one @ other)


def _assign(scores: F64) -> list[tuple[int, int]]:
    """Pairs of row and column that fit best in sum, those of score 0 left out.

    Scores count squared, so that one face in its place weighs more than two that are half out of theirs.
    """
    if not scores.size:
        return []
    from scipy.optimize import linear_sum_assignment  # takes a second to import, which every command would wait for

    rows, columns = linear_sum_assignment(scores**2, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if scores[r, c] > 0]


def rejoin(groups: Sequence[Group], shots: I64, likeness: Likeness, *, max_lost: int) -> list[Group]:
    """Make one group of those that are one face before and after it was hidden or lost.

    With embeddings they decide, however long the face was away within its shot. Without, a face may be away for
    ``max_lost`` frames: the motion before must lead to where it is found again and the motion after back to where
    it was lost, or it is found in its old place; and no other face seen at the same time may fit nearly as well.
    """
    by_shot: dict[int, list[Group]] = {}
    for group in groups:
        by_shot.setdefault(int(shots[group[0].frame_index]), []).append(group)
    joined = [group for own in by_shot.values() for group in _rejoined(own, likeness, max_lost)]
    return sorted(joined, key=lambda g: (g[0].frame_index, g[0].face_index))


def _rejoined(groups: list[Group], likeness: Likeness, max_lost: int) -> list[Group]:
    scores = np.array([[_same_face(one, other, likeness, max_lost) for other in groups] for one in groups])
    after = {tail: head for tail, head in _assign(scores) if _is_clear(groups, scores, tail, head)}
    chains = []
    for first in sorted(set(range(len(groups))) - set(after.values())):
        chain, number = list(groups[first]), first
        while number in after:
            number = after[number]
            chain += groups[number]
        chains.append(chain)
    return chains


def _same_face(tail: Group, head: Group, likeness: Likeness, max_lost: int) -> float:
    """How likely ``head`` is ``tail`` found again; 0 where it is not."""
    lost, found = tail[-1], head[0]
    if found.frame_index <= lost.frame_index:
        return 0.0
    cosine = _cosine(mean_embedding(tail), mean_embedding(head))
    if cosine is not None:
        return cosine if cosine >= likeness.min_cosine else 0.0
    if found.frame_index - lost.frame_index > max_lost + 1:
        return 0.0
    ahead = overlap(predict(tail, found.frame_index), found.box_xyxy[None])[0]
    back = overlap(predict(head, lost.frame_index), lost.box_xyxy[None])[0]
    resting = overlap(lost.box_xyxy, found.box_xyxy[None])[0]
    iou = float(max((ahead + back) / 2, resting))
    return iou if iou >= likeness.min_iou else 0.0


def _is_clear(groups: list[Group], scores: F64, tail: int, head: int) -> bool:
    """False where another face, seen at the same time as one of the two, fits nearly as well in its stead."""
    if groups[tail][0].embedding is not None and groups[head][0].embedding is not None:
        return True
    others = [scores[tail, n] for n in range(len(groups)) if n != head and _together(groups[n], groups[head])]
    others += [scores[n, head] for n in range(len(groups)) if n != tail and _together(groups[n], groups[tail])]
    return bool(scores[tail, head] >= _CLEAR * max(others, default=0.0))


def _together(one: Group, other: Group) -> bool:
    return one[0].frame_index <= other[-1].frame_index and other[0].frame_index <= one[-1].frame_index
