"""Every form of a table against its golden file, and texts that try to be obeyed."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mdreid_bench.report.render.csv import render_csv
from mdreid_bench.report.render.html import render_html, render_html_table
from mdreid_bench.report.render.latex import escape, render_latex
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.sections import Section
from tests.report.samples import HOSTILE, comparison_table, hostile_table, shaded_table

GOLDEN = Path(__file__).parent / "golden"
SECTIONS = [Section("paper-mismatched", (comparison_table(),)), Section("grid", (shaded_table(),))]


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def test_latex_golden() -> None:
    assert render_latex(SECTIONS) == golden("report.tex")


def test_markdown_golden() -> None:
    assert render_markdown(comparison_table()) == golden("comparison.md")


def test_csv_golden() -> None:
    assert render_csv([comparison_table()]) == golden("comparison.csv")


@pytest.mark.parametrize(("table", "name"), [(comparison_table(), "comparison.html"), (shaded_table(), "grid.html")])
def test_html_golden(table: object, name: str) -> None:
    assert render_html_table(table) == golden(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 %", r"50 \%"),
        ("a_b", r"a\_\allowbreak{}b"),
        ("--limit 5", "-{}-limit 5"),
        ("top-reid", "top-reid"),
        ("--- x", "-{}-{}- x"),
        ("± é λ \ufb01", r"$\pm$ é ? fi"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("[5pt]", "{[}5pt{]}"),
    ],
)
def test_latex_obeys_no_text(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_note_of_several_tables_stands_once_at_the_end() -> None:
    shared = "Measured on a machine."
    tables = tuple(replace(comparison_table(), title=name, footnotes=(shared, f"of {name}")) for name in "ab")
    text = render_latex([Section("x", tables)])
    assert text.count(shared) == 1
    assert text.index(shared) > text.index("of b")
    assert text.count("Notes (1) at the end.") == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_compiles_without_a_warning(tmp_path: Path) -> None:
    document = render_latex([*SECTIONS, Section("other", (hostile_table(),))])
    (tmp_path / "x.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "x.log").read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"Warning|Overfull|Underfull|Missing character", log)


class Page(HTMLParser):
    """Collects the elements, the addresses and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.shown: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def test_the_page_asks_for_nothing_from_outside_and_runs_nothing() -> None:
    page = Page(render_html([Section("grid", (shaded_table(), hostile_table()))], synthetic=True))
    assert "script" not in page.elements
    assert "img" not in page.elements
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert any("SYNTHETIC" in text for text in page.shown)


def test_nothing_in_a_text_is_obeyed_by_html() -> None:
    text = render_html_table(hostile_table())
    safe = HOSTILE.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    assert any(shown == safe for shown in Page(text).shown)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_csv_reads_back_every_number_unrounded() -> None:
    lines = list(csv.DictReader(io.StringIO(render_csv([comparison_table(), hostile_table()]))))
    assert len(lines) == 11
    assert float(lines[1]["value"]) == 25.375
    assert lines[5]["missing"] == "not run"
    assert lines[-2]["provenance"].endswith("é λ ±")
