"""The picture, its masks and its landmarks belong together and are exactly repeatable."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from faceswap_core.synth import skin
from faceswap_core.synth.camera import HEAD_UNITS_PER_FACE
from faceswap_core.synth.controls import Expression, Light, Occluder, Pose
from faceswap_core.synth.identity import identity, swap_inner_face
from faceswap_core.synth.render import render

SMALL = {"width": 240, "height": 200, "face_px": 130, "sensor_noise": 0.0}
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
PLAIN = next(
    p
    for p in map(identity, range(99))
    if (p.outer.glasses, p.outer.hair_style) == ("none", "short") and p.outer.skin < 0.3
)


def _grey(frame):
    return frame.rgb.astype(np.float64).mean(-1)


def _at(image, point):
    column, row = np.round(point).astype(int)
    return image[row, column]


def _inside(image, points):
    """Return the pixels of the points' bounding box."""
    left, top = np.floor(points.min(0)).astype(int)
    right, bottom = np.ceil(points.max(0)).astype(int)
    return image[top : bottom + 1, left : right + 1]


class TestRepeatability:
    def test_the_same_arguments_give_the_same_bits(self):
        one, two = (render(PLAIN, Expression(jaw=0.3), Pose(yaw=0.2), noise_seed=4) for _ in range(2))
        assert (one.rgb == two.rgb).all()
        assert (one.face_mask == two.face_mask).all()
        assert (one.landmarks == two.landmarks).all()

    def test_threads_do_not_change_the_bits(self):
        jobs = [(seed, yaw) for seed in range(4) for yaw in (-0.3, 0.3)]

        def picture(job):
            return render(identity(job[0]), pose=Pose(yaw=job[1]), noise_seed=job[0], width=160, height=120).rgb

        alone = [picture(job) for job in jobs]
        skin.texture.cache_clear()
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(picture, jobs))
        assert all((a == b).all() for a, b in zip(alone, together, strict=True))

    def test_noise_differs_between_frames_and_has_the_strength_asked_for(self):
        clean = render(PLAIN, **SMALL).rgb.astype(float)
        noisy = [render(PLAIN, **SMALL | {"sensor_noise": 0.02}, noise_seed=s).rgb.astype(float) for s in (0, 1)]
        assert (noisy[0] != noisy[1]).mean() > 0.5
        assert np.std(noisy[0] - clean) == pytest.approx(0.02 * 255, rel=0.1)

    def test_the_shared_background_is_not_painted_on(self):
        empty = render(PLAIN, pose=Pose(x=50), **SMALL).rgb
        render(PLAIN, **SMALL)
        assert (render(PLAIN, pose=Pose(x=50), **SMALL).rgb == empty).all()


class TestShapes:
    def test_arrays_have_the_promised_shapes_and_types(self):
        frame = render(PLAIN, width=320, height=180, face_px=90)
        assert (frame.rgb.shape, frame.rgb.dtype) == ((180, 320, 3), np.uint8)
        for mask in (frame.face_mask, frame.hair_mask, frame.occlusion_mask):
            assert (mask.shape, mask.dtype) == ((180, 320), np.float32)
        assert (frame.landmarks.shape, frame.landmarks.dtype) == ((68, 2), np.float64)
        assert (frame.landmark_visible.shape, frame.landmark_visible.dtype) == ((68,), np.bool_)

    @pytest.mark.parametrize("face_px", [16, 40, 900])
    def test_any_size_of_face_renders(self, face_px):
        frame = render(PLAIN, width=320, height=180, face_px=face_px)
        assert np.isfinite(frame.landmarks).all()

    def test_a_head_outside_of_the_frame_leaves_the_background(self):
        frame = render(PLAIN, pose=Pose(x=50), **SMALL)
        assert frame.face_mask.max() == 0
        assert not frame.landmark_visible.any()


