"""steadied patches -> images of each chunk -> a folder for a compositor -> its check, as tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from faceswap_core import layout
from faceswap_core.config import BlendSettings, ProvenanceSettings
from faceswap_core.stages import deliver as delivering
from faceswap_core.stages import export_images as images
from faceswap_core.stages import export_patches as patches
from faceswap_core.stages import sign
from faceswap_core.stages import verify_folder as verifying
from faceswap_core.stages.deliver import Delivered
from faceswap_core.stages.delivery import Kind
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from tasks import progress
from tasks.options import encoder_digests, stage_task


@stage_task(layout.PATCHES, 4, run_name="export-patches-{chunk_index:04d}")
def export_patches(
    workspace: str, chunk_index: int, frames: ManifestRef, smoothed: ManifestRef, blend: BlendSettings
) -> ManifestRef:
    """Publish the patches of one chunk as they are pasted."""
    tell = progress.of(layout.PATCHES, str(chunk_index))
    return patches.export_patches(Workspace(workspace), frames, smoothed, blend, tell)


@stage_task(layout.IMAGES, 6, run_name="export-images-{chunk_index:04d}", digests=encoder_digests)
def export_images(
    workspace: str,
    plate: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    smoothed: ManifestRef,
    blend: BlendSettings,
    image_format: Literal["png", "exr"],
) -> ManifestRef:
    """Paste the patches of one chunk and publish its frames as images."""
    tell = progress.of(layout.IMAGES, str(chunk_index))
    return images.export_images(Workspace(workspace), plate, frames, smoothed, blend, image_format, tell)


@stage_task(layout.DELIVERED)
def deliver_folder(
    workspace: str,
    plate: FileRef,
    frames: list[ManifestRef],
    exported: list[ManifestRef],
    kind: Kind,
    folder: str,
    start_number: int | None,
) -> Delivered:
    """Put the images of all chunks into one folder, with its table."""
    return delivering.deliver_folder(Workspace(workspace), plate, frames, exported, kind, Path(folder), start_number)


@stage_task("sign-folder")
def sign_folder(workspace: str, delivered: Delivered, statement: Json, signer: ProvenanceSettings) -> FileRef:
    """Write the folder's provenance beside its table."""
    return sign.sign_folder(delivered, statement, signer)


@stage_task(layout.FOLDER_REPORTS, 2)
def verify_folder(workspace: str, plate: FileRef, frames: list[ManifestRef], delivered: Delivered) -> ManifestRef:
    """Check the folder by its own table."""
    return verifying.verify_folder(Workspace(workspace), plate, frames, delivered)
