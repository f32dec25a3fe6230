import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from faceswap_core.faces.geometry import apply, similarity_matrix, template5
from faceswap_core.faces.steadying import jitter, runs, smooth_series, steady
from faceswap_core.faces.tracks import Track

series = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.floats(-1000, 1000)))


class TestSmoothing:
    @given(st.integers(1, 30), st.integers(0, 8), st.floats(-100, 100), st.floats(-10, 10), st.floats(-1, 1))
    def test_steady_and_accelerated_motion_pass_unchanged_at_the_ends_too(self, count, radius, start, speed, more):
        t = np.arange(count)
        values = (start + speed * t + more * t * t)[:, None]
        np.testing.assert_allclose(smooth_series(values, radius), values, atol=1e-6)

    @given(series, st.integers(0, 6))
    def test_is_the_same_backwards(self, values, radius):
        np.testing.assert_allclose(smooth_series(values[::-1], radius)[::-1], smooth_series(values, radius), atol=1e-6)

    @pytest.mark.parametrize("radius", [2, 3, 5])
    def test_reach_ends_at_the_radius(self, radius):
        values = np.random.default_rng(0).normal(size=(30, 2))
        changed = values.copy()
        changed[15] += 100
        moved = np.abs(smooth_series(changed, radius) - smooth_series(values, radius)).max(1) > 1e-9
        assert np.flatnonzero(moved).tolist() == list(range(15 - radius, 15 + radius + 1))

    def test_noise_is_reduced_and_more_so_with_a_longer_reach(self):
        noise = np.random.default_rng(0).normal(size=(400, 1))
        spread = [smooth_series(noise, radius).std() for radius in (0, 2, 4, 8)]
        assert spread[0] > 1.3 * spread[1]
        assert spread == sorted(spread, reverse=True)

    def test_slow_wave_keeps_its_phase_and_height(self):
        t = np.arange(200)
        wave = np.sin(t / 10)[:, None]
        out = smooth_series(wave, 5)
        assert np.argmax(np.correlate(out[:, 0], wave[:, 0], "full")) == len(t) - 1
        assert out.max() > 0.995

    def test_a_sample_that_counts_little_is_hardly_followed(self):
        values = np.zeros((21, 1))
        values[10] = 10
        weights = np.ones(21)
        weights[10] = 0.02
        assert smooth_series(values, 4, weights)[10, 0] < 0.2
        assert smooth_series(values, 4)[10, 0] > 2

    @given(series, st.integers(0, 6), st.floats(0.1, 10))
    def test_weights_that_are_all_equal_do_not_matter(self, values, radius, weight):
        weighed = smooth_series(values, radius, np.full(len(values), weight))
        np.testing.assert_allclose(weighed, smooth_series(values, radius), atol=1e-6)

    def test_radius_zero_changes_nothing(self):
        values = np.random.default_rng(0).normal(size=(9, 3))
        np.testing.assert_array_equal(smooth_series(values, 0), values)

    @given(st.integers(0, 4))
    def test_few_samples_pass(self, radius):
        for count in (0, 1, 2, 3):
            values = np.arange(count * 2, dtype=float).reshape(count, 2) ** 2
            np.testing.assert_allclose(smooth_series(values, radius), values, atol=1e-9)


def track(points, frames=None, interpolated=None, scores=None):
    count = len(points)
    return Track(
        track_id=0,
        shot=0,
        frame_index=np.arange(count) if frames is None else np.array(frames),
        face_index=np.zeros(count, int),
        boxes_xyxy=np.zeros((count, 4)),
        scores=np.ones(count) if scores is None else np.array(scores),
        points5_raw=np.array(points, float),
        interpolated=np.zeros(count, bool) if interpolated is None else np.array(interpolated),
    )


def moving(count=60, noise=0.0, seed=0):
    """Points (N, 5, 2) of a face of 40 px between the eyes that drifts, turns by more than a half circle, and grows."""
    t = np.arange(count) / count
    scale = 40 * np.exp(0.3 * t + 1j * 4 * t)
    points = (template5() @ [1, 1j])[None] * scale[:, None] + (100 + 80 * t + 60j * t)[:, None]
    noisy = np.stack([points.real, points.imag], -1)
    return noisy + np.random.default_rng(seed).normal(0, noise, noisy.shape) if noise else noisy


def fitted(similarities):
    return np.array([apply(similarity_matrix(s), template5()) for s in similarities])


