import json

import pytest
from typer.testing import CliRunner

from faceswap_core.modelstore import MODEL_FILES
from flows.cli import app


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FACESWAP_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


def run(*arguments):
    result = CliRunner().invoke(app, ["models", *arguments, "--json"])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def test_list_shows_every_model_with_state_and_licence(store):
    code, events = run("list")
    assert code == 0
    found = {(e["name"], e["state"], e["licence"]) for e in events}
    assert ("mtcnn-onet", "present", "MIT") in found
    assert ("facemesh", "missing", "Apache-2.0") in found
    assert any(name == "buffalo_l" and "non-commercial" in licence for name, _, licence in found)
    assert not store.exists()


def test_list_for_people_has_the_same_words():
    text = CliRunner().invoke(app, ["models", "list"]).stdout
    assert "facemesh    missing  Apache-2.0" in text
    assert "face_landmark.tflite" in text


def test_verify_of_everything_forgives_what_was_never_pulled():
    assert run("verify")[0] == 0


def test_verify_of_a_named_model_that_is_missing_ends_with_3_and_the_command():
    code, events = run("verify", "facemesh")
    assert code == 3
    assert "`faceswap models pull facemesh`" in events[-1]["message"]


def test_verify_finds_an_altered_file(store):
    path = store / MODEL_FILES["facemesh"].relative
    path.parent.mkdir(parents=True)
    path.write_bytes(b"altered")
    code, events = run("verify")
    assert code == 3
    assert "face_landmark.tflite is altered" in events[-1]["message"]


def test_unknown_name_ends_with_2():
    assert run("verify", "unheard-of")[0] == 2
    assert run("pull", "unheard-of")[0] == 2


def test_pack_is_not_pulled_before_its_terms_were_accepted(store):
    code, events = run("pull", "buffalo_l")
    assert code == 2
    assert "--accept-noncommercial" in events[-1]["message"]
    assert not store.exists()


def test_pull_without_a_network_ends_with_3(store, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    code, events = run("pull", "facemesh")
    assert (code, events[-1]["event"]) == (3, "error")
    assert not store.exists()
