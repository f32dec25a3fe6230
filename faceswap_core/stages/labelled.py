"""frames of a finished video -> the same frames with the visible label, for as long as the settings say, and marked."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.config import LabelSettings
from faceswap_core.stages.decode import published_chunk
from faceswap_core.storage import Workspace
from faceswap_core.trust.label import Label
from faceswap_core.trust.watermark import payload_of, watermarker
from faceswap_core.types import F32, FileRef, ManifestRef
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.index import Chunk
from faceswap_core.video.patch import edit_rect

UNLABELLED = LabelSettings(mode="off", reason="no face was changed", approved_by="nobody")
"""For videos that are encoded anew and otherwise left as they are."""


class LabelPainter:
    """Draws the label into frames, and an invisible mark where one is named; every other sample stays as it is."""

    def __init__(self, workspace: Workspace, settings: LabelSettings, opening: ManifestRef, plate: FileRef) -> None:
        """Take the settings and FRAMES of the video's first chunk, from whose first frame the seconds count.

        An invisible mark names the ``plate``.
        """
        self._settings = settings
        self._workspace, self._opening = workspace, opening
        self._plate = plate

    def draw(self, frame: VideoFrame) -> None:
        """Label a frame in place where its time asks for it, and mark it.

        Raises:
            MediaError: its pixel format cannot be edited.
        """
        if self._settings.mode != "off" and self._is_due(frame):
            edit_rect(frame, self._label.rect, self._paint, as_float=True)
        if self._settings.watermark:
            mark, payload = watermarker(self._settings.watermark), payload_of(self._plate["sha256"])
            edit_rect(frame, (0, 0, frame.width, frame.height), lambda pixels: mark.embed(pixels, payload))

    def _is_due(self, frame: VideoFrame) -> bool:
        if self._settings.mode == "whole" or frame.pts is None:
            return True
        chunk, facts = self._first
        return (frame.pts - chunk.pts[0]) * facts.time_base < self._settings.seconds

    @cached_property
    def _first(self) -> tuple[Chunk, StreamFacts]:
        return published_chunk(self._workspace, self._opening)

    @cached_property
    def _label(self) -> Label:
        facts = self._first[1]
        return Label(self._settings.text, self._settings.height, (facts.width, facts.height), facts.rotation)

    def _paint(self, pixels: F32) -> F32:
        return np.clip(self._label.draw(pixels), 0, 1)
