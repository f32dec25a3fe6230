"""The whole pipeline through the command line, on one server; the tests go on from each other's work."""

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import faceswap, faceswap_until

from faceswap_core.stages.consent import read_signed, write_signed
from faceswap_core.trust.signed import Signed
from faceswap_core.video.index import build_index
from tests.jobs import write_job

pytestmark = pytest.mark.flow

LATE = {"smooth-frames", "reencode-chunk", "assemble-video", "sign-video", "verify-video", "measure-quality"}


@pytest.fixture
def workspace(tiny_job):
    return tiny_job.parent / "ws"


def test_a_fresh_run_makes_a_verified_video(first, clips):
    assert first.code == 0, first.stderr
    assert set(first.last) == {"event", "run", "output", "report", "computed", "cached", "seconds"}
    assert (first.last["event"], first.last["cached"]) == ("done", 0)
    assert len(build_index(first.last["output"])) == len(build_index(str(clips["plate"]))) == 40
    assert first.report["video"]["pts_equal"]
    assert first.report["video"]["failed_checks"] == []


def test_the_report_has_every_key_and_no_figure_without_a_reason(first):
    report = first.report
    assert set(report) == {
        "frames", "stages", "truth", "quality", "faces", "training", "video", "provenance", "environment", "reasons",
    }  # fmt: skip
    frames = report["frames"]
    assert sum(frames[s] for s in ("swapped", "passed_through", "no_face", "failed")) == frames["total"] == 40
    assert frames["swapped"] > 30
    assert all(set(s) == {"computed", "cached", "seconds", "cpu_seconds"} for s in report["stages"].values())
    assert 0 < report["truth"]["swap_over_plate"] < 10
    quality = report["quality"]
    keys = {"landmark_nme", "residual_jitter", "residual_jitter_unsmoothed", "flicker", "flicker_unsmoothed"}
    keys |= {"warping_error_ratio", "sharpness_ratio", "sharpness_to_truth", "seam_ratio", "background_leak"}
    assert keys | {"identity_transfer"} <= set(quality)
    assert {name for name, value in quality.items() if value is None} == set(quality["reasons"])
    assert (quality["frames"], quality["background_leak"]) == (frames["swapped"], 0)
    assert quality["flicker_unsmoothed"] > 0
    assert set(quality["baselines"]) == {"swap", "unsmoothed", "no_swap", "ideal_composite"}
    assert 0.8 < quality["baselines"]["ideal_composite"]["identity_transfer"] < 1.1
    assert report["faces"]["jitter_after"] < report["faces"]["jitter_before"]
    assert report["training"]["steps"] == 20


def test_the_page_needs_nothing_from_elsewhere(first):
    page = Path(first.last["report"]).with_name("report.html").read_text()
    assert page.count("data:image/jpeg") >= 12
    assert page.count("<polyline") >= 5
    assert "unsafe-inline'; script-src 'sha256-" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "url(" not in page


def test_the_run_is_on_record(first, workspace):
    folder = workspace / "runs" / first.last["run"]
    run = json.loads((folder / "run.json").read_text())
    assert run["state"] == "completed"
    assert {"python", "prefect", "torch", "av", "opencv-python", "numpy"} <= set(run["versions"])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert any("trained 20 steps" in line["message"] for line in lines)
    assert (workspace / ".prefect-results").stat().st_mode & 0o777 == 0o700


def test_progress_is_told_in_whole_stages(first):
    last = {line["stage"]: line for line in first.lines if line["event"] == "stage"}
    assert {"decode-frames", "detect-faces", "align-landmarks", "train-model", "reencode-chunk"} <= set(last)
    assert all(line["done"] == line["total"] for line in last.values())


