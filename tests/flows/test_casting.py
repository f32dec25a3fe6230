"""Who is who: settings of one video, and a plate with two people through the command line and the flow UI's API."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import faceswap

from faceswap_core.config_track import Choice
from faceswap_core.errors import SettingsError
from faceswap_core.jobfile import load_job
from flows.casting import Question, choice_of, part_of, settings_of
from tests.jobs import job_text, write_job
from tests.two_actors import write_side_by_side

ROOT = Path(__file__).parents[2]
JOB = job_text(
    {
        "subjects.a.videos": ["a1.mp4", "a2.mp4"],
        'subjects.a.tracks."a2.mp4"': [4, 5],
        "subjects.b.pick": "right",
    }
)


@pytest.fixture
def job(tmp_path):
    (tmp_path / "job.toml").write_text(JOB)
    return load_job(tmp_path / "job.toml", ["plate.tracks=[2]", "plate.pick=left"])


def asked(job, video, subject, ids=(0, 1)):
    return Question(part_of(job, video, subject), video, subject, "why", ids, {})


def test_each_video_is_chosen_from_as_its_own_settings_say(job, tmp_path):
    assert choice_of(job, job.plate.video, "a") == Choice(tracks=(2,), pick="left")
    assert choice_of(job, tmp_path / "a1.mp4", "a") == Choice()
    assert choice_of(job, tmp_path / "a2.mp4", "a") == Choice(tracks=(4, 5))
    assert choice_of(job, tmp_path / "b.mp4", "b") == Choice(pick="right")


def test_tracks_of_a_video_that_is_not_the_persons_are_refused(tmp_path):
    (tmp_path / "job.toml").write_text(JOB)
    with pytest.raises(SettingsError, match=r"subjects.b.tracks names \['.*/c.mp4'\]: name videos of"):
        load_job(tmp_path / "job.toml", ['subjects.b.tracks={"c.mp4" = [1]}'])
    with pytest.raises(SettingsError, match=r"plate.tracks.0"):
        load_job(tmp_path / "job.toml", ["plate.tracks=[-1]"])


def test_the_printed_settings_give_the_answers_and_keep_those_given_before(job, tmp_path):
    answers = {
        asked(job, job.plate.video, "a"): [3],
        asked(job, tmp_path / "a1.mp4", "a"): [0, 1],
        asked(job, tmp_path / "b.mp4", "b"): [7],
    }
    again = load_job(tmp_path / "job.toml", settings_of(job, answers))
    assert again.plate.tracks == (3,)
    assert again.subjects["a"].tracks == {tmp_path / "a1.mp4": (0, 1), tmp_path / "a2.mp4": (4, 5)}
    assert again.subjects["b"].tracks == {tmp_path / "b.mp4": (7,)}


def write_two_people(folder, clips):
    """Write a job whose plate shows two people side by side; returns its path."""
    write_side_by_side(folder / "plate.mp4")
    changes = {
        "plate.plate_for_training": False,
        "subjects.a.videos": [clips["a"]],
        "subjects.b.videos": [clips["b"]],
    }
    return write_job(folder / "job.toml", changes)


@pytest.fixture(scope="module")
def two_people(clips, tmp_path_factory):
    return write_two_people(tmp_path_factory.mktemp("two-people"), clips)


@pytest.fixture(scope="module")
def stopped(server, two_people, test_records):
    """The first run, which cannot tell who is who."""
    return faceswap("run", two_people, *test_records)


@pytest.mark.flow
def test_an_unattended_run_ends_with_4_and_shows_the_tracks(stopped, two_people):
    assert (stopped.code, stopped.last["error"]) == (4, "UndecidedError"), stopped.stderr
    (sheet,) = (two_people.parent / "ws" / "runs").glob("*/tracks-plate.png")
    assert str(sheet) in stopped.last["message"]
    assert "--set 'plate.tracks=[0]'" in stopped.last["message"]
    assert "subjects." not in stopped.last["message"], "the other videos show one person"
    assert "Traceback" not in stopped.stderr


@pytest.mark.flow
def test_a_purge_takes_the_pictures_out_of_prefects_store(stopped, two_people, test_records, tmp_path):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    shutil.copytree(two_people.parent / "ws", tmp_path / "ws")
    (run,) = (tmp_path / "ws" / "runs").glob("*/run.json")
    flow_run = json.loads(run.read_text())["flow_run"]
    store = Path(os.environ["PREFECT_HOME"], "prefect.db")
    by_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
    with get_client(sync_client=True) as client:
        (sheet,) = (a for a in client.read_artifacts(artifact_filter=by_run) if a.type == "image")
        pieces = [sheet.data[at : at + 60].encode() for at in range(1000, 9000, 1000)]
        assert any(piece in _bytes_of(store) for piece in pieces), "the picture is there to be found"
        record = next(word for word in test_records if word.startswith("subjects.a")).partition("=")[2]
        done = faceswap("purge", record, "--workspace", tmp_path / "ws")
        assert (done.code, done.last["remaining"], done.last["artifacts"]) == (0, [], 1), done.stderr
        assert [a for a in client.read_artifacts(artifact_filter=by_run) if a.type == "image"] == []
    assert not any(piece in _bytes_of(store) for piece in pieces)
    assert not list((tmp_path / "ws").rglob("tracks-plate*"))


def _bytes_of(store):
    return b"".join(path.read_bytes() for path in store.parent.glob(f"{store.name}*"))


@pytest.mark.flow
@pytest.mark.release
def test_naming_the_tracks_goes_on_from_there(stopped, two_people, test_records):
    done = faceswap("run", two_people, *test_records, "--set", "plate.tracks=[1]")
    assert done.code == 0, done.stderr
    assert not {"plan-video", "decode-frames", "detect-faces", "contact-sheet"} & set(done.computed)
    assert (done.computed["track-faces"], done.report["frames"]["swapped"]) == (1, 24)
    left = faceswap("run", two_people, *test_records, "--set", "plate.pick=left")
    assert left.code == 0, left.stderr
    assert "train-model" not in left.computed, "the person is another, the training the same"


@pytest.mark.flow
@pytest.mark.release
def test_unknown_tracks_end_with_2_and_name_the_known_ones(stopped, two_people, test_records):
    refused = faceswap("run", two_people, *test_records, "--set", "plate.tracks=[9]")
    assert (refused.code, refused.last["error"]) == (2, "SettingsError")
    assert "[9] are no tracks of this video, which has 0, 1" in refused.last["message"]


@pytest.mark.flow
@pytest.mark.release
def test_a_run_of_a_deployment_pauses_shows_the_tracks_and_goes_on_with_the_answer(stopped, two_people, test_records):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    chosen = [word for word in test_records if "=" in word]
    job = load_job(two_people, chosen).model_dump(mode="json")
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name("swap-video")
        deployment = client.create_deployment(
            flow_id,
            "two-people",
            entrypoint="flows/pipeline.py:swap_video",
            path=str(ROOT),
            parameters={"job": job, "allow_test_consent": True},
        )
        run = client.create_flow_run_from_deployment(deployment)
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run.id)]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                state = _wait(client, run.id, process, "PAUSED")
                keyset = state.state_details.run_input_keyset
                form = json.loads(client.read_flow_run_input(run.id, keyset["schema"]))
                assert form["properties"]["plate"]["items"]["enum"] == ["track 0", "track 1"]
                by_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
                shown = [a for a in client.read_artifacts(artifact_filter=by_run) if a.type == "image"]
                assert [a.description for a in shown] == [
                    "plate.mp4: tracks 0 and 1 are seen side by side. Which tracks are a?"
                ]
                assert shown[0].data.startswith("data:image/jpeg;base64,")
                refused = client.resume_flow_run(run.id, run_input={"plate": ["track 9"]})
                assert refused.status.value == "REJECT"
                assert client.resume_flow_run(run.id, run_input={"plate": ["track 1"]}).status.value == "ACCEPT"
                _wait(client, run.id, process, "COMPLETED")
            finally:
                process.kill()
                said = process.stdout.read()
    assert "answered: plate.tracks=[1]" in said


def _wait(client, flow_run_id, process, wanted, seconds=150):
    """The state of a flow run once it is the wanted one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = client.read_flow_run(flow_run_id).state
        if state.type.value == wanted:
            return state
        assert state.type.value not in ("FAILED", "CRASHED", "COMPLETED"), process.communicate(timeout=30)[0]
        time.sleep(0.5)
    raise AssertionError(f"the run is {state.type.value} after {seconds} s, not {wanted}")
