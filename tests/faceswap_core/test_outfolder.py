import errno
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceswap_core import manifest, outfolder
from faceswap_core.errors import DiskFullError, SettingsError
from faceswap_core.outfolder import TABLE, TABLE_JSON, check_replaceable, files_below, place, replaced_folder
from faceswap_core.schemas import DELIVERY, FRAMES
from faceswap_core.storage import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws")


def fill(workspace, folder, *names, schema=DELIVERY):
    """Put files into a folder as a run does, with a table that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"files": [{"file": name}]} for name in names] if schema is DELIVERY else []
    table = manifest.publish(workspace, "t", "frames", schema, rows)
    place(workspace.path(table["path"]), folder / TABLE)
    (folder / TABLE_JSON).write_text("{}")
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)


def test_a_new_or_empty_folder_is_taken(tmp_path):
    for folder in (tmp_path / "deep" / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with replaced_folder(folder) as scratch:
            (scratch / "a").write_text("1")
            assert not files_below(folder)
        assert files_below(folder) == {"a"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "empty"]


def test_a_folder_of_ours_is_replaced_whole(workspace, tmp_path):
    folder = tmp_path / "out"
    fill(workspace, folder, "frame.1.png", "track_0000/patch.1.png")
    with replaced_folder(folder) as scratch:
        (scratch / "new").write_text("1")
    assert files_below(folder) == {"new"}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("foreign", ["notes.txt", "track_0000/paint.psd", ".hidden"])
def test_files_of_others_are_never_deleted(workspace, tmp_path, foreign):
    folder = tmp_path / "out"
    fill(workspace, folder, "track_0000/patch.1.png")
    (folder / foreign).write_text("work of days")
    with pytest.raises(SettingsError, match=foreign.split("/")[-1]), replaced_folder(folder):
        raise AssertionError("never entered")
    assert (folder / foreign).read_text() == "work of days"


def test_a_folder_without_our_table_is_refused(workspace, tmp_path):
    for name, schema in (("none", None), ("other", FRAMES), ("text", "text")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "frame.1.png").write_text("x")
        if schema is FRAMES:
            fill(workspace, folder, schema=FRAMES)
        elif schema:
            (folder / TABLE).write_text("no table")
        with pytest.raises(SettingsError, match=r"and \d more|frame\.1\.png"):
            check_replaceable(folder)


def test_a_file_or_a_link_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(SettingsError, match="is no folder"):
            check_replaceable(tmp_path / name)


def test_a_failure_leaves_the_old_folder_and_nothing_else(workspace, tmp_path):
    folder = tmp_path / "out"
    fill(workspace, folder, "frame.1.png")
    before = files_below(folder)

    def fail(error):
        with replaced_folder(folder) as scratch:
            (scratch / "half").write_text("1")
            raise error

    with pytest.raises(DiskFullError):
        fail(OSError(errno.ENOSPC, "no space"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    assert files_below(folder) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "ws"]


def test_what_a_killed_run_left_is_cleared_and_the_old_folder_gets_its_name_back(tmp_path):
    folder = tmp_path / "out"
    dead = 2**22 + 1  # above the largest process number
    for name in (f".out.{dead}.partial", f".out.{dead}.old", f".out.{os.getpid()}.x", ".out.notes"):
        (tmp_path / name).mkdir()
    (tmp_path / f".out.{dead}.old" / "foreign").write_text("1")
    with pytest.raises(SettingsError, match="foreign"), replaced_folder(folder):
        raise AssertionError("never entered")
    assert files_below(folder) == {"foreign"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([".out.notes", f".out.{os.getpid()}.x", "out"])


def test_a_file_is_linked_or_copied(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("1")
    assert place(tmp_path / "a", tmp_path / "new" / "b") is False
    assert (tmp_path / "new" / "b").samefile(tmp_path / "a")

    def other_disk(*_):
        raise OSError(errno.EXDEV, "other disk")

    monkeypatch.setattr(outfolder.os, "link", other_disk)
    assert place(tmp_path / "a", tmp_path / "c") is True
    assert (tmp_path / "c").read_text() == "1"
    assert not (tmp_path / "c").samefile(tmp_path / "a")


def test_a_table_that_no_run_wrote_lists_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(outfolder, "_MAX_ROWS", 2)
    few, many = (pa.Table.from_pylist([{"files": []}] * count, schema=DELIVERY) for count in (2, 3))
    pq.write_table(few, tmp_path / TABLE)
    assert outfolder.listed_files(tmp_path) == []
    other = pa.table({"files": [1]}).replace_schema_metadata(DELIVERY.metadata)
    for table in (many, other):
        pq.write_table(table, tmp_path / TABLE, compression="zstd")
        assert outfolder.listed_files(tmp_path) is None
    (tmp_path / TABLE).write_bytes(b"PAR1")
    assert outfolder.listed_files(tmp_path) is None
