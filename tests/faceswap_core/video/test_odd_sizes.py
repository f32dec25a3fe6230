"""A source whose chroma does not divide its size keeps its size and every sample, whatever the encoder."""

from __future__ import annotations

import numpy as np
import pytest
from recoding import recode

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.video.index import build_index
from faceswap_core.video.presets import encode_spec
from faceswap_core.video.reader import decode_linear
from faceswap_core.video.samples import samples_of
from faceswap_core.video.verify import verify_video

QUICK = {"preset": "ultrafast"}
LOSSLESS = {
    "draft": EncodeSettings(preset="draft", crf=0, options=QUICK),
    "standard": EncodeSettings(crf=0, options=QUICK),
    "master": EncodeSettings(preset="master", crf=0),
    "libx264": EncodeSettings(codec="libx264", crf=0, options=QUICK),
    "libx265": EncodeSettings(codec="libx265", crf=0, options=QUICK),
    "ffv1": EncodeSettings(codec="ffv1"),
}


def as_repeated(samples):
    """Luma and chroma codes, each chroma sample over the pixels that it stands for."""
    (bw, bh), (height, width) = samples.block_wh, samples.views[0].shape
    luma, *chroma = (view >> samples.shift for view in samples.views)
    return [luma, *(c.repeat(bh, axis=0).repeat(bw, axis=1)[:height, :width] for c in chroma)]


@pytest.mark.parametrize("how", LOSSLESS)
@pytest.mark.parametrize("name", ["odd.webm", "odd.mkv", "odd422.mkv", "odd_ten.mkv", "odd.mp4"])
def test_every_sample_comes_back(clip, tmp_path, name, how):
    out = tmp_path / ("out.mp4" if name == "odd.mp4" else "out.mkv")
    settings = LOSSLESS[how]
    if name == "odd_ten.mkv" and how == "master":
        assert encode_spec(settings, build_index(clip(name)).facts).codec == "ffv1"
    index, _, report = recode(clip(name), out, settings)
    assert (index.facts.width % 2, index.facts.height % 2) == (1, 1)
    assert report.frames == len(index)
    assert verify_video(out, index, clip(name)).pts_equal
    for before, after in zip(decode_linear(clip(name)), decode_linear(out), strict=True):
        assert (after.width, after.height) == (97, 65)
        for a, b in zip(as_repeated(samples_of(before)), as_repeated(samples_of(after)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("how", ["draft", "standard", "master", "ffv1"])
def test_every_colour_of_an_odd_gif_comes_back(clip, tmp_path, how):
    out = tmp_path / "out.mkv"
    recode(clip("odd.gif"), out, LOSSLESS[how])
    for before, after in zip(decode_linear(clip("odd.gif")), decode_linear(out), strict=True):
        for a, b in zip(samples_of(before).views, samples_of(after).views, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_edit_of_an_odd_picture_is_encoded(clip, tmp_path):
    """The last column and row, whose chroma blocks the edge cuts, are part of it."""
    out = tmp_path / "out.mkv"
    index, _, _ = recode(clip("odd.webm"), out, EncodeSettings(preset="draft", crf=0), edit=lambda rgb: 255 - rgb)
    assert index.facts.pix_fmt == "yuv420p"
    pairs = zip(decode_linear(clip("odd.webm")), decode_linear(out), strict=True)
    for before, after in pairs:
        a, b = (as_repeated(samples_of(frame)) for frame in (before, after))
        changed = np.any([x != y for x, y in zip(a, b, strict=True)], axis=0)
        assert changed[16:46, 20:60].mean() > 0.9
        changed[16:46, 20:60] = False
        assert not changed.any()


@pytest.mark.parametrize("preset", ["draft", "standard", "master"])
@pytest.mark.parametrize("name", ["odd.webm", "odd.gif", "odd422.mkv"])
def test_no_preset_refuses_it(clip, tmp_path, name, preset):
    out = tmp_path / "out.mkv"
    index, _, _ = recode(clip(name), out, EncodeSettings(preset=preset))
    found = build_index(out).facts
    assert (found.width, found.height) == (97, 65)
    assert verify_video(out, index, clip(name)).sample_failed == ()