class TestMasks:
    @pytest.mark.parametrize("seed", range(6))
    def test_masks_lie_in_0_1_and_share_no_pixel_twice(self, seed):
        frame = render(identity(seed), pose=Pose(yaw=0.5), occluder=Occluder(120, 110, 30, 12, 20), **SMALL)
        masks = np.stack([frame.face_mask, frame.hair_mask, frame.occlusion_mask])
        assert masks.min() >= 0
        assert masks.max() <= 1
        assert masks.sum(0).max() <= 1 + 1e-4
        assert (masks.reshape(3, -1).max(-1) > 0.9).all()

    def test_the_face_mask_holds_eyes_nose_and_mouth(self):
        frame = render(PLAIN, **SMALL)
        assert all(_at(frame.face_mask, point) > 0.9 for point in frame.landmarks[27:68])

    def test_the_occluder_hides_face_and_landmarks(self):
        mouth = render(PLAIN, **SMALL).landmarks[48:68].mean(0)
        frame = render(PLAIN, occluder=Occluder(*mouth, 30, 16), **SMALL)
        assert _at(frame.occlusion_mask, mouth) == 1
        assert _at(frame.face_mask, mouth) == 0
        assert not frame.landmark_visible[48:68].any()
        assert frame.landmark_visible[36:48].all()


class TestLandmarks:
    @pytest.mark.parametrize("seed", range(4))
    def test_eyes_are_dark_and_white_beside_the_cheek(self, seed):
        person = replace(identity(seed), outer=PLAIN.outer)
        frame = render(person, **SMALL)
        eye = _inside(_grey(frame), frame.landmarks[LEFT_EYE])
        assert eye.min() < 60  # pupil
        assert np.ptp(eye) > 80

    def test_the_pupil_lies_between_the_lid_landmarks(self):
        frame = render(PLAIN, **SMALL | {"face_px": 180})
        for eye in (RIGHT_EYE, LEFT_EYE):
            middle = frame.landmarks[eye].mean(0)
            assert _inside(_grey(frame), np.stack([middle - 2, middle + 2])).min() < 50

    def test_image_left_comes_first(self):
        points = render(PLAIN, **SMALL).landmarks
        assert points[36, 0] < points[39, 0] < points[42, 0] < points[45, 0]
        assert points[0, 0] < points[8, 0] < points[16, 0]
        assert points[48, 0] < points[54, 0]
        assert points[19, 1] < points[37, 1] < points[30, 1] < points[51, 1] < points[57, 1] < points[8, 1]

    def test_the_mouth_opens_with_the_jaw(self):
        inner_lips = [
            np.diff(render(PLAIN, Expression(jaw=j), **SMALL).landmarks[[62, 66], 1])[0] for j in (0, 0.4, 0.9)
        ]
        assert inner_lips[0] == pytest.approx(0, abs=0.5)
        assert inner_lips[0] + 3 < inner_lips[1] < inner_lips[2] - 3

    def test_between_open_lips_lies_the_mouth(self):
        frame = render(PLAIN, Expression(jaw=0.8), **SMALL)
        lips = frame.landmarks[[62, 66]]
        assert _at(_grey(frame), lips[0] * 0.45 + lips[1] * 0.55) < 0.6 * _at(_grey(frame), frame.landmarks[30])

    def test_the_chin_follows_the_jaw(self):
        shut, open_ = (render(PLAIN, Expression(jaw=j), **SMALL).landmarks for j in (0, 0.8))
        assert open_[8, 1] > shut[8, 1] + 3
        assert open_[27:48] == pytest.approx(shut[27:48])

    def test_a_blink_closes_one_lid(self):
        frame = render(PLAIN, Expression(blink_left=1.0), **SMALL)
        height = [np.ptp(frame.landmarks[eye, 1]) for eye in (slice(43, 48), slice(37, 42))]
        open_height = np.ptp(render(PLAIN, **SMALL).landmarks[43:48, 1])
        assert frame.landmarks[43, 1] == pytest.approx(frame.landmarks[47, 1], abs=0.3)
        assert height[0] < 0.6 * open_height
        assert height[1] > 0.8 * open_height

    def test_a_turned_head_hides_the_far_side(self):
        frame = render(PLAIN, pose=Pose(yaw=0.9), **SMALL)
        assert frame.landmark_visible[36:42].all()
        assert not frame.landmark_visible[14:17].any()