def test_the_same_command_again_makes_a_lost_chunk_and_finds_all_else(first, tiny_job, workspace):
    for path in (workspace / "chunks").glob("chunk-0001-*.mp4"):
        path.unlink()
    again = faceswap("run", tiny_job)
    assert again.code == 0, again.stderr
    assert again.computed == {"reencode-chunk": 1}
    assert again.last["cached"] == first.last["computed"] - 1


def test_evaluating_finds_everything_and_tells_the_figures(first, tiny_job):
    judged = faceswap("evaluate", tiny_job)
    assert judged.code == 0, judged.stderr
    assert judged.computed == {}
    assert judged.last["quality"] == first.report["quality"]
    assert judged.last["quality"]["identity_network"] is None
    assert "identity_heads" in judged.last["quality"]["reasons"]["identity_network"]
    assert judged.last["truth"] == first.report["truth"]


def test_a_preview_shows_one_frame_as_the_video_does(first, tiny_job, clips):
    shown = faceswap("preview", tiny_job, "--frame", 17)
    assert shown.code == 0, shown.stderr
    assert (len(shown.lines), shown.last["frame"], shown.last["state"]) == (1, 17, "swapped")
    assert shown.last["steps"] == 20
    picture = cv2.imread(shown.last["preview"])
    assert picture.shape == (144, 2 * 256 + 8, 3)
    plate, video = (frame_of(path, 17) for path in (clips["plate"], first.last["output"]))
    before, after = picture[:, :256, ::-1].astype(int), picture[:, 264:, ::-1].astype(int)
    assert np.array_equal(before, plate)
    assert np.abs(after - video)[30:].mean() < 3, "all but the label and what encoding costs"
    assert np.abs(after - before).max() > 20
    drawn = faceswap("preview", tiny_job, "--frame", 17, "--overlay", "boxes,landmarks,mask")
    assert (cv2.imread(drawn.last["preview"]) != picture).any()


def frame_of(path, number):
    from faceswap_core.video.reader import decode_linear, to_rgb

    return to_rgb(next(islice(decode_linear(path), number, None))).astype(int)


def test_a_preview_of_what_is_not_there_ends_with_2(first, tiny_job):
    beyond = faceswap("preview", tiny_job, "--frame", 4000)
    assert (beyond.code, beyond.last["error"]) == (2, "SettingsError")
    assert "0 to 39" in beyond.last["message"]
    assert faceswap("preview", tiny_job, "--frame", 1, "--overlay", "hats").code == 2
    untrained = faceswap("preview", tiny_job, "--frame", 1, "--set", f"workspace={tiny_job.parent / 'none'}")
    assert untrained.code == 2
    assert "no training has ended" in untrained.last["message"]


def test_other_smoothing_computes_only_what_comes_after(first, tiny_job):
    changed = faceswap("run", tiny_job, "--set", "smooth.strength=0.9")
    assert set(changed.computed) == LATE


@pytest.mark.release
def test_a_quality_that_cannot_be_measured_costs_neither_video_nor_report(first, tiny_job, clips):
    done = faceswap("run", tiny_job, "--set", f"plate.truth={clips['small_truth']}")
    assert done.code == 0, done.stderr
    assert "truth is 192x108 px" in done.last["not_measured"]
    assert (list(done.report["quality"]["not_measured"].values()), done.report["quality"]["flicker"]) == ([None], None)
    assert done.last["not_measured"] in Path(done.last["report"]).with_name("report.html").read_text()
    assert Path(done.last["output"]).is_file()


@pytest.mark.release
def test_an_average_rate_encodes_the_same_swap_in_one_go(first, tiny_job):
    done = faceswap("run", tiny_job, "--set", "encode.bitrate=900")
    assert done.code == 0, done.stderr
    made = {"encode-stream": 1, "assemble-video": 1, "sign-video": 1, "verify-video": 1}
    assert done.computed == {**made, "measure-quality": 4}  # what encoding changed is measured anew
    assert done.report["frames"] == first.report["frames"]
    assert done.report["video"]["failed_checks"] == []
    assert done.report["video"]["encoding"]["kbps"] > first.report["video"]["encoding"]["kbps"]
    page = Path(done.last["report"]).with_name("report.html").read_text()
    assert page.count("data:image/jpeg") >= 6


