"""settings + facts of the source -> EncodeSpec: which encoder, with which samples and options.

Everything here is decided before any frame is seen, and from nothing else; what the source has and the encoding cannot
hold is written down in the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import av

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.errors import EnvironmentFault
from faceswap_core.video.codec_options import KEEPS_FIELDS, KEEPS_MASTERING, codec_options
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.hdr import HDR_TRANSFERS
from faceswap_core.video.pixel_format import closest, losses, pixel_format

PRESET_CODECS = {
    "draft": ("libx264", "libx264rgb", "libx265"),
    "standard": ("libx264", "libx265", "libx264rgb"),
    "master": ("prores_ks", "ffv1"),
    "nvenc": ("h264_nvenc", "hevc_nvenc"),
}
"""Preset -> the encoders that it chooses among, by the source."""
_WHOLE_CHROMA = ("libx264", "libx265", "h264_nvenc", "hevc_nvenc")
"""H.264 and HEVC crop in whole chroma samples: 4:2:0 of odd size cannot be said in them."""

_KEEPS_ALPHA = ("ffv1", "prores_ks")
"""Encoders whose files hold transparency; others take such frames and leave it out, or refuse them."""


@dataclass(frozen=True)
class EncodeSpec:
    """How a video is encoded. Equal spec, facts and frames give equal bytes."""

    codec: str
    """FFmpeg name of the encoder."""
    pix_fmt: str
    """Pixel format that is encoded."""
    options: Mapping[str, str] = field(default_factory=dict)
    """All options of the encoder."""
    threads: int = 1
    """Threads of the encoder; part of what decides the bytes."""
    lost: tuple[str, ...] = ()
    """What the source has and this encoding cannot hold."""
    note: str = ""
    """What is stored otherwise than in the source without any loss."""


def encode_spec(settings: EncodeSettings, facts: StreamFacts) -> EncodeSpec:
    """Choose encoder, pixel format and options for a source.

    The pixel format is the one, of those that the encoder takes, that loses least of the source's samples. Odd sizes
    in 4:2:0 or 4:2:2, which H.264 and HEVC cannot say, are encoded in 4:4:4 with every chroma sample repeated.

    Raises:
        EnvironmentFault: PyAV was built without the encoder.
    """
    codec = settings.codec or _chosen_codec(settings, facts)
    candidates = encoder_formats(codec)
    if codec in _WHOLE_CHROMA:
        candidates = [name for name in candidates if pixel_format(name).fits(facts.width, facts.height)]
    if _deep(facts) and settings.codec is None:
        candidates = [name for name in candidates if pixel_format(name).bits > 8] or candidates
    pix_fmt = closest(facts.pix_fmt, candidates)
    options = codec_options(codec, settings, facts, pixel_format(pix_fmt))
    return EncodeSpec(
        codec=codec,
        pix_fmt=pix_fmt,
        options=_merged(options, settings.options),
        threads=settings.threads,
        lost=tuple(_lost(codec, pix_fmt, facts)),
        note=_note(pix_fmt, facts),
    )


def _chosen_codec(settings: EncodeSettings, facts: StreamFacts) -> str:
    """The preset's encoder for a source."""
    given, deep = pixel_format(facts.pix_fmt), _deep(facts)
    if settings.preset == "nvenc":
        return "hevc_nvenc" if deep else "h264_nvenc"
    if settings.preset == "master":  # a ProRes file cannot say that its range is full
        return "ffv1" if given.model == "rgb" or _full_range(facts) or settings.crf == 0 else "prores_ks"
    if given.model == "rgb":
        return "libx265" if given.bits > 8 else "libx264rgb"
    if settings.preset == "standard" and deep and not facts.interlaced:  # x265 codes fields as pictures of their own
        return "libx265"
    return "libx264"


def _deep(facts: StreamFacts) -> bool:
    return pixel_format(facts.pix_fmt).bits > 8 or facts.color_trc in HDR_TRANSFERS


def _full_range(facts: StreamFacts) -> bool:
    return facts.color_range == 2 or facts.pix_fmt.startswith("yuvj")


def encoder_formats(codec: str) -> list[str]:
    """Pixel formats in memory that an encoder takes.

    Raises:
        EnvironmentFault: PyAV was built without it.
    """
    try:
        formats = av.Codec(codec, "w").video_formats
    except (av.FFmpegError, ValueError) as error:
        raise EnvironmentFault(
            f"this build of PyAV has no encoder {codec} ({error}): set encode.codec to another, or install PyAV's wheel"
        ) from error
    named = [f.name for f in formats or () if f.components]  # those of a GPU's own memory have none
    return [name for name in named if codec in _KEEPS_ALPHA or not pixel_format(name).alpha]


def _merged(made: dict[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Given options win; parameter lists (``x264-params``) are joined, the later entry winning."""
    joined = {k: f"{made[k]}:{v}" for k, v in given.items() if k.endswith("-params") and k in made}
    return {**made, **given, **joined}


def _lost(codec: str, pix_fmt: str, facts: StreamFacts) -> list[str]:
    lost = losses(facts.pix_fmt, pix_fmt)
    if facts.interlaced and codec not in KEEPS_FIELDS:
        lost.append(f"marks of interlaced fields: {codec} writes none; use libx264, ffv1 or prores_ks")
    if codec not in KEEPS_MASTERING:
        known = {"mastering display": facts.mastering_display, "content light level": facts.content_light}
        lost += [f"{name} (HDR10): {codec} writes none; use libx265" for name, data in known.items() if data]
    lost += [f"{name} metadata: it belongs to the frames before the edit" for name in facts.dynamic_hdr]
    return lost


def _note(pix_fmt: str, facts: StreamFacts) -> str:
    given, taken = pixel_format(facts.pix_fmt), pixel_format(pix_fmt)
    if pix_fmt == facts.pix_fmt or not taken.holds(given):
        return ""
    how = "every chroma sample repeated" if taken.block_wh != given.block_wh else "the same samples"
    return f"{facts.width}x{facts.height} {facts.pix_fmt} is stored as {pix_fmt}, {how}"
