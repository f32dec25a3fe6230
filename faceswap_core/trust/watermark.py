"""name -> an invisible mark that somebody installed; none is built in, as none that was tried survives delivery."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Protocol, runtime_checkable

from faceswap_core.errors import SettingsError
from faceswap_core.types import U8

GROUP = "faceswap.watermarks"
"""Entry point group: functions without arguments that give a `Watermarker`."""
PAYLOAD_BYTES = 8
"""Length of what a mark carries."""


@runtime_checkable
class Watermarker(Protocol):
    """An invisible mark. What it withstands is its maker's claim; this program makes none."""

    def embed(self, frame_rgb: U8, payload: bytes) -> U8:
        """The frame, (H, W, 3), with the payload; the argument is left as it is."""

    def detect(self, frames_rgb: list[U8]) -> tuple[bytes, float]:
        """Payload found in frames of one video, and how sure that is, 0..1."""


WATERMARKS: dict[str, Watermarker] = {}
"""Marks that are built in."""


def payload_of(plate_sha256: str) -> bytes:
    """What a mark carries: the beginning of the plate's digest, by which the sidecar of the output is found."""
    return bytes.fromhex(plate_sha256)[:PAYLOAD_BYTES]


@cache
def watermarker(name: str) -> Watermarker:
    """A built-in or installed mark.

    Raises:
        SettingsError: there is none of that name, or it is none.
    """
    if name in WATERMARKS:
        return WATERMARKS[name]
    found = [e for e in importlib.metadata.entry_points(group=GROUP) if e.name == name]
    if not found:
        raise SettingsError(f"provenance.label.watermark {name!r} is no entry point of {GROUP}: install it")
    mark = found[0].load()()
    if not isinstance(mark, Watermarker):
        raise SettingsError(f"provenance.label.watermark {name!r} has no embed and detect: correct that package")
    return mark
