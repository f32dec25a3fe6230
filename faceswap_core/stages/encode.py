"""frames + smoothed patches + plate -> encoded chunks: only the face's rectangle is edited."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from av.video.frame import VideoFrame

from faceswap_core import layout, manifest
from faceswap_core.config import BlendSettings, EncodeSettings, LabelSettings
from faceswap_core.manifest import Row
from faceswap_core.schemas import CHUNKS
from faceswap_core.stages.decode import published_chunk, read_frames
from faceswap_core.stages.labelled import UNLABELLED, LabelPainter
from faceswap_core.stages.paste import Ending, paste_all, patches_by_frame
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import FileRef, ManifestRef, Progress, no_progress
from faceswap_core.video.encoder import encode_chunk
from faceswap_core.video.presets import encode_spec


def reencode_chunk(
    workspace: Workspace,
    plate: FileRef,
    frames: ManifestRef,
    smoothed: ManifestRef | None,
    blend: BlendSettings,
    encode: EncodeSettings,
    progress: Progress = no_progress,
    label: LabelSettings = UNLABELLED,
    opening: ManifestRef | None = None,
) -> ManifestRef:
    """Paste the patches of one chunk into the plate's frames and encode them.

    Frames without a patch go to the encoder as they were decoded; without ``smoothed`` that is all of them. A chunk
    of which no frame was decoded has no row. The ``label`` counts its seconds from the first frame of ``opening``,
    FRAMES of the video's first chunk; by default of this one.
    """
    chunk, _ = published_chunk(workspace, frames)
    painter = LabelPainter(workspace, label, opening or frames, plate)
    edit = _Edit(workspace, plate, [frames], [smoothed], blend, painter, progress)
    return _publish(edit, encode, chunk.chunk_index)


def encode_stream(
    workspace: Workspace,
    plate: FileRef,
    frames: Sequence[ManifestRef],
    smoothed: Sequence[ManifestRef] | None,
    blend: BlendSettings,
    encode: EncodeSettings,
    progress: Progress = no_progress,
    label: LabelSettings = UNLABELLED,
) -> ManifestRef:
    """Do the same for all chunks of a plate with one encoder, as an average rate needs; gives one row of CHUNKS.

    Args:
        workspace: where manifests are.
        plate: the source.
        frames: FRAMES of every chunk of the plate, in order.
        smoothed: SMOOTHED of the same chunks, or None: nothing is pasted.
        blend: how patches are laid over frames.
        encode: how the output is encoded.
        progress: told after every frame.
        label: the mark that viewers see.
    """
    patches: Sequence[ManifestRef | None] = smoothed or [None for _ in frames]
    painter = LabelPainter(workspace, label, frames[0], plate)
    return _publish(_Edit(workspace, plate, frames, patches, blend, painter, progress), encode, 0)


@dataclass
class _Edit:
    """The frames of some chunks with their patches pasted, one after the other."""

    workspace: Workspace
    plate: FileRef
    frames: Sequence[ManifestRef]
    smoothed: Sequence[ManifestRef | None]
    blend: BlendSettings
    painter: LabelPainter
    progress: Progress
    states: list[Row] = field(default_factory=list)
    """How each frame ended that was given out so far."""

    def __iter__(self) -> Iterator[VideoFrame]:
        for frames, smoothed in zip(self.frames, self.smoothed, strict=True):
            if frames["rows"]:
                yield from self._chunk(frames, smoothed)

    def _chunk(self, frames: ManifestRef, smoothed: ManifestRef | None) -> Iterator[VideoFrame]:
        patches = patches_by_frame(self.workspace, smoothed)
        bare: Ending = ("no_face", "no face of the subject") if smoothed else ("passed_through", "nothing to swap")
        for frame in read_frames(self.workspace, self.plate, frames):
            own = patches.pop(frame.frame_index, [])
            state, reason = paste_all(frame.frame, own, frame.corrupt, self.blend, bare)
            self.painter.draw(frame.frame)
            self.states.append({"frame_index": frame.frame_index, "state": state, "reason": reason})
            self.progress(len(self.states), self.rows, "frames")
            yield frame.frame

    @property
    def rows(self) -> int:
        """Number of frames in all."""
        return sum(frames["rows"] for frames in self.frames)


def _publish(edit: _Edit, settings: EncodeSettings, chunk_index: int) -> ManifestRef:
    """Encode edited frames and publish the file with how each frame ended."""
    cap_threads(1)
    workspace, name = edit.workspace, layout.chunk_name("chunk", chunk_index)
    _, facts = published_chunk(workspace, edit.frames[0])
    spec = encode_spec(settings, facts)
    metadata = {"encoding": json.dumps(asdict(spec), sort_keys=True)}
    if not edit.rows:
        return manifest.publish(workspace, layout.CHUNKS, name, CHUNKS, [], metadata)
    with workspace.scratch(".mp4") as temporary:
        encoded = encode_chunk(iter(edit), spec, facts, temporary)
        video = workspace.publish_file(layout.CHUNKS, name, temporary)
    row = {
        "chunk_index": chunk_index,
        "path": video["path"],
        "sha256": video["sha256"],
        "frames": encoded.frames,
        "first_pts": encoded.first_pts,
        "last_pts": encoded.last_pts,
        "states": edit.states,
    }
    return manifest.publish(workspace, layout.CHUNKS, name, CHUNKS, [row], metadata)
