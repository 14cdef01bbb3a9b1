"""The page: what is in it, and what it does in a headless browser that may not reach anything."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runs import make_run
from test_charts import of_densities
from test_report import make_cases, spoil
from typer.testing import CliRunner

from sparsebench.cli.app import app
from sparsebench.report.html import page
from sparsebench.report.loaded import load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# csr is 8 times as fast as mkl-dense.
CLAIMS = """
title = "First <look>"
[[thresholds]]
claim = "C1: over MKL"
kernel = "csr"
against = "mkl-dense"
at_least = 6
[[thresholds]]
claim = "C2: <more>"
kernel = "csr"
against = "mkl-dense"
at_least = 11
"""
HOSTILE = "</script><script>document.title = 'owned'</script>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with everything that a page can have: 240 cases of two thread counts, and several densities."""
    folder = tmp_path_factory.mktemp("page")
    cases = [*make_cases(threads=(1, 2)), *(replace(c, suite="densities") for c in of_densities())]
    wrong = next(i for i, case in enumerate(cases) if case.kernel == "scipy-csr")
    cases[wrong] = spoil(cases[wrong], "wrong", HOSTILE)
    path = folder / "report.html"
    path.write_text(page(load([make_run(folder / "run", cases, suites={"smoke": CLAIMS})])), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as running:
        # A container's root has no sandbox to put Chromium in.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Page]:
    """The page opened, its requests and its console's lines watched: there may be none."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    tab = context.new_page()
    tab.set_default_timeout(10_000)
    requests: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    assert requests == [file.as_uri()]
    assert said == []
    context.close()


def shown(tab: Page, column: str) -> list[str]:
    """Texts of a column of the table, top to bottom."""
    heads = [text.strip() for text in tab.locator("#table thead th").all_inner_texts()]
    place = next(number for number, head in enumerate(heads, start=1) if head.rstrip(" ▲▼") == column)
    return tab.locator(f"#table tbody tr[data-row] td:nth-child({place})").all_inner_texts()


def test_the_file_names_nothing_outside(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)|url\(|@import|https?://(?!www\.w3\.org/2000/svg)""", text)


def test_text_from_a_run_stays_text(opened: Page, file: Path) -> None:
    assert HOSTILE not in file.read_text()
    assert opened.title() == "sparsebench: smoke, densities"
    assert "First <look>" in opened.locator("header").inner_text()
    assert HOSTILE in opened.locator("#conditions").inner_text()


def test_charts_are_drawn(opened: Page) -> None:
    """Every mark has an outline with finite numbers and, where its panel is open, a size on the screen."""
    sections = opened.locator("main section").evaluate_all("found => found.map(s => s.id)")
    assert sections == [
        "claims", "overview", "peers", "sparsity", "batch", "break-even", "roofline", "threads", "shapes", "prepare",
        "bytes", "conditions", "cases",
    ]  # fmt: skip
    for name in sections[1:-2]:
        marks = opened.locator(f"#{name} svg .{'more' if name == 'shapes' else 'p' if name == 'roofline' else 'm'}")
        assert marks.count() > 4, name
    outlines = opened.locator("figure svg path").evaluate_all("found => found.map(p => p.getAttribute('d'))")
    assert len(outlines) > 500
    assert all(re.fullmatch(r"[MLHVahvlz\d. \-Z]+", outline) for outline in outlines)
    boxes = opened.locator("figure svg .m:visible").evaluate_all("all => all.map(m => m.getBoundingClientRect().width)")
    assert len(boxes) > 50
    assert min(boxes) > 2


def test_claims_come_first_with_their_verdicts(opened: Page) -> None:
    assert opened.locator("#claims .verdict").all_inner_texts() == ["holds", "falls short"]
    assert "C2: <more>" in opened.locator("#claims").inner_text()
    # How a claim was judged is there for who asks, and leaves room for the chart on the first screen.
    repro = opened.locator("#claims details code").first
    assert not repro.is_visible()
    opened.locator("#claims summary").first.click()
    assert repro.is_visible() and repro.inner_text().startswith("sparsebench run --problem")


def test_without_claims_the_page_says_how_to_get_some(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [*make_cases()])
    assert f"sparsebench check {folder.path}" in page(load([folder]))


def test_the_table_leaves_out_what_cannot_be(opened: Page) -> None:
    assert "unsupported" not in shown(opened, "status")
    opened.select_option("#only-status", label="all")
    opened.locator("#more").click()
    assert set(shown(opened, "status")) == {"ok", "wrong", "unsupported"}
    opened.select_option("#only-status", label="wrong")
    assert shown(opened, "kernel") == ["scipy-csr"]


