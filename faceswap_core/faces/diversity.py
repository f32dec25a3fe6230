"""figures and thumbnails of many faces -> the most different ones, near-duplicates, and those unlike all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from faceswap_core.types import F32, F64, I64, U8, Bool

THUMBNAIL = 24
"""Side of a thumbnail in pixels."""
_EYES = (slice(5, 11), slice(3, 21))
_MOUTH = (slice(15, 23), slice(6, 18))
"""Rows and columns of a thumbnail that show eyes and mouth."""
_COMPONENTS = 6
_COMPARED = 2000
_NEIGHBOUR = 5
_STRANGE = (0.3, 0.6)
"""Strangeness up to which a face counts fully, and from which next to nothing."""
_LEAST = 0.05
_EXTREME = 3.0
"""Standardised figures are cut off here: a wrong measurement shall not be the most different face."""


def standardised(figures: F64, least: Sequence[float]) -> F64:
    """Columns (N, D) less their median, as a share of their spread, cut off at 3; unknown values are the median.

    A spread below ``least`` (D,) counts as that much: what hardly differs shall not be blown up to a difference.
    """
    if not len(figures):
        return figures
    known = np.isfinite(figures)
    middle = np.array([np.median(c[k]) if k.any() else 0.0 for c, k in zip(figures.T, known.T, strict=True)])
    filled = np.where(known, figures, middle)
    result: F64 = np.clip((filled - middle) / np.maximum(filled.std(0), least), -_EXTREME, _EXTREME)
    return result


def expression(thumbnails: U8) -> F64:
    """What eyes and mouth do, (N, 6) principal components of their strips of the thumbnails (N, 24, 24).

    The first has a spread of 1, the others as much less as they are seen less. Light is taken out of each strip, so
    that it is not counted a second time.
    """
    parts = []
    for rows, columns in (_EYES, _MOUTH):
        strip = thumbnails[:, rows, columns].reshape(len(thumbnails), -1).astype(np.float32)
        strip -= strip.mean(1, keepdims=True)
        parts.append(strip / np.maximum(strip.std(1, keepdims=True), 4.0))
    found = _principal(np.concatenate(parts, axis=1))
    result: F64 = np.clip(found / max(float(found[:, :1].std()), 1e-6), -_EXTREME, _EXTREME)
    return result


def _principal(values: F32) -> F64:
    """The first components (N, 6) of rows (N, D), the signs fixed so that equal input gives equal output."""
    centred = values - values.mean(0)
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    vectors = vectors[:, ::-1][:, :_COMPONENTS]
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    return np.asarray(centred @ (vectors * signs), np.float64)


def spread_out(features: F64, weight: F64, count: int) -> I64:
    """Numbers (min(count, N),) of faces far from each other, the most telling first.

    Each is the farthest from all chosen before, its distance multiplied by its weight; the first is the weightiest of
    the middle. Equal input gives equal output.

    Args:
        features: (N, D) comparable numbers.
        weight: (N,) above 0.
        count: how many are wanted.

    Source: farthest-point sampling, Gonzalez 1985.
    """
    count = min(count, len(features))
    if count <= 0:
        return np.empty(0, np.int64)
    chosen = np.empty(count, np.int64)
    chosen[0] = int(np.argmin(np.linalg.norm(features, axis=1) / weight))
    nearest = np.full(len(features), np.inf)
    free = np.ones(len(features), bool)
    for i in range(1, count):
        last = features[chosen[i - 1]]
        free[chosen[i - 1]] = False
        nearest = np.minimum(nearest, ((features - last) ** 2).sum(1))
        chosen[i] = int(np.argmax(np.where(free, np.sqrt(nearest) * weight, -1.0)))
    return chosen


def quality(sharpness: F64, occlusion: F64, strangeness: F64) -> F64:
    """Weight (N,) of each face in 0..1.

    Sharp ones by their rank, those below half the median sharpness much less; less, too, where something lies before
    a face or it looks like none.
    """
    order = np.argsort(np.argsort(sharpness, kind="stable"), kind="stable")
    sharp = 0.5 + 0.5 * (order + 1) / max(len(order), 1)
    sharp *= np.clip(2 * sharpness / max(float(np.median(sharpness)), 1e-6), _LEAST, 1)
    usual = (_STRANGE[1] - strangeness) / (_STRANGE[1] - _STRANGE[0])
    weight: F64 = sharp * np.clip(1 - occlusion, _LEAST, 1) * np.clip(usual, _LEAST, 1)
    return weight


def strangeness(thumbnails: U8) -> F64:
    """How unlike all others each face looks, (N,): 0 as alike as can be, 1 nothing in common.

    One less its correlation with the fifth most alike, of at most 2000 faces spread evenly over the set.

    Args:
        thumbnails: (N, 24, 24).
    """
    count = len(thumbnails)
    flat = thumbnails.reshape(count, THUMBNAIL * THUMBNAIL).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1.0)
    others: I64 = np.unique(np.linspace(0, max(count - 1, 0), min(count, _COMPARED)).round().astype(np.int64))
    rank = min(_NEIGHBOUR, len(others) - 1)
    found = np.zeros(count)
    for first in range(0, count, _COMPARED):
        unlike = 1 - flat[first : first + _COMPARED] @ flat[others].T
        found[first : first + len(unlike)] = np.partition(unlike, rank, axis=1)[:, rank]
    return np.maximum(found, 0.0)


def duplicates(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]], bits: int = 4) -> Bool:
    """Faces (N,) whose hash differs in at most ``bits`` of 64 bits from that of an earlier face that is none."""
    again = np.zeros(len(hashes), bool)
    kept = np.empty(len(hashes), np.uint64)
    count = 0
    for i, one in enumerate(hashes):
        if count and int(np.bitwise_count(kept[:count] ^ one).min()) <= bits:
            again[i] = True
        else:
            kept[count] = one
            count += 1
    return again
