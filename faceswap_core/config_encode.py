"""The settings of the output's video encoding."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from faceswap_core.config_branch import Branch

Encoder: TypeAlias = Literal[
    "libx264",
    "libx264rgb",
    "libx265",
    "libsvtav1",
    "libvpx-vp9",
    "prores_ks",
    "ffv1",
    "h264_nvenc",
    "hevc_nvenc",
]
"""FFmpeg's names of the encoders that are known here."""
_WITHOUT_CRF = ("ffv1", "prores_ks")
"""Encoders without a quality to choose."""
_WITHOUT_BITRATE = (*_WITHOUT_CRF, "libsvtav1", "libvpx-vp9")
"""Encoders without a rate to choose, or that miss it by a quarter where they see the video once."""


def _as_text(given: Any) -> Any:
    """Options are text to an encoder; a job file may also say 3, 0.5 or true."""
    if not isinstance(given, dict):
        return given
    return {k: str(int(v)) if isinstance(v, bool) else str(v) if isinstance(v, int | float) else v
            for k, v in given.items()}  # fmt: skip


class EncodeSettings(Branch):
    """How the output is encoded."""

    preset: Literal["draft", "standard", "master", "nvenc"] = "standard"
    """``draft``: x264 veryfast. ``standard``: x264 slow, for sources of more than 8 bits or HDR x265. ``master``:
    ProRes 422 HQ, 4444 for 4:4:4 or alpha, FFV1 for RGB and full range. ``nvenc``: the GPU's H.264 or HEVC encoder."""
    codec: Encoder | None = None
    """Encoder of the video stream; by default the preset's choice for the source at hand."""
    crf: float | None = Field(default=None, ge=0, le=51)
    """Constant rate factor: lower is better and larger, 0 is lossless; by default the preset's. Chunks are encoded
    apart from each other."""
    bitrate: float | None = Field(default=None, ge=8, le=4_000_000)
    """Average rate of the video stream in kbit/s, in place of ``crf``: one encoder then runs over the whole video.
    For H.264 and HEVC."""
    threads: int = Field(default=1, ge=1, le=64)
    """Threads of the encoder; part of the result, since an encoder's output may depend on it."""
    options: Annotated[dict[str, str], BeforeValidator(_as_text)] = Field(default_factory=dict)
    """Options of the encoder itself, such as ``preset``, ``tune`` or ``x265-params``; they win over all others."""

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.crf is not None and self.bitrate is not None:
            raise ValueError(f"crf ({self.crf:g}) and bitrate ({self.bitrate:g}) exclude each other: remove one")
        master = self.preset == "master" and self.codec is None
        for name, codecs in (("crf", _WITHOUT_CRF), ("bitrate", _WITHOUT_BITRATE)):
            if getattr(self, name) and (master or self.codec in codecs):
                raise ValueError(
                    f"{name} is not for {self.codec or 'preset master'}: remove it, or set codec to another encoder, "
                    'such as "libx265"'
                )
        if self.codec == "prores_ks" and self.crf == 0:
            raise ValueError('prores_ks is never lossless: remove crf, or set codec = "ffv1"')
        return self