def test_more_iterations_go_on_from_the_checkpoint(first, tiny_job, workspace):
    more = faceswap("run", tiny_job, "--set", "train.iterations=30")
    assert more.report["training"]["steps"] == 30
    assert "detect-faces" not in more.computed
    log = (workspace / "runs" / more.last["run"] / "log.jsonl").read_text()
    assert "trained 10 steps, 30 in all" in log


@pytest.mark.release
def test_a_record_that_expires_during_the_run_ends_it_before_anything_is_exported(first, tiny_job, records, tmp_path):
    record, output = tmp_path / "b.json", tmp_path / "out" / "late.mp4"
    changes = (f"subjects.b.consent={record}", f"output.video={output}", "train.iterations=45")
    command = ["run", tiny_job, *(word for change in changes for word in ("--set", change))]

    def renew(until):
        document = read_signed(records["b"])
        write_signed(record, Signed({**document.payload, "expires": until.isoformat()}, ()))

    renew(datetime.now(UTC) + timedelta(hours=1))
    with faceswap_until("swap-frames", 1, *command) as (process, _):
        renew(datetime.now(UTC))
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert (process.wait(), last["error"]) == (5, "ConsentError")
    assert "expired" in last["message"]
    assert not list(tmp_path.rglob("*late*"))
    assert faceswap(*command).code == 5, "and so it is at the start"
    renew(datetime.now(UTC) + timedelta(hours=1))
    done = faceswap(*command)
    assert done.code == 0, done.stderr
    assert done.report["training"]["steps"] == 45
    assert not {"train-model", "swap-frames", "smooth-frames", "reencode-chunk"} & set(done.computed)
    assert output.is_file()


@pytest.mark.release
def test_a_finished_model_swaps_a_second_plate_without_training(first, tiny_job, clips, records, workspace, tmp_path):
    changes = {
        "name": "second",
        "plate.video": clips["second"],
        "subjects.a.videos": None,
        "subjects.a.consent": records["a"],
        "subjects.b.videos": None,
        "subjects.b.consent": records["b"],
        "train.model": str(workspace / first.report["training"]["checkpoint"]),
    }
    job = write_job(tmp_path / "second.toml", changes)
    second = faceswap("run", job)
    assert second.code == 0, second.stderr
    assert not {"train-model", "normalize-color", "evaluate-swap"} & set(second.report["stages"])
    assert second.report["stages"]["plan-video"]["computed"] == 1
    assert second.report["truth"] is None
    assert second.report["reasons"]["truth"] == "no ground truth"
    assert second.report["training"]["samples_per_second"] is None


