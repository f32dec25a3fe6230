"""Both kinds of inbox, by the same tests."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from faceswap_core.inboxes import inbox_at
from tests.objectstores import BUCKET, CREDENTIALS, s3_server


@pytest.fixture(scope="module")
def store():
    with s3_server() as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def place(request, store, tmp_path, monkeypatch):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "box" if request.param == "folder" else f"s3://{BUCKET}/{tmp_path.name}/box"


@pytest.fixture
def box(place):
    return inbox_at(place)


def test_job_files_are_listed_and_others_are_not(box):
    for name in ("b.toml", "a.toml", "a.txt", "claimed/c.toml", "claimed/c.run"):
        box.write(name, b"x")
    assert box.names() == ["a.toml", "b.toml"]
    assert box.names("claimed") == ["claimed/c.toml"]
    assert box.names("done") == []


def test_what_is_written_is_read_moved_and_removed(box):
    box.write("claimed/a.run", b"1")
    box.write("claimed/a.run", b"2")
    box.move("claimed/a.run", "done/a.run")
    assert box.read("claimed/a.run") is None
    assert box.read("done/a.run") == b"2"
    box.move("claimed/gone.run", "done/gone.run")
    assert box.read("done/gone.run") is None
    box.remove("done/a.run")
    box.remove("done/a.run")
    assert box.read("done/a.run") is None


def test_of_many_watchers_one_claims(place):
    watchers = [inbox_at(place) for _ in range(8)]
    for number in range(5):
        watchers[0].write(f"{number}.toml", b"name")
    names = watchers[0].names()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda watcher: [watcher.claim(name) for name in names], watchers))
    assert watchers[0].names() == []
    claimed = watchers[0].names("claimed")
    assert len(claimed) == 5
    assert {watchers[0].read(name) for name in claimed} == {b"name"}


def test_a_file_given_again_is_another_one(box):
    box.write("a.toml", b"name")
    box.claim("a.toml")
    (first,) = box.names("claimed")
    identity = box.identity(first)
    box.write("a.toml", b"name ")
    box.claim("a.toml")
    first, second = box.names("claimed")
    assert len({box.identity(name) for name in (first, second)}) == 2
    assert identity in (box.identity(first), box.identity(second)), "it stays the same"
    assert box.free(first) == first or box.read(box.free(first)) is None


def test_a_claim_that_was_cut_off_is_finished_by_the_next_watcher(store, tmp_path, monkeypatch):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    killed, after = (inbox_at(f"s3://{BUCKET}/{tmp_path.name}") for _ in range(2))
    after.write("a.toml", b"name")
    monkeypatch.setattr(killed.store, "delete", lambda names: None)  # as if it had been killed before
    killed.claim("a.toml")
    assert after.names() == ["a.toml"]
    claimed = after.names("claimed")
    after.claim("a.toml")
    assert (after.names(), after.names("claimed")) == ([], claimed)


def test_a_file_written_anew_while_it_is_claimed_is_not_lost(store, tmp_path, monkeypatch):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    box = inbox_at(f"s3://{BUCKET}/{tmp_path.name}")
    box.write("a.toml", b"one")
    put = box.store.write

    def overtaken(name, data, replaces="anything"):
        put("a.toml", b"two")
        return put(name, data, replaces)

    monkeypatch.setattr(box.store, "write", overtaken)
    box.claim("a.toml")
    assert box.read("a.toml") == b"two"
    assert [box.read(name) for name in box.names("claimed")] == [b"one"]


def test_what_is_no_small_file_is_left_where_it_is(store, tmp_path, monkeypatch, caplog):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": store.url}.items():
        monkeypatch.setenv(name, value)
    box = inbox_at(f"s3://{BUCKET}/{tmp_path.name}")
    box.write("a.toml", bytes(9 * 1024 * 1024))
    box.claim("a.toml")
    assert box.names() == ["a.toml"]
    assert "left where it is" in caplog.text
