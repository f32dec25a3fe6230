"""name of a pixel format -> what it can say, and the closest of those that an encoder takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import av

_SIDE = 64
"""Any size that every sub-sampling divides."""


@dataclass(frozen=True)
class PixelFormat:
    """What samples of a format can say."""

    name: str
    """FFmpeg's name."""
    model: str
    """gray, yuv or rgb."""
    bits: int
    """Bits of the deepest sample."""
    block_wh: tuple[int, int]
    """Luma samples that share one chroma sample; (1, 1) for gray and RGB."""
    alpha: bool
    """Whether it holds transparency."""

    @property
    def subsampling(self) -> str:
        """``4:2:0``, ``4:2:2``, ``4:4:4`` or the like; '' where there is no chroma."""
        names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (1, 2): "4:4:0", (4, 4): "4:1:0"}
        return names.get(self.block_wh, "sub-sampled") if self.model == "yuv" else ""

    def fits(self, width: int, height: int) -> bool:
        """True where a picture of that size is a whole number of chroma samples."""
        return not (width % self.block_wh[0] or height % self.block_wh[1])

    def holds(self, other: PixelFormat) -> bool:
        """True where every sample of the other format is kept."""
        return not any(_losses(other, self))


@cache
def pixel_format(name: str) -> PixelFormat:
    """Describe a format by FFmpeg's name of it."""
    found = av.VideoFormat(name, _SIDE, _SIDE)
    colored = [c for c in found.components if not c.is_alpha]
    rgb = found.is_rgb or found.has_palette
    model = "rgb" if rgb else "gray" if len(colored) == 1 else "yuv"
    block = (_SIDE // found.chroma_width(_SIDE), _SIDE // found.chroma_height(_SIDE)) if model == "yuv" else (1, 1)
    alpha = any(c.is_alpha for c in found.components) or found.has_palette
    return PixelFormat(name, model, max(c.bits for c in colored), block, alpha)


def closest(source: str, candidates: Iterable[str]) -> str:
    """Of some formats, the one that loses least of ``source``, and among those the one that adds least."""
    given = pixel_format(source)

    def cost(name: str) -> tuple[object, ...]:
        found = pixel_format(name)
        return (*_losses(given, found), *_losses(found, given), name != source, not name.startswith(("yuv", "gbr")))

    return min(candidates, key=cost)


def _losses(source: PixelFormat, target: PixelFormat) -> tuple[int, ...]:
    """What of ``source`` is lost in ``target``: colour, its model, sub-sampling, bits, transparency."""
    return (
        int(target.model == "gray" and source.model != "gray"),
        int(target.model != source.model and source.model != "gray"),
        max(0, target.block_wh[0] - source.block_wh[0]) + max(0, target.block_wh[1] - source.block_wh[1]),
        max(0, source.bits - target.bits),
        int(source.alpha and not target.alpha),
    )


def losses(source: str, target: str) -> list[str]:
    """What of a format is lost in another, in words."""
    a, b = pixel_format(source), pixel_format(target)
    gray, model, chroma, bits, alpha = _losses(a, b)
    told = {
        f"colours: {target} holds shades of grey": gray,
        f"{a.model.upper()} samples: converted to {target}": model and not gray,
        f"chroma at {a.subsampling}: reduced to {b.subsampling}": chroma and not model,
        f"{a.bits} bits a sample: reduced to {b.bits}": bits,
        f"transparency: {target} holds none": alpha,
    }
    return [text for text, lost in told.items() if lost]
