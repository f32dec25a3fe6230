"""clip + settings -> clip: the video stages without a workspace."""

from __future__ import annotations

from pathlib import Path

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.video.assemble import assemble
from faceswap_core.video.encoder import encode_chunk
from faceswap_core.video.index import build_index, plan_chunks
from faceswap_core.video.patch import edit_rect
from faceswap_core.video.presets import encode_spec
from faceswap_core.video.reader import read_chunk

RECT = (20, 16, 40, 30)
"""The rectangle that is edited: left, top, width, height."""


def recode(source: Path, out: Path, settings: EncodeSettings, *, chunk_frames: int = 12, edit=None):
    """Index, read, edit, encode and assemble a clip."""
    index = build_index(source)
    parts = []
    for chunk in plan_chunks(index, chunk_frames):
        frames = (f.frame for f in read_chunk(source, chunk))
        if edit is not None:
            frames = (edit_rect(frame, RECT, edit) for frame in frames)
        part = out.with_name(f"{out.stem}-part{chunk.chunk_index}.mp4")
        parts.append(encode_chunk(frames, encode_spec(settings, index.facts), index.facts, part))
        assert parts[-1].pts == chunk.pts
    report = assemble(source, [part.path for part in parts], out, index)
    return index, parts, report
