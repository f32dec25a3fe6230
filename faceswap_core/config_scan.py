"""The settings of `faceswap faces scan`: the branches of a job that find and follow faces."""

from __future__ import annotations

from pathlib import Path

from faceswap_core.config import DecodeSettings, DetectSettings, RuntimeSettings, TrackSettings
from faceswap_core.config_branch import Branch, Place


class ScanSettings(Branch):
    """A video whose faces are counted; all paths are absolute."""

    video: Path
    """The video."""
    workspace: Place
    """Folder or prefix of a bucket for everything that is made on the way."""
    decode: DecodeSettings = DecodeSettings()
    """How the video is cut into chunks."""
    detect: DetectSettings = DetectSettings()
    """How faces are found."""
    track: TrackSettings = TrackSettings()
    """How detections become tracks."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Speed only."""

    @property
    def name(self) -> str:
        """Shown in the flow UI."""
        return f"scan {self.video.name}"
