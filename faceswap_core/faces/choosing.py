"""tracks of a video -> those of the one person who is meant, or why that cannot be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceswap_core.config_track import Choice
from faceswap_core.errors import SettingsError
from faceswap_core.faces.tracks import Track
from faceswap_core.types import F64, I64

MIN_TRACK_FRAMES = 3
"""Tracks shorter than this are taken for false alarms, unless the whole shot is shorter."""
DWARFED = 0.1
"""A face whose area, summed over its frames, is below this share of that of a face beside it is a bystander."""


@dataclass(frozen=True)
class Chosen:
    """The tracks of the person who is meant."""

    ids: frozenset[int]
    """Their track_id."""
    undecided: str = ""
    """Why nobody could be chosen; empty where somebody was, or where there is nobody."""


def choose(tracks: Sequence[Track], shots: I64, choice: Choice, min_cosine: float) -> Chosen:
    """Choose the tracks of the subject.

    Track ids decide before a reference, a reference before a rule. A rule and a reference choose one face at a
    time, and leave out false alarms and bystanders (`prominent`). Without any of them (``pick = "auto"``) a choice
    is made only where it is clear: no two prominent faces are seen side by side, and embeddings, where there are
    any, say that all are one person. Without embeddings, two people who are never seen together are not told apart.

    Args:
        tracks: all tracks of the video.
        shots: shot of each frame.
        choice: what the user said.
        min_cosine: least cosine of two embeddings of one person.

    Raises:
        SettingsError: the user named tracks that do not exist, or gave a reference that cannot be compared.
    """
    if choice.tracks:
        return _named(tracks, choice.tracks)
    leading = prominent(tracks, shots)
    if choice.reference:
        return _resembling(leading, np.array(choice.reference), min_cosine)
    if choice.pick == "left":
        return Chosen(_one_at_a_time(sorted(leading, key=_across)))
    if choice.pick == "right":
        return Chosen(_one_at_a_time(sorted(leading, key=lambda t: -_across(t))))
    ids = _one_at_a_time(sorted(leading, key=lambda t: (-_presence(t), t.track_id)))
    if choice.pick == "auto" and (doubt := _doubt(leading, ids, min_cosine)):
        return Chosen(frozenset(), doubt)
    return Chosen(ids)


def _named(tracks: Sequence[Track], ids: Sequence[int]) -> Chosen:
    known = {track.track_id for track in tracks}
    if unknown := sorted(set(ids) - known):
        raise SettingsError(
            f"{unknown} are no tracks of this video, which has {_in_words(sorted(known))}: name some of them, or none "
            "to see them drawn"
        )
    return Chosen(frozenset(ids))


def _in_words(ids: Sequence[int]) -> str:
    if not ids:
        return "none"
    return ", ".join(map(str, ids)) if len(ids) <= 12 else f"{len(ids)} from {ids[0]} to {ids[-1]}"


def prominent(tracks: Sequence[Track], shots: I64) -> list[Track]:
    """The tracks that may be somebody: neither false alarms nor dwarfed by a face seen at the same time."""
    lengths = np.bincount(shots) if len(shots) else np.zeros(1, int)
    lasting = [t for t in tracks if len(t) >= min(MIN_TRACK_FRAMES, lengths[t.shot])]
    return [
        t
        for t in lasting
        if not any(_common_frames(t, other) and _presence(t) < DWARFED * _presence(other) for other in lasting)
    ]


def _one_at_a_time(ranked: Sequence[Track]) -> frozenset[int]:
    """Ids of the tracks that are taken in that order, each unless one taken before is seen at the same time."""
    taken: list[Track] = []
    for track in ranked:
        if not any(_common_frames(track, other) for other in taken):
            taken.append(track)
    return frozenset(track.track_id for track in taken)


def _doubt(leading: Sequence[Track], ids: frozenset[int], min_cosine: float) -> str:
    """What speaks against an automatic choice."""
    chosen = sorted((t for t in leading if t.track_id in ids), key=lambda t: -_presence(t))
    for track in leading:
        for other in chosen:
            if track is not other and _common_frames(track, other) >= MIN_TRACK_FRAMES:
                return f"tracks {other.track_id} and {track.track_id} are seen side by side"
    for track in chosen[1:]:
        if track.embedding is not None and chosen[0].embedding is not None:
            cosine = float(track.embedding @ chosen[0].embedding)
            if cosine < min_cosine:
                return f"tracks {chosen[0].track_id} and {track.track_id} are different people (cosine {cosine:.2f})"
    return ""


def _resembling(leading: Sequence[Track], reference: F64, min_cosine: float) -> Chosen:
    known = [(float(t.embedding @ reference), t) for t in leading if t.embedding is not None]
    if leading and not known:
        raise SettingsError(
            "a reference was given, but the detector gives no embeddings: use detect.backend = 'insightface'"
        )
    alike = sorted((pair for pair in known if pair[0] >= min_cosine), key=lambda pair: -pair[0])
    if known and not alike:
        best = max(cosine for cosine, _ in known)
        return Chosen(frozenset(), f"no face resembles the reference (best cosine {best:.2f}, needed {min_cosine:g})")
    return Chosen(_one_at_a_time([track for _, track in alike]))


def _presence(track: Track) -> float:
    return float(np.prod(track.boxes_xyxy[:, 2:] - track.boxes_xyxy[:, :2], axis=1).sum())


def _across(track: Track) -> float:
    """Column of the track's centre."""
    return float((track.boxes_xyxy[:, 0] + track.boxes_xyxy[:, 2]).mean() / 2)


def _common_frames(one: Track, other: Track) -> int:
    if one.frame_index[0] > other.frame_index[-1] or other.frame_index[0] > one.frame_index[-1]:
        return 0
    return len(np.intersect1d(one.frame_index, other.frame_index, assume_unique=True))