def test_text_named_mp4_ends_with_4_and_no_traceback(server, tiny_job, test_records, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    changes = ("--set", f"plate.video={text}", "--set", f"workspace={tmp_path / 'ws'}")
    assert faceswap("run", tiny_job, *changes).code == 5  # no rendered actor, and no other consent
    refused = faceswap("run", tiny_job, *changes, *test_records)
    assert (refused.code, refused.last["error"]) == (4, "MediaError")
    assert "Traceback" not in refused.stderr


@pytest.mark.release
def test_a_plate_without_a_face_ends_with_4(server, tiny_job, test_records, tmp_path):
    from fractions import Fraction

    from faceswap_core.video.render import write_video

    plate = tmp_path / "grey.mp4"
    write_video(plate, iter(np.full((12, 96, 128, 3), 90, np.uint8)), fps=Fraction(25))
    refused = faceswap(
        "run", tiny_job, "--set", f"plate.video={plate}", "--set", f"workspace={tmp_path / 'ws'}",
        *test_records,
    )  # fmt: skip
    assert (refused.code, refused.last["error"]) == (4, "NoFaceError")
    run = next((tmp_path / "ws" / "runs").iterdir())
    assert json.loads((run / "run.json").read_text())["state"] == "failed"


def test_the_output_is_vouched_for(first):
    done = faceswap("verify", first.last["output"])
    assert done.code == 0, done.lines
    assert {check["name"] for check in done.last["checks"]} >= {"c2pa trusted", "consents", "visible label", "AIGC tag"}


def test_the_network_names_the_records_and_nobodys_name(first, workspace, records):
    from faceswap_core.stages.weights import read_facts

    (folder,) = (workspace / "checkpoints").iterdir()
    facts = read_facts(next(folder.glob("weights-*")))
    wanted = {name: json.loads(path.read_text())["payload"]["record_id"] for name, path in records.items()}
    assert facts.consents == wanted
    assert first.report["provenance"]["test"] is True


def test_facesets_and_colours_name_the_records_with_their_digests_and_nobodys_contact(first, workspace, records):
    digests = {name: read_signed(path).digest for name, path in records.items()}
    for stage in ("align-landmarks", "normalize-color"):
        found = list((workspace / stage).glob("*.parquet"))
        named = [json.loads(pq.read_schema(path).metadata[b"consents"]) for path in found]
        assert {name for grants in named for name in grants} == {"a", "b"}
        assert all(grant["sha256"] == digests[name] for grants in named for name, grant in grants.items())
        assert all(b"nobody: rendered" not in path.read_bytes() for path in found)


def test_the_key_is_left_nowhere(first, workspace):
    from faceswap_core.stages.identity import test_folder

    secret = (test_folder() / "key.pem").read_bytes().splitlines()[1]
    homes = (workspace, Path(os.environ["PREFECT_HOME"]), Path(first.last["output"]).parent)
    files = {path for home in homes for path in home.rglob("*") if path.is_file()}
    assert len(files) > 50
    assert not [path for path in files if secret in path.read_bytes()]


@pytest.mark.release
def test_a_purge_leaves_nothing_in_the_workspace_nor_in_prefects_store(first, workspace, records, tmp_path):
    from faceswap_core.stages.lineage import Lineage
    from faceswap_core.storage import Workspace

    copy = tmp_path / "ws"
    shutil.copytree(workspace, copy)
    record_id = json.loads(records["b"].read_text())["payload"]["record_id"]
    derived = [o for o in Lineage(Workspace(copy)).read() if record_id in o.records and not o.source]
    assert len(derived) > 20
    done = faceswap("purge", records["b"], "--workspace", copy)
    assert done.code == 0, done.stderr
    assert (done.last["record"], done.last["remaining"]) == (record_id, [])
    assert done.last["scanned"] > 0
    digests = [o.sha256.encode() for o in derived]
    places = [*copy.rglob("*"), *Path(os.environ["PREFECT_HOME"]).rglob("*")]
    held = [path for path in places if path.is_file() and any(d in path.read_bytes() for d in digests)]
    assert held == []
    assert list((copy / "decode-frames").glob("*.parquet")), "the other person's faces stay"


def test_a_revoked_record_is_refused_before_anything_is_computed(first, tiny_job, records, tmp_path):
    from faceswap_core.trust.revocation import with_revocation
    from faceswap_core.trust.signed import new_key, private_key, public_pem

    key = private_key(new_key()[0], "key")
    record_id = json.loads(records["b"].read_text())["payload"]["record_id"]
    (tmp_path / "office.pem").write_bytes(public_pem(key.public_key()))
    write_signed(tmp_path / "revocations.json", with_revocation(None, record_id, key, datetime.now(UTC)))
    refused = faceswap("run", tiny_job, "--set", f"provenance.trusted_keys={tmp_path}")
    assert (refused.code, refused.last["error"]) == (5, "ConsentError")
    assert "revoked" in refused.last["message"]
