"""seeds -> a small network that tells rendered actors apart, and how well it does on actors it never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import NamedTuple, TypedDict

import numpy as np

from faceswap_core import layout
from faceswap_core.faces.geometry import compose, fit_similarity, invert, similarity_matrix, template5, template_to_chip
from faceswap_core.quality.identity_net import (
    SIDE,
    IdentityNet,
    as_bytes,
    counted,
    learned,
    same_face_score,
    towards,
    traits_of,
)
from faceswap_core.stages.align import warp_chip
from faceswap_core.stages.detect import five_of_68
from faceswap_core.storage import Workspace
from faceswap_core.synth import Identity, identity, render
from faceswap_core.synth.identity import swap_inner_face
from faceswap_core.synth.performance import performance
from faceswap_core.threads import cap_threads
from faceswap_core.types import F64, U8, FileRef, Progress, no_progress

_FIRST = 50_000_000
"""Seeds of people from here on are learned from, those before it judged by; actors have others."""
_VIEWS = 8
"""Pictures of each person."""
_UNSEEN, _SKIPPED = 24, 24
"""People that are not learned from, to be judged by; before them, those by whom the way to learn was chosen."""
_HELD_OUT = 5
"""One head of so many is kept from the network, and shows what it reads of people it did not learn from."""
_STEPS = 1500
_FACE, _PICTURE = 64, 96
"""Height of a head and side of its picture, px."""
_TO_CHIP: F64 = template_to_chip(SIDE, 0.5, 1.0, 0.5)
LEAST_RECOGNISED = 0.9
"""Share of true swaps of unseen people that must be nearer to the face than to the head, for the network to be used."""


class Validation(TypedDict):
    """How well the network does on people that it never saw."""

    same_face_score: float
    """How often two pictures of one face are nearer than two of different faces; .5 is chance."""
    recognised: float
    """Share of pictures of true swaps (one's head, another's inner face) that are nearer to the face's owner."""
    transfer: float
    """How far a true swap goes from the head's owner to the face's; 1 is all of the way."""
    people: int
    """Unseen people."""


class IdentityJudge(TypedDict):
    """A trained network."""

    weights: FileRef
    """Its weights."""
    validation: Validation
    """What it is worth."""


class Shown(NamedTuple):
    """Pictures of one face."""

    chips: U8
    """(N, 48, 48, 3)."""
    traits: F64
    """(K,), not normalised."""


def train_identity_judge(
    workspace: Workspace, heads: int, seed: int, progress: Progress = no_progress
) -> IdentityJudge:
    """Render heads, learn to read the traits of their inner faces, and judge that on unseen people's true swaps.

    A part of the heads is kept back: by them each trait counts as far as it is read.

    Args:
        workspace: where the weights go.
        heads: people that are learned from; inner face and all the rest are drawn apart.
        seed: of all that is random.
        progress: told head by head.
    """
    cap_threads(1)
    total = heads + 2 * _UNSEEN
    shown = []
    for number in range(heads):
        shown.append(_shown(identity(_FIRST + number), _VIEWS, seed + number))
        progress(number + 1, total, "heads")
    traits = np.stack([one.traits for one in shown])
    aims = np.repeat((traits - traits.mean(0)) / traits.std(0), _VIEWS, axis=0)
    chips, held = np.concatenate([one.chips for one in shown]), heads // _HELD_OUT * _VIEWS
    network = learned(chips[held:], aims[held:], steps=_STEPS, seed=seed)
    if held:
        network = counted(network, chips[:held], aims[:held])
    validation = _validated(network, seed + heads, lambda done: progress(heads + done, total, "heads"))
    weights = workspace.publish_bytes(layout.IDENTITY, f"identity-{seed}", ".safetensors", as_bytes(network))
    return IdentityJudge(weights=weights, validation=validation)


def identity_chip(picture: U8, points5: F64) -> U8:
    """What the network is shown of a face: (48, 48, 3), placed by its five points (5, 2) px."""
    to_picture = similarity_matrix(fit_similarity(template5(), points5))
    return warp_chip(picture, compose(_TO_CHIP, invert(to_picture)), SIDE)


def _shown(person: Identity, views: int, seed: int) -> Shown:
    """Pictures of a person in as many lights and poses, each in the midst of another expression."""
    apart = 10
    moments = performance(apart * views, seed=seed, cuts=tuple(range(apart, apart * views, apart)))[apart // 2 :: apart]
    chips = []
    for number, moment in enumerate(moments):
        pose = replace(moment.pose, x=0.0, y=0.0, scale=1.0)
        drawn = render(
            person,
            moment.expression,
            pose,
            moment.light,
            width=_PICTURE,
            height=_PICTURE,
            face_px=_FACE,
            background_seed=seed + number,
            noise_seed=seed + number,
        )
        chips.append(identity_chip(drawn.rgb, five_of_68(drawn.landmarks.astype(np.float32)).astype(np.float64)))
    return Shown(np.stack(chips), np.array(list(asdict(person.inner).values())))


def _validated(network: IdentityNet, seed: int, progress: Callable[[int], None]) -> Validation:
    """Judge unseen people: each as they are, and each with the inner face of the next on their head."""
    people = [identity(_FIRST - 1 - _SKIPPED - number) for number in range(_UNSEEN)]
    own, swapped = [], []
    for number, person in enumerate(people):
        true_swap = swap_inner_face(person, people[(number + 1) % _UNSEEN])
        own.append(_traits(network, person, seed + 2 * number))
        swapped.append(_traits(network, true_swap, seed + 2 * number + 1))
        progress(2 * (number + 1))
    nearer, ways = [], []
    for number, made in enumerate(swapped):
        plate, truth = own[number], own[(number + 1) % _UNSEEN]
        to_plate, to_truth = (np.linalg.norm(made - other.mean(0), axis=1) for other in (plate, truth))
        nearer.append(float((to_truth < to_plate).mean()))
        ways.append(towards(made, plate, truth))
    everyone = [number for number in range(_UNSEEN) for _ in range(_VIEWS)]
    owners = [(number + 1) % _UNSEEN for number in everyone]
    score = same_face_score(np.concatenate([*own, *swapped]), everyone + owners)
    return Validation(
        same_face_score=score, recognised=float(np.mean(nearer)), transfer=float(np.mean(ways)), people=_UNSEEN
    )


def _traits(network: IdentityNet, person: Identity, seed: int) -> F64:
    return traits_of(network, _shown(person, _VIEWS, seed).chips).astype(np.float64)
