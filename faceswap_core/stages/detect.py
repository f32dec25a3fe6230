"""frames -> detections: find every face of one chunk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import DetectSettings
from faceswap_core.errors import SettingsError
from faceswap_core.faces.detectors import DETECTORS, Detector, Faces
from faceswap_core.manifest import Row
from faceswap_core.schemas import DETECTIONS, FRAMES, TRUTH
from faceswap_core.stages.decode import read_frames
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, U8, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.colour import to_rgb

_AFRESH = 0.06
"""Cut score above which a frame is searched without regard to the one before: less than what ends a shot, as a
search too many costs little."""


class Detected(ManifestRef):
    """DETECTIONS of one chunk, and how they were found."""

    backend: str
    """Detector that was used."""
    cpu_seconds: float
    """Processor time of the detector, decoding and conversion to RGB left out, when the chunk was computed."""


def detect_faces(
    workspace: Workspace,
    video: FileRef,
    frames: ManifestRef,
    settings: DetectSettings,
    truth: ManifestRef | None = None,
    progress: Progress = no_progress,
    device: str = "auto",
) -> Detected:
    """Find the faces of one chunk; frames that the decoder had to patch up are left out.

    The first frame of a chunk and the first after a cut are searched afresh.

    Args:
        workspace: where manifests are.
        video: the source.
        frames: FRAMES of the chunk.
        settings: thresholds and backend.
        truth: TRUTH of a rendered actor, read by the backend ``truth`` alone.
        progress: told frame by frame.
        device: where networks run that can run on a GPU, as ``runtime.device`` has it.
    """
    chunk_index = json.loads(manifest.metadata(workspace, frames, FRAMES)["chunk"])["chunk_index"]
    name = layout.chunk_name("detections", chunk_index)
    if settings.backend == "truth":
        ref = _publish(workspace, name, _exact(workspace, frames, truth, video))
        return Detected(**ref, backend="truth", cpu_seconds=0.0)
    cap_threads(1)
    detector = _Timed(DETECTORS[settings.backend](settings, device))
    ref = _publish(workspace, name, _detected(workspace, video, frames, detector, progress))
    return Detected(**ref, backend=detector.name, cpu_seconds=round(detector.cpu_seconds, 6))


def _publish(workspace: Workspace, name: str, rows: Iterator[Row]) -> ManifestRef:
    return manifest.publish(workspace, layout.DETECTIONS, name, DETECTIONS, rows)


class _Timed:
    """A detector that counts its processor time."""

    def __init__(self, detector: Detector) -> None:
        self.name = detector.name
        self.cpu_seconds = 0.0
        self._detector = detector

    def detect(self, image: U8, *, follows: bool = False) -> Faces:
        began = time.thread_time()
        faces = self._detector.detect(image, follows=follows)
        self.cpu_seconds += time.thread_time() - began
        return faces


def _detected(
    workspace: Workspace, video: FileRef, frames: ManifestRef, detector: Detector, progress: Progress
) -> Iterator[Row]:
    scores = manifest.load(workspace, frames, FRAMES, ["cut_score"]).column("cut_score").to_pylist()
    follows = False
    for done, (frame, score) in enumerate(zip(read_frames(workspace, video, frames), scores, strict=True), start=1):
        follows = follows and (score or 0.0) <= _AFRESH
        if not frame.corrupt:
            faces = detector.detect(to_rgb(frame.frame, exact=False), follows=follows)
            yield from _rows(frame.frame_index, faces, detector.name)
            follows = True
        progress(done, frames["rows"], "frames")


def _rows(frame_index: int, faces: Faces, backend: str) -> Iterator[Row]:
    for i in range(len(faces)):
        yield {
            "frame_index": frame_index,
            "face_index": i,
            "box_xyxy": faces.boxes_xyxy[i].tolist(),
            "score": float(faces.scores[i]),
            "points5": faces.points5[i].ravel().tolist(),
            "points_dense": None if faces.points_dense is None else faces.points_dense[i].ravel().tolist(),
            "embedding": None if faces.embeddings is None else faces.embeddings[i].tolist(),
            "backend": backend,
        }


def _exact(workspace: Workspace, frames: ManifestRef, truth: ManifestRef | None, video: FileRef) -> Iterator[Row]:
    """Five points from the 68 exact ones of a rendered clip, for judging what the detector costs."""
    if truth is None:
        raise SettingsError(
            f"detect.backend is 'truth', but {video['path']} has no TRUTH manifest: only rendered actors have one"
        )
    wanted = set(manifest.load(workspace, frames, FRAMES, ["frame_index"]).column("frame_index").to_pylist())
    for row in manifest.stream(workspace, truth, TRUTH, ["frame_index", "landmarks"]):
        if row["frame_index"] in wanted:
            landmarks = np.array(row["landmarks"], np.float32).reshape(68, 2)
            low, high = landmarks.min(0), landmarks.max(0)
            faces = Faces(np.concatenate([low, high])[None], np.ones(1, np.float32), five_of_68(landmarks)[None])
            yield from _rows(row["frame_index"], faces, "truth")


def five_of_68(landmarks: F32) -> F32:
    """iBUG points (68, 2) -> (5, 2): eye centres, nose tip, mouth corners; the image's left first."""
    eyes = [landmarks[36:42].mean(0), landmarks[42:48].mean(0)]
    return np.stack([*eyes, landmarks[30], landmarks[48], landmarks[54]])
