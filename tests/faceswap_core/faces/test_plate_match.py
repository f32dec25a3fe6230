import cv2
import numpy as np
import pytest

from faceswap_core.faces.plate_match import grain_sigmas, softened, with_grain

HEIGHT, WIDTH = 97, 110
FULL = np.ones((HEIGHT, WIDTH), np.float32)


def smooth(seed=0, sigma=6.0):
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), sigma)
    return (soft - soft.mean()) / soft.std() * np.float32(0.08) + np.float32(0.5)


def grainy(image, sigma, blur=0.0, seed=5):
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    if blur:
        noise = cv2.GaussianBlur(noise, (0, 0), blur)
        noise /= noise.std()
    return image + sigma * noise[..., None]


class TestGrain:
    @pytest.mark.parametrize("blur", [0.0, 0.8])
    @pytest.mark.parametrize("sigma", [0.01, 0.03])
    def test_patch_gets_the_plates_grain_in_both_octaves(self, sigma, blur):
        plate, patch = grainy(smooth(), sigma, blur), smooth(1)
        out = with_grain(patch, plate, FULL, strength=1.0, seed=(7, 0))
        np.testing.assert_allclose(grain_sigmas(out, FULL), grain_sigmas(plate, FULL), rtol=0.3)

    def test_edges_hardly_count_as_grain(self):
        image = smooth()
        image[::24] = 0.1
        assert grain_sigmas(image, FULL).max() < 0.02

    def test_only_what_lacks_is_added(self):
        plate, patch = grainy(smooth(), 0.02), grainy(smooth(1), 0.05, seed=6)
        np.testing.assert_array_equal(with_grain(patch, plate, FULL, strength=1.0, seed=(1, 0)), patch)

    def test_noise_is_the_same_on_every_run_and_another_in_every_frame(self):
        plate, patch = grainy(smooth(), 0.03), smooth(1)
        one, again, other = (with_grain(patch, plate, FULL, strength=1.0, seed=(f, 0)) for f in (3, 3, 4))
        np.testing.assert_array_equal(one, again)
        apart = np.corrcoef((one - patch).ravel(), (other - patch).ravel())[0, 1]
        assert abs(apart) < 0.05

    def test_strength_scales_it(self):
        plate, patch = grainy(smooth(), 0.03), smooth(1)
        half, full = (with_grain(patch, plate, FULL, strength=s, seed=(3, 0)) - patch for s in (0.5, 1.0))
        np.testing.assert_allclose(half, full / 2, atol=1e-6)

    @pytest.mark.parametrize("shape", [(1, 1), (3, 40), (64, 64)])
    def test_nothing_covered_gets_nothing(self, shape):
        image = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
        out = with_grain(image, image[::-1], np.zeros(shape, np.float32), strength=1.0, seed=(0,))
        np.testing.assert_array_equal(out, image)


def energy(image, axis):
    return float((np.diff(image.mean(-1), axis=axis) ** 2).mean())


class TestSoften:
    SHARP = smooth(2, 0.8)

    def test_a_soft_plate_softens_the_patch(self):
        plate = cv2.GaussianBlur(smooth(3, 0.8), (0, 0), 1.5)
        out = softened(self.SHARP, plate, FULL, (0.0, 0.0), 1.0)
        wanted = energy(cv2.GaussianBlur(self.SHARP, (0, 0), 1.5), 1)
        assert wanted / 3 < energy(out, 1) < wanted * 3 < energy(self.SHARP, 1)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_motion_blur_is_matched_along_the_motion_alone(self, axis):
        sigmas = (2.0, 0.01) if axis else (0.01, 2.0)
        plate = cv2.GaussianBlur(smooth(3, 0.8), (0, 0), sigmaX=sigmas[0], sigmaY=sigmas[1])
        out = softened(self.SHARP, plate, FULL, (5.0, 0.0) if axis else (0.0, 5.0), 1.0)
        wanted = cv2.GaussianBlur(self.SHARP, (0, 0), sigmaX=sigmas[0], sigmaY=sigmas[1])
        for direction in (0, 1):
            assert energy(wanted, direction) / 2.5 < energy(out, direction) < 2.5 * energy(wanted, direction)

    def test_a_patch_as_soft_as_the_plate_is_left(self):
        soft = cv2.GaussianBlur(self.SHARP, (0, 0), 2.0)
        np.testing.assert_array_equal(softened(soft, smooth(3, 0.8), FULL, (1.0, 1.0), 1.0), soft)

    def test_grain_is_not_taken_for_sharpness(self):
        soft = cv2.GaussianBlur(smooth(3, 0.8), (0, 0), 1.5)
        clean, noisy = (softened(self.SHARP, plate, FULL, (0.0, 0.0), 1.0) for plate in (soft, grainy(soft, 0.005)))
        assert energy(noisy, 1) < 1.5 * energy(clean, 1)
