"""A plate, its truth and what is made of them -> figures that judge it in motion, before it is encoded.

Landmarks are judged in two ways. By tracking: from where B's landmarks truly are in one frame, optical flow follows
the picture to the next; by how much it misses them there is the motion that should not be. By detection: a face
detector searches the finished pictures and the plate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from benchmarks.two_actors import ALIGN, Footage
from faceswap_core import manifest
from faceswap_core.config import BlendSettings, DetectSettings, SmoothSettings, TrackSettings
from faceswap_core.faces.blend import placed
from faceswap_core.faces.dense import is_mesh, openness
from faceswap_core.faces.detectors import DETECTORS, installed
from faceswap_core.manifest import Row
from faceswap_core.quality.metrics import background_leak, seam_ratio, sharpness
from faceswap_core.quality.temporal import flickers, lab_apart, root_mean_square, trembles, warping_errors
from faceswap_core.schemas import SMOOTHED, SWAPPED, TRUTH
from faceswap_core.stages.align import AlignedChunk, warp_chip
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.paste import lay, ready_patch
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.types import F32, F64, U8, Bool, ManifestRef
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.reader import decode_linear

STILL = SmoothSettings(strength=0)
"""No smoothing of patches."""
_BLEND = BlendSettings()
_EVERY = 10
"""Frames between those on which seam and leak are measured."""
_FLOWS = 48
"""Frames over which the warping error is measured."""


@dataclass(frozen=True)
class Made:
    """A finished video, before it is encoded."""

    pictures: U8
    """(T, H, W, 3) RGB."""
    weights: F32
    """(T, H, W) 0..1, how far each pixel is covered."""
    points: F64
    """(T, N, 2) px, as the judge finds them; NaN where it finds no face."""


class Judge:
    """Plate and truth of one pair, and what is made of them."""

    def __init__(self, film: Footage) -> None:
        self.film = film
        self.plate = _pictures(film.plate["path"])
        self.truth = _pictures(film.truth["path"])
        self.points = found_points(self.plate)
        ends = [0, *film.cuts, len(self.plate)]
        self.shots = [slice(first, last) for first, last in pairwise(ends)]
        truth = manifest.stream(film.workspace, film.landmarks, TRUTH, ["landmarks"])
        self.landmarks = np.array([row["landmarks"] for row in truth], np.float32).reshape(-1, 68, 2)[:, _INNER]
        self.eyes = float(np.nanmedian(np.linalg.norm(np.diff(_eyes(self.points), axis=1), axis=-1)))

    def smoothed(
        self, swapped: Sequence[ManifestRef], aligned: Sequence[AlignedChunk], how: SmoothSettings
    ) -> list[Row]:
        """Rows of SMOOTHED of the whole plate."""
        rows = []
        for i, ref in enumerate(swapped):
            near = swapped[max(i - 1, 0) : i], swapped[i + 1 : i + 2]
            made = smooth_frames(self.film.workspace, i, ref, aligned[i]["masks"], *near, ALIGN, how)
            rows += list(manifest.stream(self.film.workspace, made, SMOOTHED))
        return rows

    def run(self, detections: list[ManifestRef], track: TrackSettings, smooth: SmoothSettings) -> Made:
        """Track, swap, smooth and lay in."""
        aligned = self.film.tracked(detections, track)
        return self.composed(self.smoothed(self.film.swapped(aligned), aligned, smooth))

    def ideal(self) -> Made:
        """The truth laid in by the default tracks and the network's masks."""
        aligned = self.film.tracked(self.film.detections, TrackSettings())
        refs = []
        for ref in self.film.swapped(aligned):
            rows = [self._true(row) for row in manifest.stream(self.film.workspace, ref, SWAPPED)]
            refs.append(manifest.publish(self.film.workspace, "ideal", "swapped", SWAPPED, rows))
        return self.composed(self.smoothed(refs, aligned, STILL))

    def _true(self, row: Row) -> Row:
        patch = unpack(row["patch"])
        chip = warp_chip(self.truth[row["frame_index"]], np.reshape(row["matrix"], (2, 3)), patch.shape[0])
        return row | {"patch": pack(np.dstack([chip, patch[..., 3]]))}

    def composed(self, rows: Iterable[Row]) -> Made:
        """Lay patches over the plate."""
        by_frame: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_frame[row["frame_index"]].append(row)
        pictures, weights = [], []
        for index, decoded in enumerate(decode_linear(self.film.plate["path"])):
            weight = np.zeros((decoded.height, decoded.width), np.float32)
            for patch in (ready_patch(row, _BLEND) for row in by_frame[index]):
                if lay(decoded, patch, _BLEND) and (rect := patch.rect((decoded.width, decoded.height))):
                    x, y, w, h = rect
                    weight[y : y + h, x : x + w] = placed(patch.colors, patch.alpha, patch.matrix, rect)[1]
            pictures.append(to_rgb(decoded))
            weights.append(weight)
        return Made(np.stack(pictures), np.stack(weights), found_points(pictures))

    def jitter(self, made: Made) -> float:
        """Root median square second difference of what B's landmarks are off their way, of the eyes' distance.

        The median over points and frames, as flow loses its way in a blink or a mouth that closes.
        """
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in made.pictures]
        off = [
            _followed(*grey[t : t + 2], *self.landmarks[t : t + 2]) - self.landmarks[t + 1]
            for t in range(len(grey) - 1)
        ]
        second = np.concatenate([np.diff(np.array(off[shot][:-1]), axis=0) for shot in self.shots])
        return float(np.sqrt(np.median((second**2).sum(-1))) / self.eyes)

    def detected_jitter(self, made: Made) -> float:
        """Residual jitter of the detector's landmarks, as a share of the eyes' distance."""
        there: Bool = np.array(~np.isnan(made.points + self.points).any((1, 2)), bool)
        pairs = [(made.points[shot][there[shot]], self.points[shot][there[shot]]) for shot in self.shots]
        return root_mean_square(np.concatenate([trembles(*pair, self.eyes) for pair in pairs]))

    def flicker(self, made: Made, masks: F32) -> float:
        """Root mean square of the face's change of colour that the plate does not show, CIE L*a*b*."""
        apart = np.array([lab_apart(*three) for three in zip(made.pictures, self.plate, masks, strict=True)])
        return root_mean_square(np.concatenate([flickers(apart[shot]) for shot in self.shots]))

    def nme(self, made: Made) -> F64:
        """Distance (T,) of the landmarks to the plate's, as a share of the eyes' distance."""
        result: F64 = np.linalg.norm(made.points - self.points, axis=-1).mean(1) / self.eyes
        return result