def test_sorting(opened: Page) -> None:
    def factors() -> list[float]:
        return [float(text.split()[0]) for text in shown(opened, "speedup") if text]

    head = opened.get_by_role("button", name="speedup", exact=True)
    head.click()
    assert all(a >= b for a, b in pairwise(factors()))
    assert opened.locator("#table th[aria-sort=descending]").inner_text().startswith("speedup")
    head.press("Enter")
    assert all(a <= b for a, b in pairwise(factors()))
    # What has no speed-up is last both ways: the wrong one.
    opened.fill("#words", "scipy-csr")
    assert shown(opened, "speedup")[-1] == ""


def test_filtering(opened: Page) -> None:
    opened.fill("#words", "CSR 3072x768 N>=16 threads=2")
    assert set(shown(opened, "kernel")) == {"csr", "mkl-csr", "scipy-csr"}
    assert (set(shown(opened, "shape")), set(shown(opened, "N"))) == ({"3072x768"}, {"64"})
    assert set(shown(opened, "threads")) == {"2"}
    opened.fill("#words", "speedup>10 sparsity>90%")
    opened.select_option("#only-kernel", label="complementary")
    assert set(shown(opened, "kernel")) == {"complementary"}
    opened.fill("#words", "nonsense")
    assert opened.locator("#shown").inner_text().startswith("0 of ")


def test_a_case_has_its_samples_and_its_command(opened: Page) -> None:
    opened.fill("#words", "mkl-csr 512x512 block/4x4 N=64 threads=2")
    button = opened.locator("#table tr[data-row] button")
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    about = opened.locator("tr.about")
    assert about.locator("svg circle").count() == 15
    assert about.locator("code").inner_text() == (
        "sparsebench run --problem matmul:512x512x64:block/4x4+0.95:f32"
        " --kernels mkl-csr,mkl-dense --threads 2 --isa v4"
    )
    opened.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    about.get_by_role("button", name="Copy").click()
    assert opened.evaluate("window.copied") == about.locator("code").inner_text()
    button.press("Enter")
    assert about.count() == 0


def test_the_baselines_command_names_it_once(opened: Page) -> None:
    opened.fill("#words", "mkl-dense 512x512 block/4x4 N=64 threads=2")
    opened.locator("#table tr[data-row] button").click()
    assert "--kernels mkl-dense --threads" in opened.locator("tr.about code").inner_text()


def test_marks_say_what_they_are(opened: Page) -> None:
    opened.locator("#overview .wide .k3 .m").first.hover()
    assert re.match(r"complementary, .*x over mkl-dense \(", opened.locator("#tip").inner_text())
    point = opened.locator("#roofline .wide .p:visible").first
    point.hover(force=True)
    assert re.match(r".*, matmul:.*\n.* us", opened.locator("#tip").inner_text())
    case = point.get_attribute("data-case")
    # Not by the mouse: other points lie above it.
    point.dispatch_event("click")
    opened.wait_for_selector(f'#table tr[data-row="{case}"] + tr.about')


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser: Browser, file: Path, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.locator("#overview .narrow svg").first.is_visible()
    assert not tab.locator("#overview .wide svg").first.is_visible()
    # Letters of charts are drawn at nearly their own size.
    size = tab.locator("#overview .narrow svg text").first.evaluate("t => t.getBoundingClientRect().height")
    assert size > 10
    ink, paper = (
        tab.evaluate(f"getComputedStyle(document.body).{name}").removeprefix("rgb(")
        for name in ("color", "backgroundColor")
    )
    assert (int(ink.split(",")[0]) < int(paper.split(",")[0])) == (scheme == "light")
    context.close()


def test_paper_is_white_and_has_all_groups(browser: Browser, file: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.goto(file.as_uri())
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.locator("details:not([open])").count() == 0
    assert not tab.locator("nav").is_visible()
    context.close()


def test_thousands_of_cases_stay_small_and_quick_to_open(browser: Browser, tmp_path: Path) -> None:
    shapes = [(64 * n, 128) for n in range(1, 43)]
    folder = make_run(tmp_path / "run", [*make_cases(shapes=shapes, threads=(1, 2))])
    target = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(folder.path), "--format", "html", "-o", str(target)])
    assert result.exit_code == 0, result.output
    assert len(folder.results()) > 5000
    assert target.stat().st_size < 3_000_000
    tab = browser.new_page()
    tab.goto(target.as_uri())
    # As many rows as somebody looks at, not five thousand.
    assert tab.locator("#table tr[data-row]").count() == 200
    tab.locator("#more").click()
    assert tab.locator("#table tr[data-row]").count() == 400
    tab.close()


def test_the_data_are_the_frames(file: Path) -> None:
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', file.read_text(), re.DOTALL)
    assert text is not None
    data = json.loads(text[1])
    loaded = load([make_run(file.parent / "again", [*make_cases()])])
    assert data["count"] == len([*make_cases(threads=(1, 2)), *of_densities()])
    median = loaded.records[0]["median_s"]
    assert data["numbers"]["median_s"][0] == pytest.approx(median, rel=1e-3)
    times = [median * (1 + offset / 1000) for offset in data["samples"][0]]
    assert times == pytest.approx(loaded.results[0].samples_s, rel=1e-3)
