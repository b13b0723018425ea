"""The page, driven as a reader would: by pointer, by keyboard, on a phone, in the dark, without a network."""

import csv
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from mdreid_bench.report.groups import group_records
from mdreid_bench.results.schema import CorruptedImages, Record
from protocols.corruption import Corruption
from protocols.suites import suite
from tests.report.fakes import ablation, cell, page_of
from tests.report.test_page import large_page, many
from tests.report.test_transfer import FIGURES
from tests.report.test_transfer import records as transferred
from tests.results.factory import metrics

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "</script><img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
SECONDS = 2.0
"""In which the page of 2,205 records opens."""


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium, or a browser of its kind that MDREID_BROWSER names."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra 'test'")
    named = [os.environ.get("MDREID_BROWSER", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, (shutil.which(name) for name in named if name)), None)
    if found is None:
        pytest.skip("needs Chromium; name one with MDREID_BROWSER")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page of 2,205 records."""
    return written(tmp_path_factory, large_page())


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page that has every view, and texts that try to be obeyed."""
    records = [
        *transferred(),
        *ablation(seeds=(1,)),
        cell("msvr310", "editor", 1, "R-to-NT", trunk=EVIL, metrics=metrics(0.8125)),
    ]
    records += [_corrupted(name, seed) for name in ("fog-2", "fog-4", "random") for seed in (0, 1)]
    records += [cell("msvr310", "mdreid", seed, "RNT-to-RNT", data_kind="real") for seed in (0, 1)]
    records += [cell("msvr310", "mdreid", seed, "R-to-N") for seed in (0, 1)]
    return written(tmp_path_factory, page_of(records, figures=FIGURES))


def _corrupted(name: str, seed: int) -> Record:
    return cell("msvr310", "mdreid", seed, "R-to-N", corruption=CorruptedImages.of(Corruption(name)))


def written(factory: pytest.TempPathFactory, page: str) -> str:
    file = factory.mktemp("page") / "report.html"
    file.write_text(page, encoding="utf-8")
    return file.as_uri()


@dataclass
class Reader:
    """One tab; what it complains about and what it asks the network for is kept."""

    page: "Page"
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str, **state: str) -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{address}#{'&'.join(f'{name}={value}' for name, value in state.items())}")
        self.page.wait_for_selector("#main h2")

    def state(self) -> dict[str, list[str]]:
        return parse_qs(self.page.url.partition("#")[2])

    def rows(self, kind: str = "measured") -> list[list[str]]:
        """Return the texts of the cells of the rows of a kind, as far as they are drawn and not hidden."""
        cells = "[...row.querySelectorAll('.tabulator-cell')].filter(cell => cell.offsetParent)"
        script = f"rows => rows.map(row => {cells}.map(cell => cell.innerText.trim()))"
        found: list[list[str]] = self.page.locator(f".tabulator-row.{kind}").evaluate_all(script)
        return found

    def headings(self) -> list[str]:
        script = "heads => heads.filter(head => head.offsetParent).map(head => head.innerText)"
        found: list[str] = self.page.locator(".tabulator-col .head").evaluate_all(script)
        return found

    def tab_to(self, selector: str) -> None:
        """Press the Tab key until what has the focus fits."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
                return
        raise AssertionError(f"the Tab key does not reach {selector}")

    def choose(self, facet: str, *values: str) -> None:
        self.page.locator(f"#menu-{facet} > summary").click()
        for value in values:
            self.page.locator(f"#menu-{facet} input[value='{value}']").check()
        self.page.keyboard.press("Escape")


@pytest.fixture
def reader(browser: "Browser", request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A tab, as wide and as dark as the test asks for, which must not have complained at the end."""
    form: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, **getattr(request, "param", {})}
    context = browser.new_context(accept_downloads=True, **form)
    tab = Reader(context.new_page())
    tab.page.on("console", lambda message: tab.complaints.append(message.text))
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.on("request", lambda asked: tab.complaints.append(asked.url) if "://" in asked.url[4:] else None)
    yield tab
    context.close()
    assert [text for text in tab.complaints if not text.startswith(("file:", "blob:"))] == []


