import json
import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from faceswap_core import layout, manifest
from faceswap_core.errors import FaceswapError
from faceswap_core.schemas import REPORT
from faceswap_core.stages.lineage import Lineage, Origin, note_made, note_sources
from faceswap_core.stages.purge import purge
from faceswap_core.storage import Workspace, file_ref, sha256_file
from flows.cli import app

A, B = "record-of-a", "record-of-b"


def publish(workspace, folder, name):
    return manifest.publish(workspace, folder, name, REPORT, [{"check": name, "passed": True, "detail": folder}])


def made_of(workspace, given, ref):
    note_made(workspace, given, [(ref["path"], ref["sha256"])])
    return ref


@pytest.fixture
def work(tmp_path):
    """A workspace in which two people's footage became facesets, a network and a swap."""
    workspace = Workspace(tmp_path / "ws")
    footage = {}
    for name, record in (("a", A), ("b", B)):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(name.encode() * 99)
        footage[name] = file_ref(path)
        note_sources(workspace, {path: (footage[name]["sha256"], record)})
    frames = {n: made_of(workspace, {"video": f}, publish(workspace, layout.FRAMES, n)) for n, f in footage.items()}
    chips = {n: made_of(workspace, {"frames": [f]}, publish(workspace, layout.ALIGNED, n)) for n, f in frames.items()}
    weights = made_of(
        workspace,
        {"side_a": chips["a"], "side_b": [{"aligned": chips["b"]}]},
        publish(workspace, "checkpoints/key", "w"),
    )
    (workspace.root / "checkpoints/key/consents.json").write_text(json.dumps({"a": {"record": A}, "b": {"record": B}}))
    (workspace.root / "checkpoints/key/step-1.safetensors").write_bytes(b"half trained")
    chunk = made_of(workspace, {"aligned": chips["a"], "weights": weights}, publish(workspace, layout.CHUNKS, "c"))
    output = tmp_path / "out.mp4"
    output.write_bytes(b"the swap")
    note_made(workspace, {"chunks": [chunk]}, [(str(output), sha256_file(output))])
    results = workspace.root / layout.RESULTS
    results.mkdir()
    (results / "swap-1").write_text(json.dumps({"result": chunk["sha256"]}))
    (results / "decode-b").write_text(json.dumps({"result": frames["b"]["sha256"]}))
    run = workspace.root / "runs" / "1"
    run.mkdir(parents=True)
    (run / "report.json").write_text(json.dumps({"provenance": [A, B]}))
    return workspace


def files(workspace):
    return {p.relative_to(workspace.root).as_posix().split("-")[0] for p in workspace.root.rglob("*") if p.is_file()}


def test_all_that_comes_from_one_person_is_gone_and_the_other_ones_faces_stay(work, tmp_path):
    digests = {o.sha256 for o in Lineage(work).read() if A in o.records and not o.source}
    done = purge(work, A, outputs=False)
    assert done.remaining == ()
    left = [p for p in work.root.rglob("*") if p.is_file()]
    assert done.scanned == len(left)
    assert not digests & {sha256_file(p) for p in left}
    assert not [p for p in left if any(d in p.read_text(errors="replace") for d in digests)]
    names = sorted(p.relative_to(work.root).as_posix() for p in left)
    assert [n.split("/")[0] for n in names] == [".prefect-results", "align-landmarks", "decode-frames", "lineage.jsonl"]
    assert (tmp_path / "a.mp4").exists()
    assert done.outputs == (str(tmp_path / "out.mp4"),)
    assert (tmp_path / "out.mp4").exists()


def test_outputs_go_where_it_is_asked_for_unless_somebody_changed_them(work, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"another film under this name")
    assert purge(work, A, outputs=True).outputs == ()
    assert (tmp_path / "out.mp4").exists()


def test_outputs_are_deleted_on_request(work, tmp_path):
    assert purge(work, B, outputs=True).next == ""
    assert not (tmp_path / "out.mp4").exists()


def test_the_command_names_each_output_that_it_leaves_and_how_to_delete_it(work, tmp_path):
    sidecar = tmp_path / "out of it.json"
    sidecar.write_text("said of the swap")
    chunk = next(o for o in Lineage(work).read() if o.path.startswith(layout.CHUNKS))
    note_made(work, {"chunks": [{"sha256": chunk.sha256}]}, [(str(sidecar), sha256_file(sidecar))])
    told = CliRunner().invoke(app, ["purge", B, "--workspace", str(work.root)])
    assert told.exit_code == 0, told.output
    assert re.search(f"^outputs +{tmp_path}/out.mp4\n +{sidecar}$", told.stdout, re.MULTILINE)
    subprocess.run(shlex.split(re.search("^next +(.*)$", told.stdout, re.MULTILINE)[1]), check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "ws"]


KEPT = {layout.ACTORS, layout.PROOFS, layout.CHECKPOINTS, layout.RUNS, layout.RESULTS}
KEPT |= {layout.LINEAGE, layout.LINEAGE_PARTS}
"""Footage, what was proven of it, and what is looked through instead of being cleared."""


@pytest.mark.parametrize(
    "folder", sorted({v for k, v in vars(layout).items() if k.isupper() and isinstance(v, str)} - KEPT)
)
def test_the_rest_of_a_killed_task_goes_too(work, folder):
    stray = work.root / folder / "0001" / "image-1.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"half an export")
    purge(work, A, outputs=False)
    assert not stray.exists()


def test_a_run_that_only_shows_a_picture_of_the_person_goes_too(work):
    sheet = work.publish_bytes(layout.SHEETS, "sheet", ".png", b"a picture of the face")
    frames = next(o for o in Lineage(work).read() if o.path.startswith(layout.FRAMES) and A in o.records)
    made_of(work, {"frames": [{"sha256": frames.sha256}]}, sheet)
    shown = work.root / layout.RUNS / "2" / "tracks-plate.png"
    shown.parent.mkdir()
    shown.write_bytes(b"a picture of the face")
    assert purge(work, A, outputs=False).remaining == ()
    assert not shown.exists()


def test_a_record_that_nothing_comes_from_deletes_nothing(work):
    before = files(work)
    assert purge(work, "record-of-nobody", outputs=True).files == 0
    assert files(work) == before


def test_what_cannot_be_purged_is_said(work):
    derived = next(o for o in Lineage(work).read() if A in o.records and o.path.startswith(layout.FRAMES))
    (work.root / "notes.txt").write_text(f"I copied {derived.sha256}")
    with pytest.raises(FaceswapError, match=r"notes.*outside the workspace.*out\.mp4"):
        purge(work, A, outputs=False)


def test_a_line_cut_off_by_a_crash_spoils_no_other(work):
    path = work.root / layout.LINEAGE
    whole = Lineage(work).read()
    with path.open("a") as stream:
        stream.write('{"path": "x", "sha')
    assert Lineage(work).read() == whole
    assert Origin("a", "b", frozenset()) not in whole
