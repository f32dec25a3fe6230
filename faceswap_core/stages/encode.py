"""frames + smoothed patches + plate -> one encoded chunk: only the face's rectangle is edited."""

from __future__ import annotations

from collections.abc import Iterator

from av.video.frame import VideoFrame

from faceswap_core import layout, manifest
from faceswap_core.config import BlendSettings, EncodeSettings
from faceswap_core.manifest import Row
from faceswap_core.schemas import CHUNKS
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.paste import Ending, paste_all, patches_by_frame
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.encoder import EncodeSpec, encode_chunk


def reencode_chunk(
    workspace: Workspace,
    plate: FileRef,
    frames: ManifestRef,
    smoothed: ManifestRef | None,
    blend: BlendSettings,
    encode: EncodeSettings,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Paste the patches of one chunk into the plate's frames and encode them.

    Frames without a patch go to the encoder as they were decoded; without ``smoothed`` that is all of them. A chunk
    of which no frame was decoded has no row.
    """
    cap_threads(1)
    chunk, facts = published_chunk(workspace, frames)
    name = layout.chunk_name("chunk", chunk.chunk_index)
    if not frames["rows"]:
        return manifest.publish(workspace, layout.CHUNKS, name, CHUNKS, [])
    patches = patches_by_frame(workspace, smoothed)
    states: list[Row] = []
    bare: Ending = ("no_face", "no face of the subject") if smoothed else ("passed_through", "nothing to swap")

    def edited() -> Iterator[VideoFrame]:
        for done, frame in enumerate(read_frames(workspace, plate, frames), start=1):
            state, reason = paste_all(frame.frame, patches.pop(frame.frame_index, []), frame.corrupt, blend, bare)
            states.append({"frame_index": frame.frame_index, "state": state, "reason": reason})
            progress(done, frames["rows"], "frames")
            yield frame.frame

    with workspace.scratch(".mp4") as temporary:
        encoded = encode_chunk(edited(), _spec(encode), facts, temporary)
        video = workspace.publish_file(layout.CHUNKS, name, temporary)
    row = {
        "chunk_index": chunk.chunk_index,
        "path": video["path"],
        "sha256": video["sha256"],
        "frames": encoded.frames,
        "first_pts": encoded.first_pts,
        "last_pts": encoded.last_pts,
        "states": states,
    }
    return manifest.publish(workspace, layout.CHUNKS, name, CHUNKS, [row])


def _spec(settings: EncodeSettings) -> EncodeSpec:
    return EncodeSpec(
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.preset,
        lossless=settings.codec == "ffv1" or settings.crf == 0,
        threads=settings.threads,
        options=settings.options,
    )
