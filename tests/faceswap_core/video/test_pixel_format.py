import pytest

from faceswap_core.video.pixel_format import closest, losses, pixel_format


@pytest.mark.parametrize(
    ("name", "model", "bits", "subsampling", "alpha"),
    [
        ("yuv420p", "yuv", 8, "4:2:0", False),
        ("yuvj422p", "yuv", 8, "4:2:2", False),
        ("yuva444p10le", "yuv", 10, "4:4:4", True),
        ("yuv440p12le", "yuv", 12, "4:4:0", False),
        ("yuv411p", "yuv", 8, "4:1:1", False),
        ("yuv410p", "yuv", 8, "4:1:0", False),
        ("nv12", "yuv", 8, "4:2:0", False),
        ("p010le", "yuv", 10, "4:2:0", False),
        ("gray10le", "gray", 10, "", False),
        ("ya8", "gray", 8, "", True),
        ("bgra", "rgb", 8, "", True),
        ("bgr0", "rgb", 8, "", False),
        ("gbrp12le", "rgb", 12, "", False),
        ("pal8", "rgb", 8, "", True),
    ],
)
def test_what_a_format_holds(name, model, bits, subsampling, alpha):
    found = pixel_format(name)
    assert (found.model, found.bits, found.subsampling, found.alpha) == (model, bits, subsampling, alpha)


@pytest.mark.parametrize(
    ("source", "candidates", "best"),
    [
        ("yuv420p", ["nv12", "yuv420p", "yuv444p"], "yuv420p"),
        ("yuv422p", ["yuv420p", "yuv444p10le", "yuv444p"], "yuv444p"),
        ("yuv420p12le", ["yuv420p", "yuv420p10le", "yuv444p10le"], "yuv420p10le"),
        ("yuva420p", ["yuv420p", "yuva444p10le"], "yuva444p10le"),
        ("gray", ["yuv420p", "gray10le"], "gray10le"),
        ("gray", ["yuv444p", "yuv420p"], "yuv444p"),
        ("bgra", ["yuv444p", "rgb24"], "rgb24"),
        ("yuv420p", ["gray", "rgb24", "yuv410p"], "yuv410p"),
    ],
)
def test_the_closest_loses_least_then_adds_least(source, candidates, best):
    for order in (candidates, candidates[::-1]):
        assert closest(source, order) == best


def test_losses_are_named_in_words():
    assert losses("yuv420p", "yuv444p10le") == []
    assert losses("yuva444p12le", "yuv420p10le") == [
        "chroma at 4:4:4: reduced to 4:2:0",
        "12 bits a sample: reduced to 10",
        "transparency: yuv420p10le holds none",
    ]
    assert losses("rgb24", "gray") == ["colours: gray holds shades of grey"]
    assert losses("rgb24", "yuv420p") == ["RGB samples: converted to yuv420p"]


def test_a_size_fits_where_chroma_divides_it():
    assert pixel_format("yuv422p").fits(96, 65)
    assert not pixel_format("yuv422p").fits(97, 64)
    assert not pixel_format("yuv420p").fits(96, 65)
    assert pixel_format("yuv444p").fits(97, 65)
