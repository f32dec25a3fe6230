import cv2
import numpy as np
import pytest

from faceswap_core.config_align import VIEWS
from faceswap_core.faces import dense
from faceswap_core.faces.geometry import apply, head_pose, template5, template_to_chip
from faceswap_core.faces.measures import measure, perceptual_hash, sharpness
from faceswap_core.faces.occlusion import unobstructed
from faceswap_core.synth.controls import Occluder
from faceswap_core.synth.identity import identity
from faceswap_core.synth.performance import performance
from faceswap_core.synth.render import render


def chip(size=128, view="face"):
    """A skin-coloured oval with eyes and a mouth by the template, and the matrix it is drawn by."""
    to_chip = template_to_chip(size, VIEWS[view]["eye_distance"], 0.625, VIEWS[view]["centre"])
    image = np.full((size, size, 3), (40, 60, 40), np.uint8)
    points = apply(to_chip, template5())
    unit = to_chip[0, 0]
    centre = apply(to_chip, np.array([[0.0, 0.45]]))[0].round().astype(int).tolist()
    cv2.ellipse(image, centre, (round(1.15 * unit), round(1.5 * unit)), 0, 0, 360, (190, 140, 115), -1)
    for x, y in points[:2].round().astype(int).tolist():
        cv2.circle(image, (x, y), max(round(0.12 * unit), 1), (30, 20, 20), -1)
    x, y = points[3:].mean(0).round().astype(int).tolist()
    cv2.ellipse(image, (x, y), (round(0.4 * unit), round(0.12 * unit)), 0, 0, 360, (140, 40, 50), -1)
    return image, to_chip


def measured(image, to_chip):
    return measure(image, to_chip, template5())


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [64, 512])
def test_figures_hardly_depend_on_size_and_view(size, view):
    usual, other = measured(*chip()), measured(*chip(size, view))
    assert other.exposure == pytest.approx(usual.exposure, abs=0.03)
    assert abs(other.light_x - usual.light_x) < 0.05
    assert other.occlusion == pytest.approx(usual.occlusion, abs=0.05)
    assert (other.hash ^ usual.hash).bit_count() <= (10 if size > 64 else 20), "of 64; pictures unlike differ in 32"


def test_exposure_and_clipping_follow_the_light():
    image, to_chip = chip()
    dark, usual, bright = (measured(np.clip(image * gain, 0, 255).astype(np.uint8), to_chip) for gain in (0.04, 1, 2.5))
    assert dark.exposure < 0.1 < usual.exposure < bright.exposure
    assert usual.clipped == 0
    assert min(dark.clipped, bright.clipped) > 0.8


def test_side_light_is_told_and_is_no_occlusion():
    image, to_chip = chip()
    ramp = np.linspace(0.5, 1.3, 128)
    right = measured(np.clip(image * ramp[None, :, None], 0, 255).astype(np.uint8), to_chip)
    below = measured(np.clip(image * ramp[:, None, None], 0, 255).astype(np.uint8), to_chip)
    assert right.light_x > 0.2 > abs(right.light_y)
    assert below.light_y > 0.2 > abs(below.light_x)
    assert max(right.occlusion, below.occlusion) < 0.05


def test_what_lies_before_the_face_is_occlusion():
    image, to_chip = chip()
    free = measured(image, to_chip).occlusion
    image[70:100, 40:75] = (20, 20, 25)
    assert measured(image, to_chip).occlusion > free + 0.15


@pytest.mark.parametrize("seed", [4, 11, 27])
def test_occlusion_score_rises_with_a_rendered_occluder(seed):
    person, (moment,) = identity(seed), performance(1, seed=seed, fps=25)
    seen, scores = {"width": 256, "height": 200, "face_px": 150}, []
    free = render(person, moment.expression, moment.pose, moment.light, **seen)
    points = free.landmarks
    five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    x, y = (five[3] + five[0]) / 2
    hidden = render(person, moment.expression, moment.pose, moment.light, occluder=Occluder(x, y, 16, 20), **seen)
    scores = [_score(frame.rgb, five.astype(np.float64)) for frame in (free, hidden)]
    assert scores[1] > scores[0] + 0.05


