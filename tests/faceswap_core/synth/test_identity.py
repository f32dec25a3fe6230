"""People are drawn from seeds; a swap takes each part from the right person."""

from typing import get_args

import pytest

from faceswap_core.synth.identity import HairStyle, identity, swap_inner_face


def test_the_same_seed_is_the_same_person():
    assert identity(5) == identity(5)


def test_different_seeds_are_different_people():
    assert len({identity(seed) for seed in range(50)}) == 50


def test_swap_keeps_the_outer_head_of_a_and_takes_the_inner_face_of_b():
    a, b = identity(1), identity(2)
    swapped = swap_inner_face(a, b)
    assert swapped.outer == a.outer
    assert swapped.inner == b.inner


def test_swapping_a_person_with_itself_changes_nothing():
    assert swap_inner_face(identity(3), identity(3)) == identity(3)


@pytest.mark.parametrize("style", get_args(HairStyle))
def test_every_hair_style_is_drawn_for_some_seed(style):
    assert any(identity(seed).outer.hair_style == style for seed in range(60))


def test_some_people_wear_glasses_and_some_a_beard_and_some_neither():
    people = [identity(seed).outer for seed in range(60)]
    assert {p.glasses for p in people} == {"none", "round", "square"}
    assert {p.beard > 0.3 for p in people} == {True, False}
