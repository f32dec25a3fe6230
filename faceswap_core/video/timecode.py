"""video file -> its SMPTE timecode, and the timecode of each of its frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from faceswap_core.video.container import open_input

_TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d\d?)")


@dataclass(frozen=True)
class Timecode:
    """A place on the clock of a production, counted in frames from midnight."""

    frames: int
    """Frames since 00:00:00:00."""
    rate: int
    """Frames that the clock counts in a second (30 for 29.97)."""
    drop: bool = False
    """True where the clock leaves out numbers to keep up with 29.97 or 59.94 frames a second."""

    def __str__(self) -> str:
        """Text as on a slate, ``01:00:00:00``; drop-frame time with a semicolon."""
        number = self._numbered() % (24 * 3600 * self.rate)
        seconds, frame = divmod(number, self.rate)
        mark, digits = (";" if self.drop else ":"), 3 if self.rate > 100 else 2
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{frame:0{digits}d}"

    def _numbered(self) -> int:
        """Number that stands for this frame: drop-frame clocks leave some out."""
        if not self.drop:
            return self.frames
        left_out = self.rate // 15  # at each minute but every tenth: 2 of 30, 4 of 60
        minute, ten = 60 * self.rate - left_out, 600 * self.rate - 9 * left_out
        tens, rest = divmod(self.frames, ten)
        minutes = max(rest - left_out, 0) // minute
        return self.frames + left_out * (9 * tens + minutes)

    def later(self, seconds: Fraction, average_rate: Fraction) -> Timecode:
        """The timecode of the frame shown ``seconds`` after this one in a video of that many frames a second."""
        return Timecode(self.frames + round(seconds * average_rate), self.rate, self.drop)


def parse_timecode(text: str, average_rate: Fraction) -> Timecode | None:
    """A tag of a file as a timecode; None where it is none, or one that does not fit the frame rate.

    Source: SMPTE ST 12-1. Drop-frame counting exists for 30 and 60 frames a second only.
    """
    match = _TIMECODE.fullmatch(text.strip())
    rate = round(average_rate)
    if match is None or rate < 1:
        return None
    hours, minutes, seconds, frame = (int(match[i]) for i in (1, 2, 3, 5))
    drop = match[4] != ":"
    if hours > 23 or frame >= rate or (drop and rate not in (30, 60)):
        return None
    number = ((hours * 60 + minutes) * 60 + seconds) * rate + frame
    if drop:
        number -= rate // 15 * (hours * 60 + minutes - (hours * 60 + minutes) // 10)
    return Timecode(number, rate, drop)


def read_timecode(path: str | Path, stream_index: int, average_rate: Fraction) -> Timecode | None:
    """Timecode of the first frame: the tag of the video stream, of a timecode track, or of the container.

    Args:
        path: a file that was checked before.
        stream_index: index of its video stream.
        average_rate: frames per second.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_input(path) as container:
        video = container.streams[stream_index].metadata
        tracks = [stream.metadata for stream in container.streams if stream.type == "data"]
        for tags in (video, *tracks, container.metadata):
            text = next((value for name, value in tags.items() if name.lower() == "timecode"), "")
            if found := parse_timecode(text, average_rate):
                return found
    return None
