"""Mutated job files, records, lists, sidecars, task records, manifests, checkpoints, films: a typed error each.

`make test` sends a few hundred of each; FACESWAP_FUZZ sets another number, FACESWAP_FUZZ_SEED another seed.

    FACESWAP_FUZZ=2000 pytest tests/test_fuzz.py -s
"""

import json
import os
import random
import time
import tomllib
from collections import Counter
from functools import cache

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from faceswap_core.config import JobSettings
from faceswap_core.errors import FaceswapError, MediaError
from faceswap_core.jobfile import parse
from faceswap_core.models import MODELS, Build
from faceswap_core.models.checkpoint import save_weights
from faceswap_core.video.sandbox import Limits, run_limited
from tests.formats import BUILD, FACTS, JOB, KINDS, good, mutated
from tests.media_formats import FILMS, child_films, read_film, write_film

ROUNDS = int(os.environ.get("FACESWAP_FUZZ", "150"))
SEED = int(os.environ.get("FACESWAP_FUZZ_SEED", "20261121"))
SECONDS = 5.0
BATCH = 50
"""Films that one child reads."""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The folder of the inputs; nothing may be written beside it, nor where the program is called."""
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    work.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    yield work
    assert {path.name for path in tmp_path.iterdir()} <= {"work", "elsewhere", "seed"}
    assert list(elsewhere.iterdir()) == []


def seed_of(kind, folder):
    seed = folder / "seed"
    seed.mkdir(exist_ok=True)
    return good(kind, seed)


def timed(read, number):
    """Read one input: the error of ours that it ends with, or None."""
    began = time.process_time()
    error = None
    try:
        read()
    except FaceswapError as caught:
        error = caught
        assert error.exit_code in (1, 2, 5)
        assert len(str(error)) < 4000
    assert time.process_time() - began < SECONDS, number
    return error


def tell(kind, found, began):
    """Print the line of the table that SECURITY.md speaks of."""
    counts = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    print(f"\n{kind}: {found.total()} inputs, seed {SEED}, {time.monotonic() - began:.0f} s: {counts}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_file_is_taken(kind, tmp_path, work):
    (work / "input").write_bytes(seed_of(kind, tmp_path))
    KINDS[kind](work / "input")


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_input_ends_in_a_typed_error_or_is_taken(kind, tmp_path, work):
    rng, began = random.Random(f"{SEED} {kind}"), time.monotonic()
    seed = seed_of(kind, tmp_path)
    found = Counter()
    for number in range(ROUNDS):
        (work / "input").write_bytes(mutated(seed, rng))
        error = timed(lambda: KINDS[kind](work / "input"), number)
        found[type(error).__name__ if error else "read"] += 1
    assert set(found) != {"read"} or kind == "task_record"
    tell(kind, found, began)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def altered(draw, value):
    """The value with something else at one place, or with a member more or less."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.integers(0, 9)):
            case 0:
                return {name: inner for name, inner in value.items() if name != key}
            case 1:
                return {**value, draw(st.text(max_size=8)): draw(JSON)}
        return {**value, key: draw(altered(value[key]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(altered(value[at])), *value[at + 1 :]]
    return draw(JSON)


@cache
def small_network():
    return MODELS["original"](Build(**BUILD))


def read_value(kind, value, folder):
    """Read a document of the right syntax."""
    path = folder / "input"
    if kind == "job":
        parse(JobSettings, value, source="job").with_absolute_paths(folder)
    elif kind == "weights":
        save_weights(path, small_network(), value)
        KINDS[kind](path)
    else:
        path.write_text(json.dumps(value))
        KINDS[kind](path)


def value_of(kind, folder):
    """The good document of a kind."""
    if kind == "job":
        return tomllib.loads(JOB)
    if kind == "weights":
        return FACTS
    return json.loads(seed_of(kind, folder.parent))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("state", "manifest")])
def test_any_value_at_any_place_ends_in_a_typed_error_or_is_taken(kind, work):
    document, began, found = value_of(kind, work), time.monotonic(), Counter()

    @hypothesis.seed(SEED)
    @hypothesis.settings(max_examples=ROUNDS, deadline=None, database=None, print_blob=True)
    @hypothesis.given(altered(document))
    def check(value):
        error = timed(lambda: read_value(kind, value, work), value)
        found[type(error).__name__ if error else "read"] += 1

    check()
    assert set(found) != {"read"} or kind == "task_record"
    tell(f"{kind}, by hypothesis", found, began)


@pytest.mark.parametrize("suffix", FILMS)
def test_a_mutated_film_is_read_or_refused_and_ends_no_child_untold(suffix, tmp_path, work):
    seed = tmp_path / "seed" / f"good.{suffix}"
    seed.parent.mkdir()
    write_film(seed)
    assert read_film(seed) > 0
    rng, began, found = random.Random(f"{SEED} {suffix}"), time.monotonic(), Counter()
    data = seed.read_bytes()
    rounds = -(-ROUNDS // len(FILMS))
    for first in range(0, rounds, BATCH):
        paths = [work / f"{number}.{suffix}" for number in range(first, min(first + BATCH, rounds))]
        for path in paths:
            path.write_bytes(mutated(data, rng))
        found.update(outcomes(paths))
        for path in paths:
            path.unlink()
    tell(f"film.{suffix}", found, began)
    assert found.total() == rounds
    assert "fault" not in found, "what the child cannot name comes back as a MediaError that cannot say what is wrong"
    assert len(found) > 1


def outcomes(paths):
    """What the child said of each film; one that ends it is refused by name, and another child reads on."""
    said = []
    while len(said) < len(paths):
        rest = [str(path) for path in paths[len(said) :]]
        try:
            run_limited(child_films, {"paths": rest}, source=rest[0], limits=Limits(2048, SECONDS), told=said.append)
        except MediaError as error:
            said.append(f"MediaError of the sandbox: {str(error).partition(': ')[2][:40]}")
    return [word.partition(": ")[0] if word.startswith("fault") else word for word in said]


def test_a_network_larger_than_its_file_is_refused_before_it_takes_memory(tmp_path):
    path = tmp_path / "weights"
    for build in ({**BUILD, "latent": 4096, "width": 256, "resolution": 512}, {**BUILD, "width": 10**6}):
        save_weights(path, torch.nn.Linear(3, 2), {**FACTS, "build": build})
        with pytest.raises(FaceswapError):
            KINDS["weights"](path)
