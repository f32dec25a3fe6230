"""The settings of `faceswap recode`: the video branches of a job, without its faces."""

from __future__ import annotations

from pathlib import Path

from faceswap_core.config import DecodeSettings, EncodeSettings, RuntimeSettings
from faceswap_core.config_branch import Branch, Place


class RecodeSettings(Branch):
    """A video to encode anew; all paths are absolute."""

    video: Path
    """The source."""
    output: Path
    """The video that is written."""
    workspace: Place
    """Folder or prefix of a bucket for everything that is made on the way."""
    decode: DecodeSettings = DecodeSettings()
    """How the video is cut into chunks."""
    encode: EncodeSettings = EncodeSettings()
    """How the output is encoded."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Speed only."""

    @property
    def name(self) -> str:
        """Shown in the flow UI."""
        return f"recode {self.video.name}"