class TestSteady:
    def test_points_and_similarity_of_a_still_face_lose_their_jitter(self):
        points = np.repeat(template5()[None] * 40 + 100, 200, 0)
        noisy = points + np.random.default_rng(0).normal(0, 0.4, points.shape)
        steadied = steady(track(noisy), points_radius=3, similarity_radius=5)
        known = np.ones(200, bool)
        before = jitter(noisy, np.arange(200), known)
        assert before == pytest.approx(0.01, rel=0.15)
        assert jitter(steadied.points5, np.arange(200), known) < before / 4
        assert jitter(fitted(steadied.similarities), np.arange(200), known) < before / 10

    def test_a_face_that_moves_turns_and_grows_is_followed(self):
        points = moving()
        steadied = steady(track(points), points_radius=3, similarity_radius=5)
        assert np.abs(steadied.points5 - points).max() < 0.01
        assert np.abs(fitted(steadied.similarities) - points).max() < 0.01

    def test_a_full_turn_has_no_seam(self):
        angles = np.linspace(2.5, 4.5, 40)  # past pi, where an angle jumps
        points = np.array(
            [template5() @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) * 40 for a in angles]
        )
        assert (
            np.abs(fitted(steady(track(points), points_radius=3, similarity_radius=5).similarities) - points).max()
            < 0.05
        )

    def test_interpolated_and_unsure_faces_hardly_count(self):
        points = np.repeat(template5()[None] * 40 + 100, 31, 0)
        wrong = points.copy()
        wrong[15] += 8
        sure = steady(track(wrong), points_radius=4, similarity_radius=4)
        unsure = steady(
            track(wrong, scores=[0.05 if i == 15 else 1 for i in range(31)]), points_radius=4, similarity_radius=4
        )
        filled = steady(track(wrong, interpolated=[i == 15 for i in range(31)]), points_radius=4, similarity_radius=4)
        errors = [np.abs(s.points5 - points).max() for s in (sure, unsure, filled)]
        assert errors == sorted(errors, reverse=True)
        assert errors[2] < 0.4 < 2 < errors[0]
        assert np.abs(fitted(filled.similarities) - points).max() < 0.4

    def test_nothing_beyond_an_open_gap_counts(self):
        points, frames = moving(40, noise=0.5), [*range(20), *range(25, 45)]
        apart = [steady(track(points[s]), points_radius=8, similarity_radius=8) for s in (slice(20), slice(20, 40))]
        both = steady(track(points, frames), points_radius=8, similarity_radius=8)
        np.testing.assert_allclose(both.points5, np.concatenate([s.points5 for s in apart]))
        np.testing.assert_allclose(both.similarities, np.concatenate([s.similarities for s in apart]), atol=1e-9)

    def test_with_both_filters_off_the_similarity_is_that_of_the_points(self):
        from faceswap_core.faces.geometry import fit_similarity

        points = moving(10, noise=1.0)
        steadied = steady(track(points), points_radius=0, similarity_radius=0)
        np.testing.assert_array_equal(steadied.points5, points)
        np.testing.assert_allclose(steadied.similarities, [fit_similarity(template5(), p) for p in points], atol=1e-9)


def test_runs_end_where_frames_are_missing():
    assert runs(np.array([3, 4, 5, 9, 10, 12])) == [slice(0, 3), slice(3, 5), slice(5, 6)]
    assert runs(np.empty(0, int)) == []


class TestJitter:
    def noisy(self, count=400, noise=0.02):
        return template5()[None] + np.random.default_rng(0).normal(0, noise, (count, 5, 2))

    def of(self, points, frames=None, measured=None):
        count = len(points)
        known = np.ones(count, bool) if measured is None else np.array(measured)
        return jitter(points, np.arange(count) if frames is None else np.array(frames), known)

    def test_is_the_spread_of_independent_noise_in_eye_distances(self):
        assert self.of(self.noisy()) == pytest.approx(0.02, rel=0.1)

    def test_does_not_depend_on_the_size_of_the_face(self):
        assert self.of(self.noisy() * 200) == pytest.approx(self.of(self.noisy() * 20))

    def test_of_straight_motion_is_zero(self):
        assert self.of(template5()[None] * 30 + np.arange(10)[:, None, None]) == pytest.approx(0, abs=1e-12)

    def test_is_taken_where_the_face_is_calm(self):
        points = self.noisy(300)
        points[150:] += 3 * np.sin(np.arange(150))[:, None, None]
        assert self.of(points) == pytest.approx(0.02, rel=0.2)

    def test_leaves_out_faces_that_were_not_measured_and_frames_that_are_missing(self):
        points = self.noisy(30)
        points[::3] += 100
        assert self.of(points, measured=[i % 3 != 0 for i in range(30)]) is None
        assert self.of(self.noisy(30), frames=np.arange(30) * 2) is None
        good = self.noisy(200)
        spoilt = np.insert(good, 100, 500, axis=0)
        assert self.of(spoilt, measured=[i != 100 for i in range(201)]) == pytest.approx(self.of(good), rel=0.1)

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_of_too_few_frames_is_unknown(self, count):
        assert self.of(np.zeros((count, 5, 2))) is None
