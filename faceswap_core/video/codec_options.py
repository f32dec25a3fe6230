"""encoder + settings + facts -> its options: speed, rate, closed GOPs, fields and HDR metadata."""

from __future__ import annotations

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.video.facts import StreamFacts
from faceswap_core.video.hdr import display_decimals, display_text
from faceswap_core.video.pixel_format import PixelFormat
from faceswap_core.video.x264 import x264_params

KEEPS_FIELDS = frozenset({"libx264", "libx264rgb", "prores_ks", "ffv1"})
"""Encoders that mark interlaced pictures as such."""
KEEPS_MASTERING = frozenset({"libx264", "libx265", "libsvtav1"})
"""Encoders that are told the mastering display and content light level."""

_X264 = {"draft": ("veryfast", 18.0), "standard": ("slow", 16.0), "master": ("slow", 12.0)}
_X265 = {"draft": ("superfast", 18.0), "standard": ("medium", 16.0), "master": ("slow", 12.0)}
_SVT_AV1 = {"draft": ("10", 28.0), "standard": ("6", 20.0), "master": ("4", 14.0)}
_VP9 = {"draft": ("8", 28.0), "standard": ("2", 20.0), "master": ("1", 14.0)}
_NVENC = {"draft": ("p1", 20.0), "standard": ("p6", 18.0), "master": ("p7", 14.0), "nvenc": ("p6", 18.0)}
_SPEEDS = {
    **{"libx264": _X264, "libx264rgb": _X264, "libx265": _X265, "libsvtav1": _SVT_AV1, "libvpx-vp9": _VP9},
    **{"h264_nvenc": _NVENC, "hevc_nvenc": _NVENC},
}
"""Encoder -> preset -> its own speed and quality; ``nvenc`` with a CPU's encoder is ``standard``."""
_KEYINT = "250"
_PEAK, _BUFFER = 1.5, 2.0
"""Largest rate, and bits that a player must be able to hold (in seconds), over the average rate."""


def codec_options(codec: str, settings: EncodeSettings, facts: StreamFacts, pix_fmt: PixelFormat) -> dict[str, str]:
    """All options of one encoder, before those that the settings give by name."""
    if codec == "ffv1":
        return {"level": "3", "g": "1", "slicecrc": "1"} | _field_order(facts)
    if codec == "prores_ks":
        profile = "4444" if pix_fmt.subsampling == "4:4:4" else "hq"
        return {"profile": profile, "vendor": "apl0"} | _field_order(facts)
    speeds = _SPEEDS[codec]
    speed, crf = speeds.get(settings.preset, speeds["standard"])
    quality = crf if settings.crf is None else settings.crf
    if codec == "libx265":
        return {"preset": speed, "g": _KEYINT} | _x265(settings, facts, quality)
    if codec == "libsvtav1":
        return {"preset": speed, "g": _KEYINT} | _svt_av1(settings, facts, quality)
    if codec == "libvpx-vp9":
        rate = {"crf": str(round(quality)), "b": "0"} if quality else {"lossless": "1"}
        return {"deadline": "good", "cpu-used": speed, "g": _KEYINT} | rate
    if codec in ("h264_nvenc", "hevc_nvenc"):
        return {"preset": speed, "g": _KEYINT} | _nvenc(settings, quality)
    return {"preset": speed, "g": _KEYINT} | _x264(settings, facts, quality)


def _x264(settings: EncodeSettings, facts: StreamFacts, crf: float) -> dict[str, str]:
    params = [x264_params()]
    fields: dict[str, str] = {}
    if facts.interlaced:
        params.append("bff=1" if _bottom_first(facts) else "tff=1")
        fields = {"flags": "+ildct+ilme"}
    if facts.mastering_display:
        params.append(f"mastering-display={display_text(facts.mastering_display)}")
    if facts.content_light:
        params.append("cll={},{}".format(*facts.content_light))
    rate = _average(settings) or ({"crf": f"{crf:g}"} if crf else {"qp": "0"})
    return {"x264-params": ":".join(params)} | fields | rate


def _x265(settings: EncodeSettings, facts: StreamFacts, crf: float) -> dict[str, str]:
    params = ["open-gop=0", "log-level=error", "frame-threads=1", f"pools={settings.threads}"]
    if facts.mastering_display:
        params.append(f"master-display={display_text(facts.mastering_display)}")
    if facts.content_light:
        params.append("max-cll={},{}".format(*facts.content_light))
    if facts.mastering_display or facts.content_light:
        params += ["hdr10=1", "repeat-headers=1"]
    rate = _average(settings) or ({"crf": f"{crf:g}"} if crf else {})
    if not rate:
        params.append("lossless=1")
    return {"x265-params": ":".join(params)} | rate


def _svt_av1(settings: EncodeSettings, facts: StreamFacts, crf: float) -> dict[str, str]:
    params = [f"lp={settings.threads}"]
    if facts.mastering_display:
        params.append(f"mastering-display={display_decimals(facts.mastering_display)}")
    if facts.content_light:
        params.append("content-light={},{}".format(*facts.content_light))
    rate = {"crf": str(round(crf))} if crf else {}
    if not rate:
        params.append("lossless=1")
    return {"svtav1-params": ":".join(params)} | rate


def _nvenc(settings: EncodeSettings, quality: float) -> dict[str, str]:
    if settings.bitrate:
        return {"rc": "vbr", "tune": "hq"} | _average(settings)
    return {"rc": "vbr", "tune": "hq", "cq": f"{quality:g}", "b": "0"} if quality else {"tune": "lossless"}


def _average(settings: EncodeSettings) -> dict[str, str]:
    """Average rate, held within a player's buffer; nothing without ``bitrate``."""
    kbps = settings.bitrate
    return {"b": _bits(kbps), "maxrate": _bits(kbps * _PEAK), "bufsize": _bits(kbps * _BUFFER)} if kbps else {}


def _bits(kbps: float) -> str:
    return str(round(kbps * 1000))


def _field_order(facts: StreamFacts) -> dict[str, str]:
    if not facts.interlaced:
        return {}
    return {"flags": "+ildct", "field_order": "bb" if _bottom_first(facts) else "tt"}


def _bottom_first(facts: StreamFacts) -> bool:
    return facts.field_order in (3, 5)
