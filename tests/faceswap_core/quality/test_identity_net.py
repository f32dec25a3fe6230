import cv2
import numpy as np
import pytest

from faceswap_core.quality.identity_net import (
    SIDE,
    as_bytes,
    counted,
    learned,
    read_network,
    same_face_score,
    towards,
    traits_of,
)
from faceswap_core.threads import cap_threads


def drawn(traits, rng):
    """A chip whose bar is as high and as wide as two traits say, on a ground that says nothing."""
    chip = np.full((SIDE, SIDE, 3), rng.integers(60, 200, 3), np.uint8)
    height, width = (round(12 + 5 * t) for t in traits)
    cv2.ellipse(chip, (SIDE // 2, SIDE // 2), (max(width, 1), max(height, 1)), 0, 0, 360, (20, 20, 20), -1)
    return chip


@pytest.fixture(scope="module")
def known():
    cap_threads(1)
    rng = np.random.default_rng(0)
    traits = np.clip(rng.normal(size=(300, 2)), -2, 2)
    return traits, np.stack([drawn(one, rng) for one in traits])


@pytest.fixture(scope="module")
def network(known):
    return learned(known[1][:250], known[0][:250], steps=150, seed=0)


def test_traits_are_read_off_chips_that_were_not_learned(known, network):
    found = traits_of(network, known[1][250:])
    for wanted, got in zip(known[0][250:].T, found.T, strict=True):
        assert np.corrcoef(wanted, got)[0, 1] > 0.9


def test_equal_arguments_give_an_equal_network_which_comes_back_from_its_bytes(known, network, tmp_path):
    few = known[1][:64], known[0][:64]
    one, other = (as_bytes(learned(*few, steps=3, seed=1)) for _ in range(2))
    assert one == other
    assert one != as_bytes(learned(*few, steps=3, seed=2))
    (tmp_path / "n.safetensors").write_bytes(as_bytes(network))
    again = read_network(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(traits_of(again, known[1]), traits_of(network, known[1]))


def test_a_trait_that_is_not_read_off_other_people_does_not_count(known):
    """The second trait is learned by heart: nothing of a chip tells it."""
    rng = np.random.default_rng(3)
    traits = np.stack([known[0][:, 0], rng.normal(size=len(known[0]))], axis=1)
    network = learned(known[1][:250], traits[:250], steps=150, seed=0)
    before = traits_of(network, known[1])
    after = traits_of(counted(network, known[1][250:], traits[250:]), known[1])
    shares = (after * before).sum(0) / (before**2).sum(0)
    np.testing.assert_allclose(after, before * shares, atol=1e-5)
    assert shares[0] > 0.8
    assert shares[1] < 0.1


def test_score_is_one_where_faces_lie_apart_and_half_where_they_do_not():
    rng, people = np.random.default_rng(0), [n for n in range(20) for _ in range(4)]
    noise = rng.normal(size=(80, 3))
    assert same_face_score(np.array(people)[:, None] * 100.0 + noise, people) == 1
    assert same_face_score(noise, people) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_way_is_the_share_of_the_difference(share):
    rng = np.random.default_rng(0)
    plate, truth = rng.normal(size=(5, 4)), rng.normal(size=(6, 4)) + 3
    made = (plate.mean(0) + share * (truth.mean(0) - plate.mean(0)))[None]
    assert towards(made, plate, truth) == pytest.approx(share)
