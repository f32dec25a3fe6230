import numpy as np
import pytest
from patches import SIDE, disc

from faceswap_core.faces.edges import Edge, as_drawn, combined, drawn_in, hard, soft

FULL = np.full((SIDE, SIDE), 255, np.uint8)


def soften(mask, *, erode, feather):
    return soft(mask, Edge(feather, erode))


class TestSoft:
    @pytest.mark.parametrize("feather", [0, 0.05, 0.3])
    @pytest.mark.parametrize("erode", [0, 0.1])
    @pytest.mark.parametrize("alpha", [disc(), np.full((SIDE, SIDE), 255, np.uint8), disc(radius=0.8)])
    def test_border_of_the_patch_is_barely_touched_and_inside_is_full(self, alpha, erode, feather):
        soft = soften(alpha, erode=erode, feather=feather)
        assert soft.shape == alpha.shape
        assert soft.dtype == np.float32
        assert (soft[alpha < 128] == 0).all()
        assert soft.min() >= 0
        assert soft.max() <= 1
        if erode + feather < 0.35:
            assert soft[SIDE // 2, SIDE // 2] == 1

    def test_border_is_zero_where_the_mask_is_drawn_in(self):
        soft = soften(np.full((SIDE, SIDE), 255, np.uint8), erode=0.05, feather=0.1)
        assert np.concatenate([soft[0], soft[-1], soft[:, 0], soft[:, -1]]).max() == 0

    def test_edge_falls_steadily_over_the_feather(self):
        soft = soften(np.full((SIDE, SIDE), 255, np.uint8), erode=0.1, feather=0.25)
        ramp = soft[SIDE // 2, : SIDE // 2]
        assert (np.diff(ramp) >= -1e-6).all()
        inner = np.flatnonzero((ramp > 0) & (ramp < 1))
        assert inner[0] == pytest.approx(0.1 * SIDE, abs=1.5)
        assert inner[-1] == pytest.approx(0.35 * SIDE, abs=2)

    def test_more_erosion_and_more_feather_leave_less(self):
        sums = [soften(disc(), erode=e, feather=f).sum() for e, f in ((0, 0), (0, 0.1), (0.05, 0.1), (0.1, 0.2))]
        assert sums == sorted(sums, reverse=True)

    def test_empty_mask_stays_empty(self):
        assert soften(np.zeros((SIDE, SIDE), np.uint8), erode=0, feather=0.1).max() == 0


class TestSides:
    @pytest.mark.parametrize(
        ("side", "rows", "columns"),
        [
            ("top", slice(0, 12), slice(None)),
            ("bottom", slice(36, None), slice(None)),
            ("left", slice(None), slice(0, 12)),
            ("right", slice(None), slice(36, None)),
        ],
    )
    def test_each_side_is_drawn_in_by_itself(self, side, rows, columns):
        out = drawn_in(FULL, Edge(0, 0, **{side: 0.25}))
        wanted = FULL.copy()
        wanted[rows, columns] = 0
        np.testing.assert_array_equal(out, wanted)

    def test_sides_go_together(self):
        out = drawn_in(FULL, Edge(0, 0, top=0.25, bottom=0.125, left=0.125, right=0.25))
        assert np.flatnonzero(out.any(1)).tolist() == list(range(12, 42))
        assert np.flatnonzero(out.any(0)).tolist() == list(range(6, 36))

    def test_nothing_to_draw_in_leaves_the_mask(self):
        np.testing.assert_array_equal(drawn_in(disc(), Edge(0.1, 0.1)), disc())

    def test_a_face_is_drawn_in_from_its_own_edge(self):
        before, after = (np.flatnonzero(m.any(1)) for m in (disc(), drawn_in(disc(), Edge(0, 0, bottom=0.125))))
        assert after[0] == before[0]
        assert after[-1] == before[-1] - 6


def test_hard_edge_is_zero_or_one_and_the_drawn_one_keeps_its_grey():
    grey = (disc() * 0.6).astype(np.uint8)
    assert set(np.unique(hard(disc(), Edge(0.2, 0)))) == {0, 1}
    weight = as_drawn(grey, Edge(0.2, 0))
    assert weight[SIDE // 2, SIDE // 2] == pytest.approx(grey.max() / 255)
    assert weight[0, 0] == 0


def test_masks_are_combined_as_asked():
    left, right = disc(), np.roll(disc(), 8, axis=1)
    np.testing.assert_array_equal(combined(left, right, "learned"), left)
    np.testing.assert_array_equal(combined(left, right, "plate"), right)
    np.testing.assert_array_equal(combined(left, right, "both"), np.minimum(left, right))
    np.testing.assert_array_equal(combined(left, right, "either"), np.maximum(left, right))
    np.testing.assert_array_equal(combined(left, None, "learned"), left)
    for source in ("plate", "either", "both"):
        with pytest.raises(ValueError, match=rf"blend\.mask is '{source}'"):
            combined(left, None, source)
