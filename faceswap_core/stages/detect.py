"""frames -> detections: find every face of one chunk."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import DetectSettings
from faceswap_core.errors import SettingsError
from faceswap_core.faces.detectors import DETECTORS, Faces
from faceswap_core.manifest import Row
from faceswap_core.schemas import DETECTIONS, FRAMES, TRUTH
from faceswap_core.stages.decode import read_frames
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.colour import to_rgb


def detect_faces(
    workspace: Workspace,
    video: FileRef,
    frames: ManifestRef,
    settings: DetectSettings,
    truth: ManifestRef | None = None,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Find the faces of one chunk; frames that the decoder had to patch up are left out.

    Args:
        workspace: where manifests are.
        video: the source.
        frames: FRAMES of the chunk.
        settings: thresholds and backend.
        truth: TRUTH of a rendered actor, read by the backend ``truth`` alone.
        progress: told frame by frame.
    """
    chunk_index = json.loads(manifest.metadata(workspace, frames, FRAMES)["chunk"])["chunk_index"]
    name = layout.chunk_name("detections", chunk_index)
    if settings.backend == "truth":
        rows = _exact(workspace, frames, truth, video)
    else:
        rows = _detected(workspace, video, frames, settings, progress)
    return manifest.publish(workspace, layout.DETECTIONS, name, DETECTIONS, rows)


def _detected(
    workspace: Workspace, video: FileRef, frames: ManifestRef, settings: DetectSettings, progress: Progress
) -> Iterator[Row]:
    cap_threads(1)
    detector = DETECTORS[settings.backend](
        min_score=settings.min_score, min_face=settings.min_face, max_side=settings.max_side
    )
    for done, frame in enumerate(read_frames(workspace, video, frames), start=1):
        if not frame.corrupt:
            faces = detector.detect(to_rgb(frame.frame))
            yield from _rows(frame.frame_index, faces, detector.name)
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
