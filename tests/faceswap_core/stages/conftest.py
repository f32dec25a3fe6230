"""Three short rendered clips and the whole chain over them, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import signed_films

from faceswap_core.config import (
    AlignSettings,
    BlendSettings,
    DecodeSettings,
    DetectSettings,
    EncodeSettings,
    MaskSettings,
    NormalizeSettings,
    RuntimeSettings,
    SmoothSettings,
    SwapTarget,
    TrackSettings,
    TrainSettings,
)
from faceswap_core.stages.actor import ActorClip, ActorSettings, render_actor
from faceswap_core.stages.align import AlignedChunk, align_landmarks
from faceswap_core.stages.decode import VideoPlan, decode_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces
from faceswap_core.stages.encode import reencode_chunk
from faceswap_core.stages.masks import make_masks
from faceswap_core.stages.normalize import normalize_color
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.stages.swap import swap_frames
from faceswap_core.stages.track import track_faces
from faceswap_core.stages.train import Trained, train_model
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, ManifestRef
from faceswap_core.video.render import write_video

ALIGN = AlignSettings(size=64)
TRAIN = TrainSettings(width=4, latent=8, batch=4, iterations=8, checkpoint_every=100, precision="fp32")
RUNTIME = RuntimeSettings(device="cpu", threads=1)
LOSSLESS = EncodeSettings(crf=0, preset="draft", options={"preset": "ultrafast"})
SMOOTH = SmoothSettings(strength=0.8, radius=2)


@dataclass
class Faceset:
    """What is known of one video."""

    video: FileRef
    plan: VideoPlan
    frames: list[ManifestRef]
    detections: list[ManifestRef]
    tracks: list[ManifestRef]
    aligned: list[AlignedChunk]


BY_FRAME = DetectSettings(backend="mtcnn")
"""Searches each frame alone, so that nothing shows where chunks end."""


@dataclass
class Chain:
    """Runs the stages in one workspace with the settings of this file."""

    workspace: Workspace
    names: tuple[str, str] = ("a", "b")
    align: AlignSettings = ALIGN
    detect: DetectSettings = BY_FRAME

    def faceset(self, path: Path, subject: str, chunk_frames: int = 8, truth: ManifestRef | None = None) -> Faceset:
        w = self.workspace
        video = video_ref(path)
        plan = plan_video(w, video, DecodeSettings(chunk_frames=chunk_frames))
        frames = [decode_frames(w, video, plan, i) for i in range(plan["chunks"])]
        detections = [detect_faces(w, video, f, self.detect, truth) for f in frames]
        tracks = track_faces(w, frames, detections, subject, TrackSettings())
        cut = [align_landmarks(w, video, f, t, self.align) for f, t in zip(frames, tracks, strict=True)]
        return Faceset(video, plan, frames, detections, tracks, self.masked(cut))

    def masked(self, aligned: list[ManifestRef], settings: MaskSettings | None = None) -> list[AlignedChunk]:
        masks = [
            make_masks(self.workspace, i, ref, self.align, settings or MaskSettings()) for i, ref in enumerate(aligned)
        ]
        return [AlignedChunk(aligned=a, masks=m) for a, m in zip(aligned, masks, strict=True)]

    def stats(self, a: Faceset, b: Faceset) -> ManifestRef:
        return normalize_color(self.workspace, a.aligned, b.aligned, self.names, NormalizeSettings())

    def train(self, a: Faceset, b: Faceset, settings: TrainSettings = TRAIN) -> Trained:
        stats = self.stats(a, b)
        return train_model(self.workspace, a.aligned, b.aligned, stats, self.names, settings, self.align, 0, RUNTIME)

    def swap(self, plate: Faceset, weights: FileRef, batch: int = 16, occlusion: float = 0.0) -> list[ManifestRef]:
        settings = SwapTarget(to=self.names[1], batch=batch, occlusion=occlusion)
        return [
            swap_frames(self.workspace, i, c["aligned"], weights, self.names, self.align, settings, RUNTIME)
            for i, c in enumerate(plate.aligned)
        ]

    def smooth(
        self, plate: Faceset, swapped: list[ManifestRef], settings: SmoothSettings = SMOOTH
    ) -> list[ManifestRef]:
        return [
            smooth_frames(
                *(
                    self.workspace,
                    i,
                    ref,
                    plate.aligned[i]["masks"],
                    swapped[max(i - 1, 0) : i],
                    swapped[i + 1 : i + 2],
                ),
                *(self.align, settings),
            )
            for i, ref in enumerate(swapped)
        ]

    def encode(self, plate: Faceset, smoothed: list[ManifestRef]) -> list[ManifestRef]:
        return [
            reencode_chunk(self.workspace, plate.video, f, s, BlendSettings(), LOSSLESS)
            for f, s in zip(plate.frames, smoothed, strict=True)
        ]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The stages over one workspace."""
    return Chain(Workspace(tmp_path_factory.mktemp("stages")))


