import numpy as np
import pytest

from faceswap_core.faces.diversity import duplicates, expression, quality, spread_out, standardised, strangeness


def test_far_points_are_chosen_before_near_ones():
    features = np.array([[0.0, 0], [0.1, 0], [0, 0.1], [5, 0], [-5, 0], [0, 3]])
    assert set(spread_out(features, np.ones(6), 4).tolist()) == {0, 3, 4, 5}


def test_of_two_alike_the_weightier_is_chosen():
    features = np.array([[0.0], [4.0], [4.0]])
    assert spread_out(features, np.array([1, 0.5, 0.9]), 2).tolist() == [0, 2]


@pytest.mark.parametrize("count", [0, 1, 7, 50])
def test_no_face_is_chosen_twice_and_none_that_is_not_there(count):
    features = np.zeros((7, 3))
    chosen = spread_out(features, np.ones(7), count)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, 7)
    assert len(spread_out(np.empty((0, 3)), np.empty(0), count)) == 0


def test_what_hardly_differs_is_not_blown_up():
    figures = np.column_stack([np.linspace(0, 0.1, 11), np.linspace(-50, 50, 11)])
    found = standardised(figures, [5, 5])
    assert np.ptp(found[:, 0]) < 0.03
    assert np.ptp(found[:, 1]) > 2
    unknown = standardised(np.array([[1.0], [np.nan], [3.0]]), [1])
    assert unknown.ravel().tolist() == [-1, 0, 1]


def faces(count, seed=0):
    rng = np.random.default_rng(seed)
    base = np.kron(rng.integers(40, 200, (6, 6)), np.ones((4, 4)))
    return np.clip(base + rng.normal(0, 4, (count, 24, 24)), 0, 255).astype(np.uint8)


def test_expression_tells_an_open_mouth_and_not_the_light():
    thumbnails = faces(40)
    thumbnails[20:, 17:21, 9:15] = 0
    thumbnails[::2] = (thumbnails[::2] * 0.7).astype(np.uint8)
    first = expression(thumbnails)[:, 0]
    assert min(abs(first[:20].mean() - first[20:].mean()), 9) > 8 * max(first[:20].std(), first[20:].std())
    assert abs(first[:20:2].mean() - first[1:20:2].mean()) < 0.1


def test_a_face_unlike_all_others_is_strange():
    thumbnails = np.concatenate([faces(30), faces(1, seed=9)])
    found = strangeness(thumbnails)
    assert found.argmax() == 30
    assert found[30] > 0.5 > 10 * found[:30].max()
    assert strangeness(thumbnails[:1]).tolist() == pytest.approx([0], abs=1e-6)
    assert len(strangeness(thumbnails[:0])) == 0


def test_blur_occlusion_and_strangeness_count_against_a_face():
    sharp = np.array([100.0, 100, 100, 100, 5])
    weight = quality(sharp, np.array([0, 0, 0.5, 0, 0]), np.array([0, 0.9, 0, 0, 0.0]))
    assert weight[3] > 2 * max(weight[1], weight[4])
    assert weight[3] > 1.5 * weight[2]
    assert (weight > 0).all()


def test_near_duplicates_are_the_later_ones():
    hashes = np.array([0b0, 0b1111, 0b11111, 2**64 - 1, 2**63 - 1, 0], np.uint64)
    assert duplicates(hashes).tolist() == [False, True, False, False, True, True]
    assert duplicates(hashes, bits=0).tolist() == [False, False, False, False, False, True]
