"""A delivered folder comes from anywhere: its table is read by a limited child, and its names lead nowhere else."""

import pytest

from faceswap_core import manifest, outfolder
from faceswap_core.outfolder import TABLE, place
from faceswap_core.schemas import DELIVERY
from faceswap_core.stages import authenticity
from faceswap_core.stages.authenticity import check_output
from faceswap_core.storage import Workspace, sha256_file
from faceswap_core.video.sandbox import Limits, run_limited


@pytest.fixture
def folder(tmp_path):
    """A folder with a picture and the table that names it."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "frame.png").write_bytes(b"picture")
    return path


def write_table(folder, *names):
    workspace = Workspace(folder.parent / "ws")
    rows = [{"files": [{"file": name, "sha256": sha256_file(folder / name)}]} for name in names]
    table = manifest.publish(workspace, "t", "frames", DELIVERY, rows)
    place(workspace.path(table["path"]), folder / TABLE)


def files_check(folder):
    return next(check for check in check_output(folder, []) if check.name == "files")


def test_the_table_is_never_parsed_by_this_process(folder, monkeypatch):
    write_table(folder, "frame.png")
    monkeypatch.setattr(outfolder.pq, "ParquetFile", None)
    assert files_check(folder).passed


def test_a_table_that_hits_a_limit_of_its_child_is_named(folder, monkeypatch):
    write_table(folder, "frame.png")
    tight = lambda function, given, source: run_limited(function, given, source=source, limits=Limits(64, 5))  # noqa: E731
    monkeypatch.setattr(authenticity, "run_limited", tight)
    check = files_check(folder)
    assert not check.passed
    assert TABLE in check.detail


def test_names_that_lead_out_of_the_folder_are_refused(folder):
    (folder.parent / "secret").write_text("x")
    write_table(folder, "../secret")
    check = files_check(folder)
    assert not check.passed
    assert "../secret" in check.detail
