import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faceswap_core.faces.geometry import (
    apply,
    chip_to_view,
    compose,
    fit_similarity,
    head_pose,
    invert,
    similarity_matrix,
    template5,
    template_to_chip,
)
from faceswap_core.models.augment import plain_views

factors = st.floats(-40, 40)
shifts = st.floats(-3000, 3000)
similarities = st.tuples(factors, factors, shifts, shifts).filter(lambda s: np.hypot(s[0], s[1]) > 0.05).map(np.array)
points = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=8).map(np.array)
matrices = st.tuples(*[st.floats(-5, 5)] * 4, *[st.floats(-500, 500)] * 2).map(
    lambda v: np.array([[v[0], v[1], v[4]], [v[2], v[3], v[5]]])
)


def determinant(m):
    return m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]


def spread(p):
    return np.linalg.norm(p - p.mean(0), axis=1).max()


@given(similarities, points)
def test_fit_finds_any_similarity_again(similarity, source):
    assume(spread(source) > 1)
    target = apply(similarity_matrix(similarity), source)
    np.testing.assert_allclose(fit_similarity(source, target), similarity, atol=1e-6, rtol=1e-6)


@given(points)
def test_fit_never_reflects(source):
    assume(spread(source) > 1)
    mirrored = source * [-1, 1]
    matrix = similarity_matrix(fit_similarity(source, mirrored))
    assert determinant(matrix) >= 0


def test_fit_of_one_place_to_one_place_is_finite():
    assert np.isfinite(fit_similarity(np.ones((5, 2)), np.zeros((5, 2)))).all()


@given(similarities, st.integers(0, 2**31))
def test_fit_is_the_best_one(similarity, seed):
    rng = np.random.default_rng(seed)
    target = apply(similarity_matrix(similarity), template5()) + rng.normal(0, 0.3, (5, 2))
    best = fit_similarity(template5(), target)

    def error(s):
        return ((apply(similarity_matrix(s), template5()) - target) ** 2).sum()

    for step in np.vstack([np.eye(4), -np.eye(4)]) * 1e-3:
        assert error(best + step) >= error(best) - 1e-9


def test_fit_equals_what_insightface_estimates():
    # the template is that of ArcFace in units of the eyes' distance: back in pixels both must give one matrix
    with warnings.catch_warnings():
        # scikit-image renamed the call that insightface makes; insightface has not followed yet
        warnings.simplefilter("ignore", FutureWarning)
        from insightface.utils.face_align import arcface_dst, estimate_norm

        rng = np.random.default_rng(4)
        for _ in range(20):
            turn, size = rng.uniform(-np.pi / 2, np.pi / 2), rng.uniform(30, 300)
            face = similarity_matrix([size * np.cos(turn), size * np.sin(turn), *rng.uniform(0, 1000, 2)])
            landmarks = apply(face, template5()) + rng.normal(0, size / 20, (5, 2))
            theirs = np.asarray(estimate_norm(landmarks.astype(np.float64), 112))[:2]
            ours = similarity_matrix(fit_similarity(landmarks, np.asarray(arcface_dst, np.float64)))
            np.testing.assert_allclose(ours, theirs, atol=1e-3)


@given(matrices, points)
def test_inverse_brings_points_back(matrix, source):
    assume(abs(determinant(matrix)) > 0.1)
    back = apply(invert(matrix), apply(matrix, source))
    np.testing.assert_allclose(back, source, atol=1e-6)
    np.testing.assert_allclose(invert(invert(matrix)), matrix, atol=1e-6)


@given(matrices, matrices, points)
def test_compose_applies_the_first_then_the_second(first, second, source):
    both = apply(compose(second, first), source)
    np.testing.assert_allclose(both, apply(second, apply(first, source)), atol=1e-6)


def test_empty_points_stay_empty():
    assert apply(np.eye(2, 3), np.empty((0, 2))).shape == (0, 2)


def test_template_has_eyes_one_apart_about_the_origin():
    eyes = template5()[:2]
    assert np.linalg.norm(eyes[1] - eyes[0]) == pytest.approx(1)
    np.testing.assert_allclose(eyes.mean(0), 0, atol=1e-12)
    assert (template5()[2:, 1] > 0).all(), "nose and mouth lie below the eyes"


@pytest.mark.parametrize(("size", "eyes", "coverage"), [(128, 0.47, 0.625), (256, 0.5, 1.0), (64, 0.3, 0.5)])
def test_chip_shows_the_eyes_at_the_wanted_distance(size, eyes, coverage):
    left, right, *_ = apply(template_to_chip(size, eyes, coverage, 0.45), template5())
    assert np.linalg.norm(right - left) == pytest.approx(eyes * coverage * size)
    in_view = apply(chip_to_view(size, coverage, 64), np.stack([left, right]))
    assert np.linalg.norm(in_view[1] - in_view[0]) == pytest.approx(eyes * 64)


@pytest.mark.parametrize("below", [0.45, 0.0, 0.5])
def test_chip_is_centred_below_the_eyes(below):
    centre = apply(template_to_chip(128, 0.47, 0.625, below), np.array([[0, below]]))
    np.testing.assert_allclose(centre, [[63.5, 63.5]])


@pytest.mark.parametrize(("size", "coverage", "resolution"), [(128, 0.625, 64), (64, 0.625, 64), (128, 0.5, 64)])
def test_view_is_the_inner_square_of_the_chip(size, coverage, resolution):
    margin = (1 - coverage) / 2 * size
    edges = np.array([[margin - 0.5, margin - 0.5], [size - margin - 0.5, size - margin - 0.5]])
    there = apply(chip_to_view(size, coverage, resolution), edges)
    np.testing.assert_allclose(there, [[-0.5, -0.5], [resolution - 0.5, resolution - 0.5]], atol=1e-9)


@pytest.mark.parametrize(("size", "coverage", "resolution"), [(128, 0.625, 64), (96, 0.75, 128), (128, 0.5, 64)])
def test_matrix_to_the_view_is_the_one_that_views_are_cut_by(size, coverage, resolution):
    """A ramp shows where each pixel of the view came from."""
    ramp = np.zeros((1, size, size, 4), np.uint8)
    ramp[..., 0] = np.arange(size)[None, :] * (255 // size)
    ramp[..., 1] = np.arange(size)[:, None] * (255 // size)
    view = plain_views(ramp, resolution=resolution, coverage=coverage)[0]
    places = np.stack(np.meshgrid(np.arange(resolution), np.arange(resolution)), -1).reshape(-1, 2).astype(float)
    wanted = apply(invert(chip_to_view(size, coverage, resolution)), places) * (255 // size)
    assert np.abs(view[..., :2].reshape(-1, 2) - wanted).max() < 1.01


def turned(points5, degrees):
    angle = np.radians(degrees)
    return points5 @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@given(st.floats(-80, 80), st.floats(10, 300))
def test_roll_is_the_slope_of_the_eyes_and_leaves_the_rest(degrees, size):
    straight = head_pose(template5() * size)
    tilted = head_pose(turned(template5() * size, degrees))
    assert tilted[2] == pytest.approx(straight[2] + degrees, abs=1e-6)
    np.testing.assert_allclose(tilted[:2], straight[:2], atol=1e-6)


def test_nose_to_the_right_is_a_positive_yaw():
    face = template5()
    face[2, 0] += 0.2
    assert head_pose(face)[0] > 10 > head_pose(template5())[0] > -5


def test_pose_of_collapsed_points_is_finite():
    assert np.isfinite(head_pose(np.zeros((5, 2)))).all()
