"""Records of a workspace in a bucket: what Prefect reads is what was judged, whoever wrote it."""

import hashlib
import json

import pytest

from faceswap_core import layout, patience
from faceswap_core.errors import ResourceError
from faceswap_core.storage import CACHE_VARIABLE, Workspace
from tasks.records import PLAIN_JSON, Records, admit
from tests.objectstores import BUCKET, CREDENTIALS, s3_server

KEY = "stage-" + "0" * 64


@pytest.fixture(scope="module")
def server():
    with s3_server() as running:
        yield running


@pytest.fixture
def place(server, monkeypatch, request, tmp_path):
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": server.url, CACHE_VARIABLE: str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    yield f"s3://{BUCKET}/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
    server.fault = None


def record(ref):
    metadata = {"storage_key": "x", "serializer": PLAIN_JSON.model_dump(mode="json")}
    return json.dumps({"metadata": metadata, "result": json.dumps(ref)}).encode()


def name_of(place):
    return f"{place.removeprefix(f's3://{BUCKET}/')}/{layout.result_record(KEY)}"


def read(place):
    return Records(workspace=place).read_path(KEY, _sync=True)


def test_a_record_is_put_where_another_machine_finds_it(server, place, monkeypatch, tmp_path):
    ref = Workspace(place).publish_bytes("stage", "x", ".bin", b"x")
    Records(workspace=place).write_path(KEY, record(ref), _sync=True)
    assert server.get(name_of(place)) == record(ref)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "two"))
    assert admit(place, KEY)
    assert read(place) == record(ref)


def test_a_record_whose_object_is_gone_is_removed_everywhere(server, place):
    ref = Workspace(place).publish_bytes("stage", "x", ".bin", b"x")
    Records(workspace=place).write_path(KEY, record(ref), _sync=True)
    server.delete(name_of(place).partition("/")[0] + "/" + ref["path"])
    Workspace(place).begin()
    assert admit(place, KEY)
    assert name_of(place) not in server.names()
    with pytest.raises(ValueError, match="does not exist"):
        read(place)


@pytest.mark.parametrize("planted", [b"not json", b'{"metadata": {"serializer": {"type": "pickle"}}, "result": ""}'])
def test_a_planted_record_is_removed_before_prefect_reads_any(server, place, planted):
    server.put(name_of(place), planted)
    assert admit(place, KEY)
    assert name_of(place) not in server.names()
    with pytest.raises(ValueError, match="does not exist"):
        read(place)


def test_a_record_that_was_removed_elsewhere_is_not_read_here(server, place):
    ref = Workspace(place).publish_bytes("stage", "x", ".bin", b"x")
    Records(workspace=place).write_path(KEY, record(ref), _sync=True)
    server.delete(name_of(place))
    Workspace(place).begin()
    assert admit(place, KEY)
    with pytest.raises(ValueError, match="does not exist"):
        read(place)


def test_no_record_is_lost_to_a_store_that_does_not_answer(server, place, monkeypatch, tmp_path):
    ref = Workspace(place).publish_bytes("stage", "x", ".bin", b"x")
    Records(workspace=place).write_path(KEY, record(ref), _sync=True)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "two"))
    Workspace(place).refresh(layout.result_record(KEY))
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.2)
    server.fault = 0.0
    with pytest.raises(ResourceError):
        admit(place, KEY)
    server.fault = None
    assert server.get(name_of(place)) == record(ref)
