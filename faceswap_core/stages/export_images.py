"""frames + smoothed patches + plate -> the finished frames of one chunk as deep images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from av.video.frame import VideoFrame

from faceswap_core import layout, manifest
from faceswap_core.config import BlendSettings
from faceswap_core.manifest import Row
from faceswap_core.schemas import EXPORTED
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.images import png
from faceswap_core.stages.paste import Ending, paste_all, patches_by_frame
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.deep import to_rgb16, to_rgb_float
from faceswap_core.video.exr import write_exr

IMAGE_FORMATS: dict[str, Callable[[VideoFrame], bytes]] = {
    "png": lambda frame: png(to_rgb16(frame)),
    "exr": lambda frame: write_exr(to_rgb_float(frame)),
}
"""Writers of a frame by the name in ``output.format``."""


def export_images(
    workspace: Workspace,
    plate: FileRef,
    frames: ManifestRef,
    smoothed: ManifestRef | None,
    blend: BlendSettings,
    image_format: Literal["png", "exr"],
    progress: Progress = no_progress,
) -> ManifestRef:
    """Paste the patches of one chunk into the plate's frames and publish each frame as an image.

    The frames are those that the encoder would get, converted to RGB with the stream's own matrix and range; their
    transfer stays, in stored orientation. Frames without a patch are published too.

    Returns:
        EXPORTED, one row a frame.

    Raises:
        MediaError: the plate changed, or its pixel format or colour matrix is not supported.
        EnvironmentFault: EXR is wanted and cannot be written here.
    """
    cap_threads(1)
    chunk, _ = published_chunk(workspace, frames)
    patches = patches_by_frame(workspace, smoothed)
    bare: Ending = ("no_face", "no face of the subject") if smoothed else ("passed_through", "nothing to swap")

    def rows() -> Iterator[Row]:
        for done, frame in enumerate(read_frames(workspace, plate, frames) if frames["rows"] else (), start=1):
            state, reason = paste_all(frame.frame, patches.pop(frame.frame_index, []), frame.corrupt, blend, bare)
            file = _published(workspace, chunk.chunk_index, frame.frame_index, frame.frame, image_format)
            shown = {"frame_index": frame.frame_index, "pts": frame.pts, "state": state, "reason": reason}
            yield shown | {"files": [file]}
            progress(done, frames["rows"], "frames")

    name = layout.chunk_name("exported", chunk.chunk_index)
    return manifest.publish(workspace, layout.IMAGES, name, EXPORTED, rows())


def _published(workspace: Workspace, chunk_index: int, frame_index: int, frame: VideoFrame, image_format: str) -> Row:
    data = IMAGE_FORMATS[image_format](frame)
    folder = layout.chunk_folder(layout.IMAGES, chunk_index)
    ref = workspace.publish_bytes(folder, f"image-{frame_index:08d}", f".{image_format}", data)
    return {
        "role": "image",
        "file": ref["path"],
        "sha256": ref["sha256"],
        "bytes": ref["size"],
        "width": frame.width,
        "height": frame.height,
    }
