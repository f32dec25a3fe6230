"""Clips and planes for the tests of video files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import clips
import numpy as np
import pytest
from av.video.frame import VideoFrame


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a recipe's name to the clip."""
    return partial(clips.make, tmp_path_factory.mktemp("clips"))


def planes_of(frame: VideoFrame) -> list[np.ndarray]:
    """Copies of a frame's planes as bytes, without padding."""
    out = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
        samples = np.dtype(np.uint16 if "10" in frame.format.name else np.uint8).itemsize
        step = 2 if frame.format.name == "nv12" and plane.index == 1 else 1
        out.append(rows[:, : plane.width * samples * step].copy())
    return out


@pytest.fixture(scope="session")
def planes() -> Callable[[VideoFrame], list[np.ndarray]]:
    """A function from a frame to copies of its planes."""
    return planes_of
