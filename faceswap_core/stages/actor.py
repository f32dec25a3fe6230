"""identity and performance seeds -> a rendered clip with its truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import TypedDict

from faceswap_core import layout, manifest
from faceswap_core.config_branch import Branch
from faceswap_core.manifest import Row
from faceswap_core.schemas import TRUTH
from faceswap_core.storage import Workspace, file_ref
from faceswap_core.synth.actor import frames as render_frames
from faceswap_core.synth.identity import identity, swap_inner_face
from faceswap_core.synth.performance import performance
from faceswap_core.synth.speech import speech_audio
from faceswap_core.threads import cap_threads
from faceswap_core.types import U8, FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.render import write_video

ACTOR_VERSION = 1
"""Raised when the renderer draws other pixels for equal seeds."""


class ActorSettings(Branch):
    """One clip of one synthetic actor."""

    identity: int
    """Seed of the person."""
    inner_identity: int | None = None
    """Seed of the person whose inner face (eyes, brows, nose, mouth) is drawn on the head; none by default."""
    performance: int
    """Seed of the acting, camera, light and background."""
    frames: int
    """Length of the clip."""
    cuts: tuple[int, ...] = ()
    """Frames at which a further shot begins: another camera, light and background."""
    width: int = 640
    """Columns."""
    height: int = 360
    """Rows."""
    face: int = 150
    """Height of the head in pixels."""
    fps: int = 25
    """Frames a second."""
    keyint: int = 30
    """Frames between keyframes."""


class ActorClip(TypedDict):
    """A rendered clip."""

    video: FileRef
    """The video: absolute path in the workspace."""
    truth: ManifestRef
    """TRUTH: what it shows."""


def render_actor(workspace: Workspace, settings: ActorSettings, progress: Progress = no_progress) -> ActorClip:
    """Render a clip with sound, and write down its exact landmarks and parameters."""
    cap_threads(1)
    moments = performance(settings.frames, seed=settings.performance, fps=settings.fps, cuts=settings.cuts)
    person = identity(settings.identity)
    if settings.inner_identity is not None:
        person = swap_inner_face(person, identity(settings.inner_identity))
    rows: list[Row] = []

    def images() -> Iterator[U8]:
        rendered = render_frames(
            person,
            moments,
            width=settings.width,
            height=settings.height,
            face_px=settings.face,
            background_seed=settings.performance,
            noise_seed=settings.performance,
        )
        for index, (frame, moment) in enumerate(zip(rendered, moments, strict=True)):
            parameters = {k: asdict(getattr(moment, k)) for k in ("expression", "pose", "light")}
            rows.append(
                {
                    "frame_index": index,
                    "landmarks": frame.landmarks.ravel().tolist(),
                    "visible": frame.landmark_visible.tolist(),
                    "identity": settings.identity,
                    "performance": settings.performance,
                    "parameters": json.dumps(parameters),
                }
            )
            progress(index + 1, settings.frames, "frames")
            yield frame.rgb

    with workspace.scratch(".mp4") as temporary:
        audio = speech_audio(moments, settings.fps)
        write_video(temporary, images(), fps=Fraction(settings.fps), audio=audio, crf=14, keyint=settings.keyint)
        name = f"actor-{settings.identity}-{settings.performance}"
        video = file_ref(workspace.path(workspace.publish_file(layout.ACTORS, name, temporary)["path"]))
    return ActorClip(video=video, truth=manifest.publish(workspace, layout.ACTORS, f"truth-{name}", TRUTH, rows))
