"""The one record that every detector returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from faceswap_core.types import F32, U8


@dataclass(frozen=True)
class Faces:
    """The faces of one frame, as a struct of arrays; empty arrays where there is none."""

    boxes_xyxy: F32
    """(N, 4) px; may reach beyond the frame."""
    scores: F32
    """(N,) 0..1."""
    points5: F32
    """(N, 5, 2) px: eye, eye, nose, mouth corner, mouth corner; the image's left first."""
    points_dense: F32 | None = None
    """(N, K, 2) px, K as the backend has it; None where it has none."""
    embeddings: F32 | None = None
    """(N, E) of length 1, for telling people apart; None where the backend has none."""

    def __len__(self) -> int:
        """Count the faces."""
        return len(self.scores)


def no_faces() -> Faces:
    """A frame without a face."""
    return Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


class Detector(Protocol):
    """What finds faces; one is made for every chunk, so that no result depends on what was searched before."""

    name: str
    """Written into every detection."""

    def detect(self, image: U8, *, follows: bool = False) -> Faces:
        """Find the faces of one frame (H, W, 3) RGB.

        Args:
            image: the frame.
            follows: whether it is the next frame of the same shot as the one given before. A detector may then go on
                from where it found the faces there; with False it must find them from this frame alone.
        """
        ...