def _actor(chain: Chain, identity: int, performance: int, frames: int) -> ActorClip:
    settings = ActorSettings(
        identity=identity, performance=performance, frames=frames, width=256, height=144, face=100, keyint=8
    )
    return render_actor(chain.workspace, settings)


@pytest.fixture(scope="session")
def clip_a(chain: Chain) -> ActorClip:
    """The plate: 40 frames of person 3."""
    return _actor(chain, 3, 1, 40)


@pytest.fixture(scope="session")
def clip_b(chain: Chain) -> ActorClip:
    """The other person: 24 frames of person 8."""
    return _actor(chain, 8, 2, 24)


@pytest.fixture(scope="session")
def clip_truth(chain: Chain) -> ActorClip:
    """What the swap should look like: person 8 acts the plate."""
    return _actor(chain, 8, 1, 40)


@pytest.fixture(scope="session")
def plate(chain: Chain, clip_a: ActorClip) -> Faceset:
    """The plate in chunks of 8 frames, analysed."""
    return chain.faceset(Path(clip_a["video"]["path"]), "a")


@pytest.fixture(scope="session")
def other(chain: Chain, clip_b: ActorClip) -> Faceset:
    """The footage of the other person, analysed."""
    return chain.faceset(Path(clip_b["video"]["path"]), "b")


@pytest.fixture(scope="session")
def stats(chain: Chain, plate: Faceset, other: Faceset) -> ManifestRef:
    """Colours of both sides."""
    return chain.stats(plate, other)


@pytest.fixture(scope="session")
def trained(chain: Chain, plate: Faceset, other: Faceset) -> Trained:
    """A network after eight steps."""
    return chain.train(plate, other)


@pytest.fixture(scope="session")
def swapped(chain: Chain, plate: Faceset, trained: Trained) -> list[ManifestRef]:
    """SWAPPED of every chunk of the plate."""
    return chain.swap(plate, trained["weights"], batch=1)


@pytest.fixture(scope="session")
def smoothed(chain: Chain, plate: Faceset, swapped: list[ManifestRef]) -> list[ManifestRef]:
    """SMOOTHED of every chunk of the plate."""
    return chain.smooth(plate, swapped)


@pytest.fixture(scope="session")
def encoded(chain: Chain, plate: Faceset, smoothed: list[ManifestRef]) -> list[ManifestRef]:
    """CHUNKS of the plate, lossless."""
    return chain.encode(plate, smoothed)


@pytest.fixture(scope="session")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that shows no face: a moving gradient."""
    path = tmp_path_factory.mktemp("faceless") / "clip.mp4"
    y, x = np.mgrid[:96, :128]

    def images() -> Iterator[np.ndarray]:
        for n in range(20):
            yield np.stack([x + n, y + 2 * n, (x + y) // 2], -1).astype(np.uint8)

    write_video(path, images(), fps=Fraction(25), audio=None, crf=14, keyint=8)
    return path


def read_planes(path: str | Path) -> list[tuple[int, list[np.ndarray]]]:
    """pts and copies of the three planes of every frame."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            planes = []
            for plane in frame.planes:
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                planes.append(rows[:, : plane.width].copy())
            found.append((frame.pts, planes))
    return found


@pytest.fixture(scope="session")
def planes():
    """A function from a video to pts and planes of its frames."""
    return read_planes


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A labelled, signed video that every check passes."""
    return signed_films.make(tmp_path_factory.mktemp("signed"))