class TestPose:
    def test_a_shift_moves_the_landmarks_by_its_pixels(self):
        here = render(PLAIN, **SMALL).landmarks
        there = render(PLAIN, pose=Pose(x=0.2, y=0.1), **SMALL).landmarks
        unit = SMALL["face_px"] / HEAD_UNITS_PER_FACE
        assert there - here == pytest.approx(np.tile([0.2 * unit, -0.1 * unit], (68, 1)))

    def test_roll_turns_the_landmarks_counter_clockwise_about_the_head(self):
        here, there = (render(PLAIN, pose=Pose(roll=r), **SMALL).landmarks for r in (0, 0.4))
        center = np.array([(SMALL["width"] - 1) / 2, SMALL["height"] * 0.47])
        turn = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
        assert there - center == pytest.approx((here - center) @ turn.T)

    def test_scale_spreads_the_landmarks_about_the_head(self):
        here, there = (render(PLAIN, pose=Pose(scale=s), **SMALL).landmarks for s in (1, 1.3))
        center = np.array([(SMALL["width"] - 1) / 2, SMALL["height"] * 0.47])
        assert there - center == pytest.approx((here - center) * 1.3)

    def test_yaw_moves_the_nose_to_image_right_and_pitch_up(self):
        tip = [render(PLAIN, pose=p, **SMALL).landmarks[30] for p in (Pose(), Pose(yaw=0.3), Pose(pitch=0.3))]
        assert tip[1][0] > tip[0][0] + 5
        assert tip[2][1] < tip[0][1] - 5

    def test_the_drawn_pupil_moves_with_its_landmarks(self):
        """The darkest spot of an eye, found in the picture, follows the eye's landmarks to within a pixel."""
        person = replace(PLAIN, inner=replace(PLAIN.inner, iris=0.0))
        spots = []
        for pose in (Pose(), Pose(x=0.21, y=-0.13), Pose(roll=0.25), Pose(scale=1.2)):
            frame = render(person, pose=pose, **SMALL)
            eye = frame.landmarks[LEFT_EYE]
            left, top = np.floor(eye.min(0)).astype(int)
            weight = np.clip(45 - _inside(_grey(frame), eye), 0, None)
            rows, columns = np.indices(weight.shape)
            pupil = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum() + (left, top)
            spots.append(np.linalg.norm(pupil - eye.mean(0)))
        assert max(spots) < 3.5
        assert np.ptp(spots) < 1.2


class TestSwap:
    def test_ground_truth_equals_a_outside_of_the_face(self):
        a, b = identity(8), identity(3)
        truth, source = (render(p, **SMALL) for p in (swap_inner_face(a, b), a))
        differs = np.abs(truth.rgb.astype(int) - source.rgb).max(-1) > 12
        face = np.maximum(truth.face_mask, source.face_mask) > 0
        assert differs[face].mean() > 0.02
        assert differs[~face].mean() < 0.005

    def test_landmarks_of_the_ground_truth_are_those_of_b(self):
        a, b = identity(8), identity(3)
        truth, theirs = (render(p, **SMALL).landmarks for p in (swap_inner_face(a, b), b))
        assert truth[36:48] == pytest.approx(theirs[36:48], abs=3)


def test_light_from_the_right_brightens_the_right_cheek():
    frame = render(PLAIN, light=Light(azimuth=1.2), **SMALL)
    grey, points = _grey(frame), frame.landmarks
    cheeks = [(points[k] + points[31 if k < 8 else 35]) / 2 for k in (3, 13)]
    assert _at(grey, cheeks[1]) > _at(grey, cheeks[0]) + 15