def test_2205_records_open_at_once_with_the_numbers_of_the_report(reader: Reader, large: str) -> None:
    opened = []
    for _ in range(2):  # the first may meet a cold disk
        reader.open(large, view="mismatched")
        opened.append(reader.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
    assert min(opened) < 1000 * SECONDS
    assert "2,205 measurements: 5 methods, 3 data sets, 49 protocols, 3 seeds" in reader.page.inner_text("#summary")
    assert "SYNTHETIC" in reader.page.inner_text("#synthetic")
    (group, *_) = group_records(many())
    protocols = [str(protocol) for protocol in suite("paper-mismatched")]
    assert reader.headings() == ["method", *protocols, "mean"]
    shown = {row[0].split("\n")[0]: row[1:-1] for row in reader.rows()[: len(group.variants)]}
    for variant in group.variants:
        numbers = [variant.number(protocol, "mAP") for protocol in protocols]
        assert shown[variant.label] == [f"{number.text}\n{number.suffix.strip()}" for number in numbers]


def test_a_sorted_and_filtered_view_can_be_sent(reader: Reader, large: str) -> None:
    reader.open(large, view="overview")
    reader.choose("dataset", "MSVR310")
    reader.choose("method", "MDReID", "EDITOR", "TOP-ReID")
    reader.choose("seed", "2")
    reader.page.select_option("#metric", "rank1")
    heading = reader.page.locator(".tabulator-col", has_text="R-to-NT").last
    heading.click()
    heading.click()
    values = [float(row[-1]) for row in reader.rows()]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    wanted = {r.method: r for r in many() if (r.dataset, r.seed, r.protocol) == ("msvr310", 2, "R-to-NT")}
    assert f"{100 * wanted['mdreid'].metrics.rank1:.1f}" in {row[-1] for row in reader.rows()}
    reader.page.locator("#menu-columns > summary").click()
    reader.page.locator("#menu-columns input[value='R-to-N|rank1']").uncheck()
    reader.page.keyboard.press("Escape")
    assert "R-to-N" not in reader.headings()
    sent, rows = reader.page.url, reader.rows()
    assert reader.state()["method"] == ["MDReID", "EDITOR", "TOP-ReID"]
    reader.page.goto("about:blank")
    reader.page.goto(sent)
    assert reader.rows() == rows
    assert reader.page.locator("#menu-seed > summary").inner_text() == "Seed: 2"
    reader.page.click("#reset")
    assert len(reader.rows()) > len(rows)


def test_a_cell_opens_what_it_came_from_by_the_keyboard_alone(reader: Reader, large: str) -> None:
    reader.open(large, view="missing")
    reader.tab_to("#menu-dataset > summary")
    reader.page.keyboard.press("Enter")
    reader.tab_to("#menu-dataset input[value=RGBNT100]")
    for key in ("Space", "Escape"):
        reader.page.keyboard.press(key)
    assert reader.state()["dataset"] == ["RGBNT100"]
    reader.tab_to(".number")
    for key in ("ArrowRight", "ArrowDown", "ArrowUp", "Enter"):
        reader.page.keyboard.press(key)
    dialog = reader.page.locator("dialog[open]")
    told = dialog.inner_text()
    assert "MDReID, N-to-N" in told
    assert "SYNTHETIC data" in told
    records = [r for r in many() if (r.dataset, r.method, r.protocol) == ("rgbnt100", "mdreid", "N-to-N")]
    assert len(records) == 3
    for record in records:
        assert f"runs/{record.folder_name}/full/N-to-N.json" in told
        assert f"{100 * record.metrics.mAP:.4f}" in told
        assert f"mdreid-bench inspect --run {record.folder_name} --protocol N-to-N" in told
    assert "591 queries of 52 identities, 1055 gallery items" in told
    assert "commit 0123456789" in told
    seeds = "--seed 1 --seed 2 --seed 3"
    assert f"mdreid-bench run --dataset rgbnt100 --method mdreid --preset tiny {seeds} --protocol N-to-N" in told
    assert "cell" in reader.state()
    sent = reader.page.url
    reader.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    reader.page.wait_for_url(lambda url: "cell=" not in url)
    assert "cell" not in reader.state()
    reader.page.goto("about:blank")
    reader.page.goto(sent)
    assert dialog.inner_text() == told
    reader.page.keyboard.press("Escape")
    reader.page.locator(".tabulator-row.published .number:not(.missing)").first.click()
    assert re.search(r"Published in .+\s+.*https://", dialog.inner_text())


def test_csv_has_what_is_seen(reader: Reader, large: str) -> None:
    reader.open(large, view="matched", dataset="RGBNT201", q="editor")
    with reader.page.expect_download() as started:
        reader.page.click("#csv")
    assert started.value.suggested_filename == "mdreid-bench-matched.csv"
    lines = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    seen = [*reader.rows(), *reader.rows("published")]
    assert len(lines) == len(seen) > 1
    ours = next(line for line in lines if line["data kind"] == "synthetic")
    assert (ours["data set"], ours["method"]) == ("RGBNT201 (synthetic)", "EDITOR")
    assert f"{ours['mAP']}\n{ours['mAP (± or interval)']}" == seen[0][1]
    assert {line["data kind"] for line in lines} == {"synthetic", "published"}


@pytest.mark.parametrize(
    "reader", [{"viewport": {"width": 420, "height": 900}, "color_scheme": "dark", "has_touch": True}], indirect=True
)
def test_a_phone_in_the_dark_shows_numbers_beside_the_names(reader: Reader, large: str) -> None:
    reader.open(large, view="protocols")
    page = reader.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    row = page.locator(".tabulator-row.measured").first
    places = row.locator(".number").evaluate_all(
        "cells => cells.slice(0, 3).map(c => c.getBoundingClientRect()).map(box => [box.left, box.right, box.top])"
    )
    assert all(left >= 128 and right <= 420 and top < 900 for left, right, top in places)
    name = row.locator(".tabulator-cell").first
    before = name.bounding_box()
    page.locator(".tabulator-tableholder").evaluate("holder => { holder.scrollLeft = 900; }")
    page.wait_for_function("document.querySelector('.tabulator-tableholder').scrollLeft > 800")
    after = name.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["x"] - before["x"]) < 1
    colours = name.evaluate(
        "cell => [getComputedStyle(cell), getComputedStyle(document.body)].flatMap(s => [s.backgroundColor, s.color])"
    )
    paper, ink, body, _ = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert paper == body < 120
    assert ink > 600
    page.locator(".tabulator-row.measured .number").nth(8).tap()
    assert page.locator("dialog[open]").is_visible()


