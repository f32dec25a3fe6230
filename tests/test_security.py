"""Guards that have no test of their own elsewhere, each tried with what it is there against; SECURITY.md lists all."""

import importlib
import importlib.metadata
import os
import pkgutil
import re
import socket
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from prefect import Flow, Task

import flows
import tasks
from faceswap_core.errors import ConsentError, ManifestError
from faceswap_core.stages.consent import read_private, write_private
from faceswap_core.storage import Workspace
from faceswap_core.trust.boxes import XMP, uuid_box
from faceswap_core.trust.c2pa import read_stream
from tasks.records import PLAIN_JSON

ROOT = Path(__file__).parents[1]


def members(package, kind):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".cli" not in found.name and "child" not in found.name:
            yield from (v for v in vars(importlib.import_module(found.name)).values() if isinstance(v, kind))


def test_no_task_keeps_its_result_as_anything_but_plain_json():
    found = list(members(tasks, Task))
    assert len(found) > 15
    assert all(task.result_serializer == PLAIN_JSON for task in found)


def test_no_flow_keeps_a_result():
    found = list(members(flows, Flow))
    assert len(found) > 4
    assert all(flow.persist_result is False for flow in found)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "link/x", "a/./../../x", "..", "link", "a//../../../x"]
)
def test_no_reference_leaves_the_workspace(tmp_path, path):
    root = tmp_path / "ws"
    (root / "a").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ManifestError, match="leaves the workspace"):
        Workspace(root).path(path)


def test_a_path_with_a_nul_is_no_path(tmp_path):
    with pytest.raises((ManifestError, ValueError)):
        Workspace(tmp_path).path("a\0b")


def test_a_private_key_is_written_for_its_owner_alone_and_never_through_a_link(tmp_path):
    before = os.umask(0)
    try:
        write_private(tmp_path / "key", b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConsentError):
        write_private(tmp_path / "link", b"secret")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_private_key_that_others_can_read_is_not_used(tmp_path, mode):
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConsentError, match="chmod 600") as caught:
        read_private(tmp_path / "key")
    assert "secret" not in str(caught.value)


def test_every_dependency_is_pinned_exactly():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] not in "#-"]
    assert len(lines) > 80
    assert [line for line in lines if not re.match(r"[\w.\[\]-]+==\S+$", line)] == []


def test_every_test_that_the_table_names_is_there():
    table = (ROOT / "SECURITY.md").read_text().partition("## Each guard")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", table)
    assert len(named) > 16
    assert [f"{file}::{name}" for file, name in named if name not in (ROOT / "tests" / file).read_text()] == []


def test_what_is_installed_is_what_the_project_asks_for():
    """A FastAPI beyond its bound would keep Prefect's server from starting."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    assert [str(r) for r in wanted if not r.specifier.contains(importlib.metadata.version(r.name))] == []
    (fastapi,) = (r for r in wanted if r.name == "fastapi")
    assert not fastapi.specifier.contains("0.159.1")
    assert not fastapi.specifier.contains("0.165.0")


def test_a_manifest_that_names_an_address_makes_nobody_call_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/manifest.c2pa"
        packet = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
            f'dcterms:provenance="{address}"/></rdf:RDF></x:xmpmeta>'
        )
        path = tmp_path / "clip.mp4"
        path.write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + uuid_box(XMP, packet.encode()))
        with path.open("rb") as stream:
            assert read_stream(stream, "video/mp4", [])["state"] != "Trusted"
        with pytest.raises(TimeoutError):
            listener.accept()
