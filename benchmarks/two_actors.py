"""Two rendered actors and a network that learned them in a short time, kept in a folder for further runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from faceswap_core import layout
from faceswap_core.config import (
    AlignSettings,
    DecodeSettings,
    DetectSettings,
    MaskSettings,
    NormalizeSettings,
    RuntimeSettings,
    SwapTarget,
    TrackSettings,
    TrainSettings,
)
from faceswap_core.faces.detectors import installed
from faceswap_core.jobfile import load_job
from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.stages.align import AlignedChunk, align_landmarks
from faceswap_core.stages.checkpoints import newest_weights
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces
from faceswap_core.stages.masks import make_masks
from faceswap_core.stages.normalize import normalize_color
from faceswap_core.stages.swap import swap_frames
from faceswap_core.stages.track import track_faces
from faceswap_core.stages.train import train_model
from faceswap_core.stages.weights import FINISHED
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, ManifestRef
from flows.demo import Demo, clips

ALIGN = AlignSettings()
NAMES = ("a", "b")
_RUNTIME = RuntimeSettings(device="cpu", threads=1)
_LEARNING, _PLATE = 1, 3
"""Seeds of the performances that are learned and swapped."""
_CUT_EVERY = 60


@dataclass(frozen=True)
class Footage:
    """The video in which A's face is replaced, and what is known of it."""

    workspace: Workspace
    """Where manifests are."""
    plate: FileRef
    """A's performance."""
    truth: FileRef
    """The same performance by B."""
    landmarks: ManifestRef
    """TRUTH of that: where B's landmarks are in every frame."""
    frames: list[ManifestRef]
    """FRAMES of the plate."""
    detections: list[ManifestRef]
    """DETECTIONS of the plate."""
    weights: FileRef
    """Of the network that learned both."""
    cuts: list[int]
    """Frames of the plate at which another shot begins."""

    def tracked(self, detections: list[ManifestRef], settings: TrackSettings) -> list[AlignedChunk]:
        """Chips of the plate, placed by these detections."""
        tracks = track_faces(self.workspace, self.frames, detections, NAMES[0], settings)
        return _aligned(self.workspace, self.plate, self.frames, tracks)

    def swapped(self, aligned: list[AlignedChunk]) -> list[ManifestRef]:
        """SWAPPED of every chunk."""
        target = SwapTarget(to=NAMES[1])
        chunks = [chunk["aligned"] for chunk in aligned]
        return [
            swap_frames(self.workspace, i, chunk, self.weights, NAMES, ALIGN, target, _RUNTIME)
            for i, chunk in enumerate(chunks)
        ]


def footage(folder: Path, pair: tuple[int, int], *, frames: int, learned: int, steps: int) -> Footage:
    """Render, learn and search the plate, or read what an earlier run with equal arguments left.

    Args:
        folder: where everything is kept.
        pair: identity seeds of A and B.
        frames: length of the plate.
        learned: frames of each actor that are learned from.
        steps: of the training, at the draft preset.
    """
    home = folder / f"{pair[0]}-{pair[1]}-{frames}-{learned}-{steps}"
    workspace, record = Workspace(home), home / "footage.json"
    if not record.is_file():
        made = _made(workspace, pair, frames, learned, steps)
        record.write_text(json.dumps({k: v for k, v in asdict(made).items() if k != "workspace"}))
    return Footage(workspace=workspace, **json.loads(record.read_text()))


def of_demo(folder: Path, pair: tuple[int, int]) -> Footage:
    """The demonstration's own job of a pair: run, unless a training has ended in its folder."""
    home = folder / f"{pair[0]}-{pair[1]}"
    workspace, cast = Workspace(home), Demo(*pair)
    if not list(home.glob(f"{layout.CHECKPOINTS}/*/{FINISHED}")):
        command = [str(Path(sys.executable).with_name("faceswap")), "demo", "--workspace", str(home), "--json"]
        subprocess.run([*command, "--actor-a", str(pair[0]), "--actor-b", str(pair[1])], stdout=sys.stderr, check=True)
    job = load_job(home / "job.toml")
    assert job.plate.truth is not None
    plate, truth = video_ref(job.plate.video), video_ref(job.plate.truth)
    landmarks: ManifestRef = json.loads(Path(truth["path"] + ".truth.json").read_text())
    cuts = list(clips(cast)["plate"].cuts)
    return Footage(workspace, plate, truth, landmarks, *_found(workspace, plate), newest_weights(workspace), cuts)


def _made(workspace: Workspace, pair: tuple[int, int], frames: int, learned: int, steps: int) -> Footage:
    sides = []
    for name, identity in zip(NAMES, pair, strict=True):
        cuts = tuple(range(_CUT_EVERY, learned, _CUT_EVERY))
        clip, _ = _rendered(
            workspace, ActorSettings(identity=identity, performance=_LEARNING, frames=learned, cuts=cuts)
        )
        found = _found(workspace, clip)
        tracks = track_faces(workspace, *found, name, TrackSettings())
        sides.append(_aligned(workspace, clip, found[0], tracks))
    stats = normalize_color(workspace, sides[0], sides[1], NAMES, NormalizeSettings())
    settings = TrainSettings(iterations=steps, checkpoint_every=steps)
    trained = train_model(workspace, sides[0], sides[1], stats, NAMES, settings, ALIGN, 0, _RUNTIME)
    (plate, _), (truth, landmarks) = (
        _rendered(workspace, ActorSettings(identity=identity, performance=_PLATE, frames=frames, fps=30))
        for identity in pair
    )
    return Footage(workspace, plate, truth, landmarks, *_found(workspace, plate), trained["weights"], [])


def _rendered(workspace: Workspace, settings: ActorSettings) -> tuple[FileRef, ManifestRef]:
    clip = render_actor(workspace, settings)
    return video_ref(Path(clip["video"]["path"])), clip["truth"]


def _found(workspace: Workspace, video: FileRef) -> tuple[list[ManifestRef], list[ManifestRef]]:
    """FRAMES and DETECTIONS of a video."""
    plan = plan_video(workspace, video, DecodeSettings(chunk_frames=60))
    frames = [decode_frames(workspace, video, plan, i) for i in range(plan["chunks"])]
    settings = installed(DetectSettings())
    return frames, [_plain(detect_faces(workspace, video, chunk, settings)) for chunk in frames]


def _plain(ref: ManifestRef) -> ManifestRef:
    """A reference without what a stage says besides."""
    return ManifestRef(path=ref["path"], sha256=ref["sha256"], rows=ref["rows"], schema=ref["schema"])


def _aligned(
    workspace: Workspace, video: FileRef, frames: list[ManifestRef], tracks: list[ManifestRef]
) -> list[AlignedChunk]:
    chunks = [align_landmarks(workspace, video, f, t, ALIGN) for f, t in zip(frames, tracks, strict=True)]
    masks = [make_masks(workspace, i, chunk, ALIGN, MaskSettings()) for i, chunk in enumerate(chunks)]
    return [AlignedChunk(aligned=a, masks=m) for a, m in zip(chunks, masks, strict=True)]
