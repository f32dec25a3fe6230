"""video -> plan -> frames -> detections -> tracks -> aligned faces, as tasks."""

from __future__ import annotations

from collections.abc import Sequence

from faceswap_core import layout
from faceswap_core.config import (
    AlignSettings,
    DecodeSettings,
    DetectSettings,
    MaskSettings,
    RuntimeSettings,
    TrackSettings,
)
from faceswap_core.config_track import Choice
from faceswap_core.stages import align, contact_sheet, decode, detect, import_images, masks, reference, track
from faceswap_core.stages.decode import VideoPlan
from faceswap_core.stages.detect import Detected
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import Grant
from faceswap_core.types import FileRef, ManifestRef
from tasks import progress
from tasks.options import detector_digests, stage_task


@stage_task("plan-video", version=3)
def plan_video(workspace: str, video: FileRef, settings: DecodeSettings) -> VideoPlan:
    """Index a video and cut it into chunks."""
    return decode.plan_video(Workspace(workspace), video, settings)


@stage_task(layout.FRAMES, 2, run_name="decode-frames-{chunk_index:04d}")
def decode_frames(
    workspace: str, video: FileRef, plan: VideoPlan, chunk_index: int, limits: DecodeSettings
) -> ManifestRef:
    """Decode one chunk once and check it."""
    tell = progress.of(layout.FRAMES, part_name(video, chunk_index))
    return decode.decode_frames(Workspace(workspace), video, plan, chunk_index, limits, tell)


@stage_task(layout.DETECTIONS, 4, run_name="detect-faces-{chunk_index:04d}", digests=detector_digests)
def detect_faces(
    workspace: str,
    video: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    settings: DetectSettings,
    truth: ManifestRef | None,
    runtime: RuntimeSettings,
) -> Detected:
    """Find the faces of one chunk."""
    tell = progress.of(layout.DETECTIONS, part_name(video, chunk_index))
    return detect.detect_faces(Workspace(workspace), video, frames, settings, truth, tell, runtime.device)


@stage_task("embed-reference", run_name="embed-reference-{subject}", digests=detector_digests)
def embed_reference(
    workspace: str, subject: str, picture: FileRef, settings: DetectSettings, runtime: RuntimeSettings
) -> list[float]:
    """Know a person by a picture."""
    return reference.embed_reference(picture, settings, runtime.device)


@stage_task(layout.TRACKS, 7, run_name="track-faces-{subject}")
def track_faces(
    workspace: str,
    frames: list[ManifestRef],
    detections: Sequence[ManifestRef],
    subject: str,
    settings: TrackSettings,
    choice: Choice,
) -> list[ManifestRef]:
    """Follow the faces of a whole video, and name the subject's."""
    return track.track_faces(Workspace(workspace), frames, detections, subject, settings, choice)


@stage_task(layout.SHEETS, run_name="contact-sheet-{name}")
def draw_contact_sheet(
    workspace: str, name: str, video: FileRef, frames: list[ManifestRef], tracks: list[ManifestRef]
) -> FileRef:
    """Draw the tracks of a video, for telling who is who."""
    return contact_sheet.contact_sheet(Workspace(workspace), name, video, frames, tracks)


@stage_task(layout.ALIGNED, 5, run_name="align-landmarks-{chunk_index:04d}")
def align_landmarks(
    workspace: str,
    video: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    tracks: ManifestRef,
    settings: AlignSettings,
    consents: dict[str, Grant],
) -> ManifestRef:
    """Cut the subject's face out of every frame of one chunk."""
    tell = progress.of(layout.ALIGNED, part_name(video, chunk_index))
    return align.align_landmarks(Workspace(workspace), video, frames, tracks, settings, tell, consents)


@stage_task(layout.IMPORTED, run_name="import-images-{subject}")
def import_aligned(workspace: str, images: list[FileRef], subject: str, settings: AlignSettings) -> ManifestRef:
    """Bring a folder of aligned pictures to the size of chips."""
    tell = progress.of(layout.IMPORTED, subject)
    return import_images.import_images(Workspace(workspace), images, subject, settings, tell)


@stage_task(layout.MASKS, run_name="make-masks-{chunk_index:04d}")
def make_masks(
    workspace: str, chunk_index: int, aligned: ManifestRef, align_settings: AlignSettings, settings: MaskSettings
) -> ManifestRef:
    """Draw the masks of one chunk."""
    tell = progress.of(layout.MASKS, aligned["sha256"][:12])
    return masks.make_masks(Workspace(workspace), chunk_index, aligned, align_settings, settings, tell)


def part_name(video: FileRef, chunk_index: int) -> str:
    """Name of one chunk of one video, for counting progress."""
    return f"{video['sha256'][:12]}-{chunk_index}"