_INNER = slice(17, 68)
"""Of iBUG's 68 points, those of brows, nose, eyes and mouth."""
_WINDOW = 21
"""Side, in px, of what is followed about a landmark."""


def _followed(before: U8, after: U8, points: F32, guess: F32) -> F32:
    """Where points (N, 2) of one grey picture lie in the next, searched for from a guess (Lucas and Kanade 1981)."""
    found, *_ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        points[:, None],
        guess[:, None].copy(),
        winSize=(_WINDOW, _WINDOW),
        maxLevel=0,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(found, np.float32)[:, 0]


def _pictures(path: str) -> U8:
    return np.stack([to_rgb(frame) for frame in decode_linear(path)])


def found_points(pictures: Iterable[U8]) -> F64:
    """The judge's landmarks (T, N, 2) px: a mesh where the detector has one, else five; NaN where it finds no face."""
    settings = installed(DetectSettings())
    detector = DETECTORS[settings.backend](settings, "cpu")
    found = []
    for number, picture in enumerate(pictures):
        faces = detector.detect(picture, follows=number > 0)
        points = faces.points5 if faces.points_dense is None else faces.points_dense
        found.append(points[0].astype(np.float64) if len(faces) else np.full(points.shape[1:], np.nan))
    return np.array(found)


def _eyes(points: F64) -> F64:
    """Points of both eyes (T, 2, 2)."""
    pair = [33, 263] if points.shape[1] > 5 else [0, 1]
    eyes: F64 = points[:, pair]
    return eyes


def lag(judge: Judge, made: Made) -> float | None:
    """Frames by which the mouth's opening comes after the plate's; None without a mesh."""
    there = ~np.isnan(made.points + judge.points).any((1, 2))
    if not is_mesh(made.points[0]):
        return None
    ours, plates = ([openness(p)[1] for p in points[there]] for points in (made.points, judge.points))
    ours, plates = (np.diff(series) - np.diff(series).mean() for series in (ours, plates))
    reach = range(-3, 4)
    fits = [float(np.roll(plates, shift)[3:-3] @ ours[3:-3]) for shift in reach]
    best = int(np.argmax(fits))
    if best in (0, len(fits) - 1):
        return float(reach[best])
    before, here, after = fits[best - 1 : best + 2]
    return reach[best] + 0.5 * (before - after) / (before - 2 * here + after)


def figures(judge: Judge, made: Made, masks: F32) -> dict[str, float]:
    """What is measured of one video."""
    warped = warping_errors(made.pictures[:_FLOWS], judge.plate[:_FLOWS], masks[:_FLOWS])
    some = slice(None, None, _EVERY)
    triples = list(zip(made.pictures[some], judge.plate[some], made.weights[some], strict=True))
    return {
        "jitter": judge.jitter(made),
        "detected": judge.detected_jitter(made),
        "flicker": judge.flicker(made, masks),
        "warping": warped[0] / warped[1],
        "sharpness": float(np.mean([sharpness(p, m) for p, m in zip(made.pictures, masks, strict=True)])),
        "seam": float(np.mean([seam_ratio(*triple) for triple in triples])),
        "leak": max(background_leak(*triple) for triple in triples),
        "nme": float(np.nanmean(judge.nme(made))),
        "lost": int(np.isnan(made.points).any((1, 2)).sum()),
    }
