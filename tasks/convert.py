"""aligned faces + weights -> patches -> steadied patches -> encoded chunks -> video -> its check, as tasks."""

from __future__ import annotations

from pathlib import Path

from faceswap_core import layout
from faceswap_core.config import (
    AlignSettings,
    BlendSettings,
    EncodeSettings,
    LabelSettings,
    ProvenanceSettings,
    RuntimeSettings,
    SmoothSettings,
    SwapTarget,
)
from faceswap_core.stages import assemble, encode, sign, smooth, swap, verify
from faceswap_core.stages.assemble import Assembled
from faceswap_core.stages.labelled import UNLABELLED
from faceswap_core.stages.sign import SignedVideo
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from tasks import progress
from tasks.options import device_digests, encoder_digests, gpu_slot, stage_task


@stage_task(layout.SWAPPED, 7, run_name="swap-frames-{chunk_index:04d}", digests=device_digests, pooled=False)
def swap_frames(
    workspace: str,
    chunk_index: int,
    aligned: ManifestRef,
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    settings: SwapTarget,
    runtime: RuntimeSettings,
) -> ManifestRef:
    """Draw the other person's face for every chip of one chunk."""
    tell = progress.of(layout.SWAPPED, str(chunk_index))
    with gpu_slot(pick_device(runtime).type):
        return swap.swap_frames(
            Workspace(workspace), chunk_index, aligned, weights, direction, align, settings, runtime, tell
        )


@stage_task(layout.SMOOTHED, 5, run_name="smooth-frames-{chunk_index:04d}")
def smooth_frames(
    workspace: str,
    chunk_index: int,
    swapped: ManifestRef,
    masks: ManifestRef,
    before: list[ManifestRef],
    after: list[ManifestRef],
    align: AlignSettings,
    settings: SmoothSettings,
) -> ManifestRef:
    """Steady the patches of one chunk in time."""
    return smooth.smooth_frames(Workspace(workspace), chunk_index, swapped, masks, before, after, align, settings)


@stage_task("reencode-chunk", 8, run_name="reencode-chunk-{chunk_index:04d}", digests=encoder_digests)
def reencode_chunk(
    workspace: str,
    plate: FileRef,
    chunk_index: int,
    frames: ManifestRef,
    smoothed: ManifestRef | None,
    blend: BlendSettings,
    encode_settings: EncodeSettings,
    label: LabelSettings = UNLABELLED,
    opening: ManifestRef | None = None,
) -> ManifestRef:
    """Paste the patches of one chunk, if there are any, label it and encode it."""
    tell = progress.of("reencode-chunk", str(chunk_index))
    return encode.reencode_chunk(
        Workspace(workspace), plate, frames, smoothed, blend, encode_settings, tell, label, opening
    )


@stage_task("encode-stream", 7, digests=encoder_digests)
def encode_stream(
    workspace: str,
    plate: FileRef,
    frames: list[ManifestRef],
    smoothed: list[ManifestRef] | None,
    blend: BlendSettings,
    encode_settings: EncodeSettings,
    label: LabelSettings = UNLABELLED,
) -> ManifestRef:
    """Paste the patches of all chunks, if there are any, label and encode them in one go at an average rate."""
    tell = progress.of_whole("encode-stream")
    return encode.encode_stream(Workspace(workspace), plate, frames, smoothed, blend, encode_settings, tell, label)


@stage_task("assemble-video", 4, digests=encoder_digests)
def assemble_video(
    workspace: str,
    plate: FileRef,
    frames: list[ManifestRef],
    chunks: list[ManifestRef],
    output: str,
    produce_id: str = "",
) -> Assembled:
    """Join the chunks and copy what else the plate holds; with a ``produce_id`` the file is marked as made by AI."""
    return assemble.assemble_video(Workspace(workspace), plate, frames, chunks, Path(output), produce_id)


@stage_task("sign-video")
def sign_video(
    assembled: FileRef, plate: FileRef, statement: Json, signer: ProvenanceSettings, output: str, workspace: str
) -> SignedVideo:
    """Write the output with its provenance, and its sidecar."""
    store = Workspace(workspace)
    source: FileRef = {**assembled, "path": str(store.localize(assembled["path"], assembled["sha256"]))}
    signed = sign.sign_video(source, plate, statement, signer, Path(output))
    for ref in (signed["video"], signed["sidecar"]):
        store.adopt(Path(ref["path"]))
    return signed


@stage_task(layout.REPORTS, 2)
def verify_video(
    workspace: str, plate: FileRef, frames: list[ManifestRef], video: FileRef, not_carried: list[str]
) -> ManifestRef:
    """Compare the finished video with its plate."""
    return verify.verify_video(Workspace(workspace), plate, frames, video, not_carried)
