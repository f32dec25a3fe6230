"""Files for a compositor through the command line: each kind goes on from what another run computed."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import faceswap

from faceswap_core.stages.images import read_png16
from faceswap_core.video.deep import to_rgb16
from faceswap_core.video.reader import decode_linear

pytestmark = [pytest.mark.flow, pytest.mark.release]
UNLABELLED = ("--set", 'provenance.label={mode="off", reason="compared with images", approved_by="a test"}')


@pytest.fixture(scope="module")
def video(first, tiny_job):
    """The job as it stands, with a lossless video."""
    return faceswap("run", tiny_job, "--set", "encode.crf=0", "--set", "output.video=lossless.mp4", *UNLABELLED)


def handed_off(job, kind, *more):
    """Make a folder named as its kind beside the job."""
    return faceswap("run", job, "--set", f"output.kind={kind}", "--set", f"output.folder={kind}", *more)


@pytest.fixture(scope="module")
def patches(video, tiny_job):
    return handed_off(tiny_job, "patches")


@pytest.fixture(scope="module")
def sequence(video, tiny_job):
    return handed_off(tiny_job, "image_sequence", "--set", "output.start_number=1001")


def test_patches_are_made_and_nothing_before_is_computed_again(video, patches, tiny_job):
    assert video.code == 0, video.stderr
    assert patches.code == 0, patches.stderr
    folder = tiny_job.parent / "patches"
    assert patches.last["output"] == str(folder)
    made = {"export-patches": 4, "deliver-folder": 1, "sign-folder": 1, "verify-folder": 1}
    assert patches.computed == made | {"measure-quality": 4}, "there is no encoding, whose loss the video's includes"
    rows = pq.read_table(folder / "frames.parquet").to_pylist()
    assert {row["frame_index"] for row in rows} == set(range(40))
    swapped = [row for row in rows if row["state"] == "swapped"]
    assert len({row["frame_index"] for row in swapped}) == video.report["frames"]["swapped"] > 30
    for file in (file for row in swapped for file in row["files"]):
        image = read_png16((folder / file["file"]).read_bytes())
        assert image.shape == ((64, 64, 4) if file["role"] == "patch" else (64, 64))


def test_a_sequence_shows_the_lossless_video(video, sequence, tiny_job):
    assert sequence.code == 0, sequence.stderr
    assert sequence.computed == {"export-images": 4, "deliver-folder": 1, "sign-folder": 1, "verify-folder": 1}
    folder = tiny_job.parent / "image_sequence"
    names = sorted(path.name for path in folder.glob("*.png"))
    assert names == [f"frame.{number:08d}.png" for number in range(1001, 1041)]
    for name, frame in zip(names, decode_linear(video.last["output"]), strict=True):
        np.testing.assert_array_equal(read_png16((folder / name).read_bytes()), to_rgb16(frame))


def test_the_report_says_what_was_checked_and_what_a_folder_cannot_hold(video, patches, sequence):
    for report in (patches.report, sequence.report):
        assert report["frames"] == video.report["frames"]
        assert (report["video"]["frames"], report["video"]["pts_equal"]) == (40, True)
        assert report["video"]["failed_checks"] == []
        assert report["video"]["streams_equal"] is None
        assert report["reasons"]["video.streams_equal"]
        assert any("audio" in text for text in report["video"]["not_carried"])
    for done in (patches, sequence):
        page = Path(done.last["report"]).with_name("report.html").read_text()
        assert page.count("data:image/jpeg") >= 6


def test_the_same_command_again_finds_everything(sequence, tiny_job):
    again = handed_off(tiny_job, "image_sequence", "--set", "output.start_number=1001")
    assert (again.code, again.computed) == (0, {})


def test_other_numbers_and_lost_files_cost_only_what_they_touch(sequence, tiny_job):
    folder = tiny_job.parent / "image_sequence"
    renumbered = handed_off(tiny_job, "image_sequence")
    assert renumbered.computed == {"deliver-folder": 1, "sign-folder": 1, "verify-folder": 1}
    assert min(path.name for path in folder.glob("*.png")) == "frame.00000000.png"
    (folder / "frame.00000007.png").unlink()
    next((tiny_job.parent / "ws" / "export-images" / "0002").glob("image-00000023-*.png")).unlink()
    mended = handed_off(tiny_job, "image_sequence")
    assert mended.computed == {"export-images": 1, "deliver-folder": 1, "sign-folder": 1}
    assert len(list(folder.glob("*.png"))) == 40