def _score(image, five):
    from faceswap_core.faces.geometry import compose, fit_similarity, invert, similarity_matrix
    from faceswap_core.stages.align import warp_chip

    to_chip = template_to_chip(128, 0.4, 0.625, 0.45)
    to_frame = similarity_matrix(fit_similarity(template5(), five))
    cut = warp_chip(image, compose(to_chip, invert(to_frame)), 128)
    return measure(cut, to_chip, apply(invert(to_frame), five)).occlusion


def test_blur_lowers_sharpness():
    image, _ = chip()
    values = [sharpness(image), *(sharpness(cv2.GaussianBlur(image, (0, 0), s)) for s in (1, 2, 4))]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 20


def test_hash_is_of_what_is_seen_not_of_its_light():
    luma = chip()[0][..., 1]
    noisy = np.clip(luma * 0.8 + np.random.default_rng(0).normal(10, 4, luma.shape), 0, 255).astype(np.uint8)
    assert 0 <= perceptual_hash(luma) < 2**64
    assert (perceptual_hash(luma) ^ perceptual_hash(noisy)).bit_count() <= 6
    assert (perceptual_hash(luma) ^ perceptual_hash(np.roll(luma, 20, axis=0))).bit_count() > 12


class TestMesh:
    """A head that is turned, seen by a camera far away."""

    def seen(self, yaw, pitch, roll, scale=30.0, place=(200, 100)):
        y, p, r = np.radians([yaw, pitch, roll])
        about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
        about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
        points = np.zeros((468, 2))
        points[dense._NUMBERS] = scale * (dense._MODEL @ (about_z @ about_y @ about_x).T)[:, :2] + place
        return points

    @pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, 25), (-50, -15, 10), (70, 10, -40)])
    def test_pose_is_that_of_the_head(self, angles):
        np.testing.assert_allclose(dense.dense_pose(self.seen(*angles)), angles, atol=0.01)

    def test_signs_are_those_of_the_five_points(self):
        from faceswap_core.faces.mesh import five_of_mesh

        for angles in ((30, 0, 0), (-30, 0, 0), (0, 0, 20)):
            five = head_pose(five_of_mesh(self.seen(*angles)))
            for mine, given in zip(five, angles, strict=True):
                assert given == 0 or np.sign(mine) == np.sign(given)

    def test_fit_lays_the_template_on_a_frontal_face(self):
        similarity = dense.fit_dense(self.seen(0, 0, 20))
        assert np.degrees(np.arctan2(similarity[1], similarity[0])) == pytest.approx(20, abs=0.5)  # its eyes slope
        from faceswap_core.faces.geometry import similarity_matrix

        there = apply(similarity_matrix(similarity), dense.RIGID_TEMPLATE)
        np.testing.assert_allclose(there, self.seen(0, 0, 20)[dense._NUMBERS], atol=1e-6)

    def test_openness_is_height_by_width(self):
        points = np.zeros((468, 2))
        for left, right, low, high, open_by in ((33, 133, 145, 159, 2), (362, 263, 374, 386, 4), (78, 308, 14, 13, 6)):
            points[right], points[low], points[high] = (10, 0), (5, open_by), (5, 0)
            points[left] = 0
        assert dense.openness(points) == pytest.approx((0.3, 0.6))

    def test_points_of_another_detector_are_no_mesh(self):
        assert not dense.is_mesh(None)
        assert not dense.is_mesh(np.zeros((106, 2)))


class TestUnobstructed:
    def test_a_patch_the_decoder_misses_is_hidden_and_the_rest_is_free(self):
        views = np.full((2, 64, 64, 3), 120, np.float32)
        again = views + 4
        views[1, 20:40, 20:40] = 10
        free = unobstructed(views, again, 0.15)
        assert free.shape == (2, 64, 64)
        assert (free[0] == 1).all()
        assert free[1, 30, 30] == 0
        assert free[1, 5, 5] == 1
        assert ((free[1] > 0.01) & (free[1] < 0.99)).any(), "its edge is soft"

    def test_noise_alone_hides_nothing(self):
        noise = np.random.default_rng(0).normal(0, 20, (1, 64, 64, 3)).astype(np.float32)
        assert unobstructed(noise + 100, np.full_like(noise, 100), 0.2).min() > 0.99
