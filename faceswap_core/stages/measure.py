"""smoothed patches + plate (+ truth) -> what is measured of the frames of one chunk, before encoding and label."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import cv2
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core import layout, manifest
from faceswap_core.config import BlendSettings, DetectSettings
from faceswap_core.errors import ManifestError, MediaError, SettingsError
from faceswap_core.manifest import Row
from faceswap_core.quality.identity_net import IdentityNet, read_network, traits_of
from faceswap_core.quality.metrics import masked_l1
from faceswap_core.schemas import QUALITY
from faceswap_core.stages.beside import Beside, Footage, encoded_pictures, pictures
from faceswap_core.stages.composites import Edit, Place, composite, ideal, laid, place_of, weight_in
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.images import jpeg
from faceswap_core.stages.judge_identity import identity_chip
from faceswap_core.stages.landmarks import Found, landmark_figures, plate_faces, reader_of
from faceswap_core.stages.paste import patches_by_frame, ready_patch
from faceswap_core.stages.quality_series import worst_faces
from faceswap_core.stages.scene import Scene
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, U8, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.reader import DecodedFrame

_log = logging.getLogger(__name__)
_UNMEASURED = "unmeasured"
"""Key of the metadata of QUALITY: why frames were not measured, by frame_index."""
_WIDEST = 320
"""Columns of a picture of a face, at most."""


class Sample(TypedDict):
    """Frames of one chunk that are measured in every variant."""

    first: int
    """frame_index."""
    last: int
    """frame_index."""
    unsmoothed: ManifestRef
    """SMOOTHED of these frames, swapped without any steadying in time."""


@dataclass
class _Variant:
    """One way to finish the frames, and what the frame before looked like."""

    name: str
    before: U8 | None = None
    """(H, W, 3), where the frame before was measured, too."""
    rows: list[Row] = field(default_factory=list)


def measure_quality(
    workspace: Workspace,
    plate: FileRef,
    frames: ManifestRef,
    tracks: ManifestRef,
    smoothed: ManifestRef,
    limit: int,
    sample: Sample | None,
    truth: Footage | None,
    blend: BlendSettings,
    detect: DetectSettings,
    device: str = "auto",
    progress: Progress = no_progress,
    finished: ManifestRef | None = None,
    identity: FileRef | None = None,
) -> ManifestRef:
    """Measure the first swapped frames of one chunk, and those of a sample in each variant.

    The variants are ``swap``; ``unsmoothed``, the same weights with the steadying of track and patches off;
    ``no_swap``, the plate itself; and, with truth, ``ideal``: the truth laid in by the swap's own weights. All are
    judged in RGB, before encoding and without the visible label, in the rectangles of the swap's patches, and
    searched for faces by the plate's own detector.

    Args:
        workspace: where manifests are.
        plate: the source.
        frames: FRAMES of the chunk.
        tracks: TRACKS of the chunk.
        smoothed: SMOOTHED of the chunk.
        limit: frames that are measured, at most.
        sample: which of them are measured in every variant, if any.
        truth: the swap's truth, frame for frame.
        blend: how patches are laid over frames.
        detect: the detector; ``truth`` finds nothing in pictures, and gives no landmarks.
        device: where the detector runs, as ``runtime.device`` has it.
        progress: told frame by frame.
        finished: CHUNKS that hold these frames, to tell what encoding changed.
        identity: weights of the network that tells rendered actors apart.

    Returns:
        QUALITY; frames that could not be measured stand in its metadata (`unmeasured`).

    Raises:
        SettingsError: the truth's frames are of another size.
    """
    cap_threads(1)
    chunk, _ = published_chunk(workspace, frames)
    network = read_network(workspace.localize(identity["path"], identity["sha256"])) if identity else None
    judge = _Judge(workspace, tracks, smoothed, limit, sample, blend, detect, device, network)
    truths = Beside(pictures(workspace, truth, judge.wanted) if truth else iter(()))
    encoded = Beside(encoded_pictures(workspace, finished, judge.wanted) if finished and judge.wanted else iter(()))
    for frame in read_frames(workspace, plate, frames) if judge.wanted else ():
        judge.take(frame, truths.at(frame.frame_index), encoded.at(frame.frame_index))
        if frame.frame_index in judge.wanted:
            progress(judge.wanted.index(frame.frame_index) + 1, len(judge.wanted), "frames")
        if frame.frame_index >= judge.wanted[-1]:
            break
    name = layout.chunk_name("quality", chunk.chunk_index)
    about = {_UNMEASURED: json.dumps(judge.unmeasured)} if judge.unmeasured else None
    return manifest.publish(workspace, layout.QUALITY, name, QUALITY, judge.rows(), about)


def unmeasured(workspace: Workspace, refs: Sequence[ManifestRef]) -> dict[str, int]:
    """How many frames of QUALITY of all chunks could not be measured, by the reason."""
    found = (manifest.metadata(workspace, ref, QUALITY).get(_UNMEASURED, "{}") for ref in refs)
    return dict(Counter(reason for text in found for reason in json.loads(text).values()))


class _Judge:
    """Measures frame after frame of one chunk."""

    def __init__(
        self,
        workspace: Workspace,
        tracks: ManifestRef,
        smoothed: ManifestRef,
        limit: int,
        sample: Sample | None,
        blend: BlendSettings,
        detect: DetectSettings,
        device: str,
        network: IdentityNet | None,
    ) -> None:
        self.blend, self.sample, self.network = blend, sample, network
        self.patches = patches_by_frame(workspace, smoothed)
        self.unsmoothed = patches_by_frame(workspace, sample["unsmoothed"]) if sample else {}
        self.wanted = sorted(self.patches)[:limit]
        self.faces = plate_faces(workspace, tracks, set(self.wanted))
        self.reader = reader_of(detect, device)
        self.variants = {name: _Variant(name) for name in ("swap", "unsmoothed", "no_swap", "ideal")}
        self.last: Scene | None = None
        self.pictures: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self.unmeasured: dict[int, str] = {}

    def take(self, decoded: DecodedFrame, truth: U8 | None, encoded: U8 | None) -> None:
        """Measure one frame in the variants that are due; why one could not be is kept."""
        if decoded.frame_index not in self.wanted or decoded.corrupt:
            return
        try:
            self._take(decoded, truth, encoded)
        except (MediaError, ManifestError, cv2.error, ValueError) as error:
            _log.warning("frame %d is not measured: %s", decoded.frame_index, error)
            self.unmeasured[decoded.frame_index] = str(error)

    def _take(self, decoded: DecodedFrame, truth: U8 | None, encoded: U8 | None) -> None:
        number, frame = decoded.frame_index, decoded.frame
        found = (place_of(row, self.blend, (frame.width, frame.height)) for row in self.patches[number])
        if not (places := [place for place in found if place is not None]):
            return
        plate = to_rgb(frame)
        if truth is not None and truth.shape != plate.shape:
            raise SettingsError(
                f"frame {number} of plate.truth is {truth.shape[1]}x{truth.shape[0]} px, that of the plate "
                f"{frame.width}x{frame.height}: give the truth of this very plate"
            )
        before = self.last.plate if self.last is not None and _follows(places[0], number, self.last) else None
        scene = Scene.of(number, plate, before, truth, places)
        known = [self._in_plate(scene, place) for place in places]
        for name, edits, weights in self._finishes(scene):
            self._measure(self.variants[name], frame, scene, known, edits, weights, encoded)
        self.last = scene

    def _finishes(self, scene: Scene) -> Iterator[tuple[str, list[Edit], list[F32]]]:
        """Each variant that is due: what is laid into the frame, and the weights of the faces."""
        own = [place.weight for place in scene.places]
        yield "swap", [laid(place.patch, self.blend) for place in scene.places], own
        if self.sample is None or not self.sample["first"] <= scene.number <= self.sample["last"]:
            return
        rough = {row["face_index"]: row for row in self.unsmoothed.get(scene.number, [])}
        if all(place.row["face_index"] in rough for place in scene.places):
            patches = [ready_patch(rough[place.row["face_index"]], self.blend) for place in scene.places]
            weights = [weight_in(patch, place.rect) for patch, place in zip(patches, scene.places, strict=True)]
            yield "unsmoothed", [laid(patch, self.blend) for patch in patches], weights
        yield "no_swap", [], own
        pairs = [
            (place, wanted) for place, wanted in zip(scene.places, scene.wanted, strict=True) if wanted is not None
        ]
        if pairs:
            yield "ideal", [ideal(place, wanted) for place, wanted in pairs], own

    def _in_plate(self, scene: Scene, place: Place) -> Found | None:
        """A face of the plate as its detector sees it; None where it was interpolated."""
        detected = self.faces.get((scene.number, place.row["face_index"]))
        return self.reader.read_plate(scene.plate, detected) if self.reader and detected else None

    def _measure(
        self,
        variant: _Variant,
        frame: VideoFrame,
        scene: Scene,
        known: Sequence[Found | None],
        edits: list[Edit],
        weights: list[F32],
        encoded: U8 | None,
    ) -> None:
        rects = [place.rect for place in scene.places]
        made = composite(frame, edits, list(zip(rects, weights, strict=True)))
        before = variant.before if scene.plate_before is not None else None
        for i, (place, face) in enumerate(zip(scene.places, known, strict=True)):
            row = {"variant": variant.name, "leak": made.leak} | scene.figures(i, made.rgb, before, weights[i])
            row |= {name: place.row[name] for name in ("frame_index", "face_index", "track_id", "shot")}
            if face is not None and self.reader is not None:
                found = self.reader.read(made.rgb, face) if edits else face
                row |= landmark_figures(found, face)
                row["traits"] = self._traits(scene.number, made.rgb, face)
            variant.rows.append(row)
            if variant.name == "swap":
                row["encode_loss"] = _lost(place, made.rgb, encoded)
                pictures = _face(place.cut(scene.plate)), _face(place.cut(made.rgb))
                self.pictures[scene.number, place.row["face_index"]] = pictures
        variant.before = made.rgb

    def _traits(self, number: int, made: U8, face: Found) -> list[float] | None:
        """Traits of a face in a frame of the sample, placed as in the plate."""
        if self.network is None or self.sample is None or not self.sample["first"] <= number <= self.sample["last"]:
            return None
        return [float(v) for v in traits_of(self.network, identity_chip(made, face.points5)[None])[0]]

    def rows(self) -> list[Row]:
        """All that was measured, in order; the worst faces of the swap with pictures."""
        filled = [dict.fromkeys(QUALITY.names) | row for v in self.variants.values() for row in v.rows]
        worst = worst_faces([row for row in filled if row["variant"] == "swap"])
        for row in filled:
            key = (row["frame_index"], row["face_index"])
            if row["variant"] == "swap" and key in worst:
                row["before"], row["after"] = self.pictures[key]
        return sorted(filled, key=lambda row: (row["frame_index"], row["face_index"], row["variant"]))


def _follows(place: Place, number: int, last: Scene) -> bool:
    """Whether a face of this frame belongs to the shot of the frame measured last, which is the one before."""
    return last.number == number - 1 and last.places[0].row["shot"] == place.row["shot"]


def _lost(place: Place, made: U8, encoded: U8 | None) -> float | None:
    """Mean change (8-bit code values) that encoding made under a patch's weight."""
    if encoded is None or encoded.shape != made.shape:
        return None
    after, before = (place.cut(picture).astype(np.float32) for picture in (encoded, made))
    return masked_l1(after, before, place.weight)


def _face(picture: U8) -> bytes:
    return jpeg(picture, _WIDEST)
