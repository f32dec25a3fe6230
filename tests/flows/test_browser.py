"""The flow UI in a real browser: how far a run has come; a run asks who is who, someone chooses, the run goes on."""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from faceswap_core.jobfile import load_job

pytestmark = [pytest.mark.flow, pytest.mark.release]

MINUTES = 60_000
"""Playwright counts in milliseconds."""
SIZE = {"width": 1400, "height": 1000}


@pytest.fixture
def page(browser):
    """An empty page; pictures of it go to the folder FACESWAP_SCREENSHOTS where that is set."""
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(2 * MINUTES)
    return page


def shot(page, name):
    folder = os.environ.get("FACESWAP_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder, f"{name}.png"))


def choose(page, select, option):
    """Open a list by keyboard, as a click that a busy page takes twice closes it again, and take one of its options."""
    select.locator("button").first.focus()
    page.keyboard.press("ArrowDown")
    listed = page.locator(".p-select-option", has_text=option)
    listed.wait_for()
    shot(page, "asked")
    listed.click()
    expect(select).to_contain_text(option)


def started(url, job):
    """The run of a job, scheduled as the flow UI does it, and what gives its state; one that fails ends the test."""
    from test_service import get, post

    deployment = next(d for d in post(url, "/deployments/filter", {}) if d["name"] == "swap-video")
    asked = {"parameters": {"job": job, "allow_test_consent": True}, "state": {"type": "SCHEDULED"}}
    run = post(url, f"/deployments/{deployment['id']}/create_flow_run", asked)["id"]

    def state():
        found = json.loads(get(f"{url}/flow_runs/{run}"))["state"]
        assert found["type"] not in ("FAILED", "CRASHED"), found["message"]
        return found["type"]

    return run, state


def test_a_run_shows_its_stages_how_far_they_are_its_pictures_and_its_log(page, tiny_job, tmp_path):
    from test_service import free_port, post, until, up

    path = tmp_path / "job.toml"
    path.write_text(tiny_job.read_text())
    job = load_job(path, ["train.iterations=400"]).model_dump(mode="json")
    with up(tmp_path / "home", free_port()) as said:
        url, ui = said["api_url"], said["ui"].rstrip("/")
        run, state = started(url, job)

        def artifacts(kind):
            found = post(url, "/artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
            return [one for one in found if one["type"] == kind]

        (preview, *_) = until(lambda: artifacts("image"))
        until(lambda: any(one["key"] == "smooth-frames" for one in artifacts("progress")))
        page.goto(f"{ui}/runs/flow-run/{run}")
        page.get_by_text("Artifacts", exact=True).click()
        assert state() == "RUNNING", "this is looked at during the run"
        begun = (
            "decode-frames detect-faces track-faces align-landmarks make-masks train-model swap-frames smooth-frames"
        )
        for stage in begun.split():
            expect(page.get_by_text(stage, exact=True).first).to_be_visible(timeout=MINUTES)
        expect(page.get_by_text("decode-frames: 140 of 140 frames").first).to_be_visible()
        shot(page, "running")
        page.get_by_text("Logs", exact=True).click()
        choose(page, page.locator(".p-select").nth(1), "Newest to oldest")
        page.set_viewport_size({"width": 1400, "height": 8000})  # only what is in sight is in the page
        expect(page.get_by_text("trained 400 steps").first).to_be_visible(timeout=MINUTES)
        page.set_viewport_size(SIZE)
        shot(page, "log")
        page.goto(f"{ui}/artifacts/artifact/{preview['id']}")
        picture = page.locator("img[src^='data:image']").first
        expect(picture).to_be_visible(timeout=MINUTES)
        assert picture.evaluate("image => image.naturalWidth") >= 200
        shot(page, "preview")
        until(lambda: state() == "COMPLETED")


def test_a_paused_run_shows_its_tracks_and_goes_on_with_the_one_that_is_chosen(page, clips, test_records, tmp_path):
    from test_casting import write_two_people
    from test_service import free_port, post, until, up

    path = write_two_people(tmp_path, clips)
    job = load_job(path, [word for word in test_records if "=" in word]).model_dump(mode="json")
    with up(tmp_path / "home", free_port()) as said:
        url, ui = said["api_url"], said["ui"].rstrip("/")
        run, state = started(url, job)
        until(lambda: state() == "PAUSED")
        page.goto(f"{ui}/runs/flow-run/{run}")
        page.get_by_text("Artifacts", exact=True).click()
        expect(page.get_by_role("link", name="image Created").first).to_be_visible(timeout=MINUTES)
        shot(page, "paused")
        page.get_by_role("button", name="Resume").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Tracks 0 and 1 are seen side by side")
        choose(page, dialog.locator(".p-select"), "track 1")
        dialog.get_by_text("The contact sheets are").click()  # the open list hides the button
        shot(page, "chosen")
        dialog.get_by_role("button", name="Submit").click()
        until(lambda: state() == "COMPLETED")
        logs = post(url, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
        assert any("answered: plate.tracks=[1]" in line["message"] for line in logs)
        page.goto(f"{ui}/runs/flow-run/{run}")
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=MINUTES)
        shot(page, "completed")
    assert (tmp_path / "out.mp4").is_file()