def test_every_view_opens_and_no_text_is_obeyed(reader: Reader, varied: str) -> None:
    reader.open(varied, view="constructor", metric="nothing", cell="nothing", section="nothing", sort="nothing:asc")
    assert reader.page.inner_text("#main h2") == "Overview"
    views = reader.page.locator("#views a").evaluate_all("links => links.map(link => link.hash)")
    names = [parse_qs(view[1:])["view"][0] for view in views]
    assert {"matched", "mismatched", "missing", "transfer", "corruption", "cost", "records", "tables"} <= set(names)
    seen = {}
    for name in names:
        reader.open(varied, view=name)
        assert reader.page.locator("#main .tabulator, #main p").count(), name
        seen[name] = reader.page.inner_text("#main")
    assert "trained on RGBNT100" in seen["transfer"]
    assert "published: MAN Table 2" in seen["transfer"]
    assert "fog-4" in seen["corruption"]
    assert EVIL in seen["records"] or EVIL in reader.page.evaluate("document.body.textContent")
    reader.open(varied, view="corruption", q="fog-2")
    (row,) = reader.rows()
    clean, corrupted, loss = (float(text.split("\n")[0].replace("\N{MINUS SIGN}", "-")) for text in row[5:8])
    assert loss == pytest.approx(clean - corrupted, abs=0.11)
    reader.open(varied, view="records", q="editor")
    assert reader.rows()[0][5] == f"{81.25:.1f}" == "81.2"  # a tie goes to the even digit, as in Python
    reader.page.locator(".number").first.click()
    assert EVIL in reader.page.inner_text("dialog")
    assert reader.page.evaluate("window.hacked") is None


def test_published_and_real_figures_are_told_apart_from_synthetic_ones(reader: Reader, varied: str) -> None:
    reader.open(varied, view="matched", dataset="MSVR310")
    groups = reader.page.locator(".tabulator-group").all_inner_texts()
    assert ["SYNTHETIC data" in group for group in groups] == ["(synthetic" in group for group in groups]
    assert 0 < sum("SYNTHETIC" in group for group in groups) < len(groups)
    reader.choose("kind", "real")
    assert all("synthetic" not in text for text in reader.page.locator(".tabulator-group").all_inner_texts())
    assert reader.rows("published") == []
