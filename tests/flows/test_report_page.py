"""The report in a real browser, from its file, without a network."""

import os
from pathlib import Path

import pytest

pytestmark = [pytest.mark.flow, pytest.mark.release]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def report(first):
    return Path(first.last["report"]).with_name("report.html")


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_the_report_opens_offline_and_fits_the_screen(browser, report, name, size):
    page = browser.new_page(viewport=size, offline=True)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    if folder := os.environ.get("FACESWAP_SCREENSHOTS"):
        page.screenshot(path=Path(folder, f"report-{name}.png"), full_page=True)
    assert said == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}, "nothing is fetched from elsewhere"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    cut_off = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(cut_off) == 0, "no table is wider than the screen"
    broken = "[...document.images].filter(i => !i.naturalWidth && !i.closest('details')).map(i => i.alt)"
    assert page.evaluate(broken) == []
    headings = page.locator("h2").all_inner_texts()
    assert {"Before and after", "Over time", "Training", "Colours", "Consent and provenance", "Stages"} <= set(headings)


def test_the_slider_uncovers_the_plate(browser, report):
    page = browser.new_page(viewport=DESKTOP)
    page.goto(report.as_uri())
    figure = page.locator(".compare").first
    shown = "e => getComputedStyle(e.querySelector('.stack img + img')).clipPath"
    assert figure.evaluate(shown).endswith("50%)")
    figure.locator("input").fill("90")
    assert figure.evaluate(shown).endswith("90%)")


def test_every_measured_figure_is_drawn_over_time_with_its_worst_frame(browser, report):
    page = browser.new_page(viewport=DESKTOP)
    page.goto(report.as_uri())
    curves = page.locator(".curve")
    assert curves.count() >= 5
    for i in range(curves.count()):
        assert curves.nth(i).locator("polyline").count() >= 1
        assert curves.nth(i).locator(".worst img").count() == 2
