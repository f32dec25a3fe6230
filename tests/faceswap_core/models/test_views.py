from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from faceswap_core.models.augment import Augmentation
from faceswap_core.models.degrade import jpeg, motion_kernels, moved
from faceswap_core.models.draws import draw_numbers
from faceswap_core.models.faces import Chips, Side, pose_weights
from faceswap_core.models.tint import lab_shifted, relit

NOTHING = Augmentation(rotation=0, zoom=0, shift=0, flip=0, warp=0, light=0, color=0)


def picture(count=2, side=64):
    rng = np.random.default_rng(5)
    coarse = rng.random((count, side // 8, side // 8, 3), np.float32)
    full = np.stack([cv2.resize(c, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1) for c in coarse])
    return torch.from_numpy(full).permute(0, 3, 1, 2)


class TestRelit:
    def test_no_light_leaves_every_pixel(self):
        views = picture()
        assert torch.equal(relit(views, torch.ones(2, 3), torch.zeros(2, 2)), views)

    def test_slope_is_that_from_the_centre_to_the_edge_of_each_stacked_view(self):
        stacked = torch.ones(1, 4, 128, 64)
        out = relit(stacked, torch.tensor([[0.1, 0.0, -0.1]]).exp(), torch.tensor([[0.2, -0.3]])).log()
        assert out[0, 0, 0, 0] == pytest.approx(0.1 - 0.2 + 0.3, abs=1e-5)
        assert out[0, 2, 63, 63] == pytest.approx(-0.1 + 0.2 - 0.3, abs=1e-5)
        torch.testing.assert_close(out[:, :, :64], out[:, :, 64:])


class TestLab:
    def test_no_shift_gives_the_colours_back(self):
        torch.testing.assert_close(lab_shifted(picture(), torch.zeros(2, 3)), picture(), atol=2e-3, rtol=0)

    def test_shift_is_that_of_opencv(self):
        colors = picture(1) * 0.5 + 0.25
        lab = cv2.cvtColor(np.ascontiguousarray(colors[0].permute(1, 2, 0).numpy()), cv2.COLOR_RGB2Lab)
        wanted = cv2.cvtColor(lab + np.float32([4, -3, 6]), cv2.COLOR_Lab2RGB)
        made = lab_shifted(colors, torch.tensor([[4.0, -3.0, 6.0]]))[0].permute(1, 2, 0).numpy()
        assert np.abs(made - wanted).max() < 0.01


class TestMotion:
    def test_kernels_keep_the_mean_and_lie_along_their_angle(self):
        kernels = motion_kernels(torch.tensor([9.0, 9.0, 1.0]), torch.tensor([0.0, np.pi / 2, 0.3]))
        torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(3))
        middle = kernels.shape[-1] // 2
        torch.testing.assert_close(kernels[0, middle].sum(), torch.tensor(1.0))
        torch.testing.assert_close(kernels[1, :, middle].sum(), torch.tensor(1.0))
        torch.testing.assert_close(kernels[0, middle, 1:-1], torch.full((9,), 1 / 9))
        assert kernels[2, middle, middle] == 1

    def test_view_is_blurred_as_opencv_does(self):
        kernels = motion_kernels(torch.tensor([7.0, 5.0]), torch.tensor([0.5, 2.0]))
        made = moved(picture(), kernels)
        for view, kernel, found in zip(picture(), kernels, made, strict=True):
            wanted = cv2.filter2D(view.permute(1, 2, 0).numpy(), -1, kernel.numpy(), borderType=cv2.BORDER_REPLICATE)
            np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), wanted, atol=1e-5)


class TestJpeg:
    @pytest.mark.parametrize("quality", [25, 60, 90])
    def test_is_nearer_to_a_real_jpeg_than_the_source_is(self, quality):
        colors = picture(1)
        bgr = (colors[0].permute(1, 2, 0).numpy()[..., ::-1] * 255).round().astype(np.uint8)
        keep_all = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        _, data = cv2.imencode(".jpg", bgr, keep_all)
        wanted = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1] / 255.0
        made = jpeg(colors, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy()
        lost = np.abs(bgr[..., ::-1] / 255.0 - wanted).mean()
        assert np.abs(made - wanted).mean() < 0.15 * lost + 1 / 255  # whose colours are whole numbers on the way

    def test_each_view_has_its_own_quality(self):
        one = picture(1).repeat(2, 1, 1, 1)
        made = jpeg(one, torch.tensor([10.0, 95.0]))
        rough, fine = (made - one).abs().mean((1, 2, 3))
        assert rough > 4 * fine


class TestDraws:
    def side(self, count=20, level=100):
        chips = np.random.default_rng(level).integers(level - 40, level + 40, (count, 16, 16, 4)).astype(np.uint8)
        chips[..., 3] = 255
        return Side(Chips.of(chips), Chips.of([]), np.ones(3), np.zeros(3))

    def draw(self, count=2000, **changes):
        rng = np.random.default_rng(0)
        return draw_numbers(rng, self.side(), self.side(level=180), count, replace(NOTHING, **changes))

    def test_what_is_off_draws_nothing_and_moves_nothing_else(self):
        plain, all_on = self.draw(), self.draw(lab=3.0, color_match=0.5, motion_blur=0.5, jpeg=0.5)
        for name in ("lab", "lengths", "qualities", "slopes"):
            assert not getattr(plain, name).any()
        assert (plain.gains == 1).all()
        np.testing.assert_array_equal(plain.chosen, all_on.chosen)
        np.testing.assert_array_equal(plain.grids, all_on.grids)

    @pytest.mark.parametrize(("setting", "values"), [("motion_blur", "lengths"), ("jpeg", "qualities")])
    def test_share_of_degraded_views_is_the_chance(self, setting, values):
        assert (getattr(self.draw(**{setting: 0.3}), values) > 0).mean() == pytest.approx(0.3, abs=0.04)

    def test_matched_colours_lie_between_those_of_both_faces(self):
        drawn = self.draw(color_match=1.0)
        mean = self.side().colors[0][drawn.chosen]
        shown = (drawn.factors * mean + drawn.offsets) * 255
        low, high = mean.min(), self.side(level=180).colors[0].max()
        assert (shown >= low - 1).all()
        assert (shown <= high + 1).all()
        assert shown.mean() == pytest.approx((low + high) / 2, rel=0.1)
        untouched = np.isclose(self.draw(color_match=0.25).factors * 255, 1).all(1)
        assert untouched.mean() == pytest.approx(0.75, abs=0.04)

    def test_part_is_a_slice_of_every_number(self):
        drawn = self.draw(count=8, lab=2.0)
        np.testing.assert_array_equal(drawn.part(slice(2, 5)).lab, drawn.lab[2:5])
        np.testing.assert_array_equal(drawn.part(slice(2, 5)).flips, drawn.flips[2:5])


def test_every_pose_that_occurs_is_drawn_alike():
    poses = np.array([[0, 0]] * 90 + [[1, 2]] * 6 + [[35, 0]] * 3 + [[0, -25]])
    weights = pose_weights(poses)
    assert weights.sum() == pytest.approx(1)
    assert weights[:96].sum() == pytest.approx(1 / 3)
    assert weights[96:99].sum() == pytest.approx(1 / 3)
    assert weights[99] == pytest.approx(1 / 3)


def test_faces_of_no_known_pose_are_drawn_as_one_pose():
    assert pose_weights(np.array([[np.nan, np.nan]] * 3 + [[0, 0]])) == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
