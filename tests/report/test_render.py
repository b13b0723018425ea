"""What the renderers draw; the Markdown ones against a golden file."""

import re
from pathlib import Path

import pytest
from rich.console import Console

from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.render.terminal import render_rich
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.report.table import Column, Emphasis, Missing, Number, Table
from tests.results.factory import make_record, metrics

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "a|b *c* [bold]d[/bold] <img src=x> \x1b[31m\u202e$e_f$ `g`"


def drawn(table: Table, width: int = 100, color: bool = False) -> str:
    console = Console(width=width, force_terminal=color, color_system="standard" if color else None, markup=False)
    with console.capture() as capture:
        console.print(render_rich(table, width))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def table_of_a_run() -> Table:
    other = make_record(method="single-classifier", config_key="d" * 64, interval=None, metrics=metrics(0.3, 0.6))
    gap = Absent("msvr310", "top-reid", "R-to-NT", "failed: out of memory")
    (table,) = run_tables([make_record(), other], [gap])
    return table


def test_markdown_golden() -> None:
    assert render_markdown(table_of_a_run()) == (GOLDEN / "run_table.md").read_text(encoding="utf-8")


def test_rich_golden() -> None:
    assert drawn(table_of_a_run()) + "\n" == (GOLDEN / "run_table.txt").read_text(encoding="utf-8")


def test_markdown_marks_best_and_second() -> None:
    cells = (Number(2.0, emphasis=Emphasis.BEST), Number(1.0, spread=0.1, emphasis=Emphasis.SECOND), Missing("r"))
    text = render_markdown(Table("t", (Column("a"), Column("b"), Column("c")), (cells,)))
    assert "| **2.0** | <u>1.0</u> ± 0.1 | — (a) |" in text
    assert text.endswith("\n\n(a) r\n")


def test_rich_marks_best_and_second_on_a_terminal() -> None:
    cells = (Number(2.0, emphasis=Emphasis.BEST), Number(1.0, emphasis=Emphasis.SECOND))
    text = drawn(Table("t", (Column("a"), Column("b")), (cells,)), color=True)
    assert "\x1b[1m2.0\x1b[0m" in text
    assert "\x1b[4m1.0\x1b[0m" in text


def test_nothing_in_a_name_is_obeyed_by_markdown_or_html() -> None:
    text = render_markdown(Table(HOSTILE, (Column(HOSTILE),), ((HOSTILE,),), caption=HOSTILE, footnotes=(HOSTILE,)))
    assert text.count(r"a\|b \*c\* \[bold\]d\[/bold\] \<img src=x\>") == 5
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\$e\_f\$ \`g\`" in text


def test_nothing_in_a_name_is_obeyed_by_the_terminal() -> None:
    text = drawn(Table(HOSTILE, (Column(HOSTILE),), ((HOSTILE,),), caption=HOSTILE, footnotes=(HOSTILE,)))
    assert text.count("[bold]d[/bold]") == 5
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_group_heading_stands_once() -> None:
    columns = (Column("protocol"), Column("mAP", "mdreid", numeric=True), Column("Rank-1", "mdreid", numeric=True))
    text = drawn(Table("t", columns, (("R-to-N", Number(1.0), Number(2.0)),)))
    assert text.count("mdreid") == 1


WIDTHS = (40, 60, 80, 100, 120, 140, 160, 200)


def numbers_in(text: str) -> list[str]:
    """Return the numbers of the body of every part, after the label that begins each row."""
    body = [line[10:] for line in text.splitlines() if line.startswith(("full", "without", "chance"))]
    return sorted(number for line in body for number in re.findall(r"[0-9]+\.[0-9](?![0-9])", line))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_and_every_row_is_whole_at_every_width(width: int) -> None:
    groups = ("mean of 6", "RNT-to-RNT", "RT-to-RT", "RT-to-NT", "RT-to-N", "R-to-N", "R-to-NT")
    columns = tuple(Column(title, group, numeric=True) for group in groups for title in ("mAP", "Rank-1"))
    values = [[Number(10.1 + 20 * row + i, spread=0.3) for i in range(len(columns))] for row in range(3)]
    rows = zip(("full", "without ROL, in many words", "chance"), values, strict=True)
    table = Table("t", (Column("configuration"), *columns), tuple((label, *cells) for label, cells in rows))
    text = drawn(table, width)
    assert numbers_in(text.replace(" ± 0.3", "")) == sorted(cell.text for row in values for cell in row)
    assert all(len(line) <= width for line in text.splitlines())
    parts = text.count("configuration") or text.count("configurati")
    assert parts >= 1
    assert text.count("full") == text.count("chance") == parts
    assert text.count("± 0.3") in (0, 42)
    assert ("Spread and interval are left out" in text) == (text.count("± 0.3") == 0)
    assert (parts > 1) == (f"The table is in {parts} parts" in " ".join(text.split()))


def test_a_column_of_text_is_narrowed_between_words_before_a_number_loses_anything() -> None:
    number = Number(40.0, spread=1.0)
    label = "single classifier (orthogonality_weight=0)"
    text = drawn(Table("t", (Column("method"), Column("mAP", numeric=True)), ((label, number),)), 50)
    assert "40.0 ± 1.0" in text
    assert "left out" not in text
    assert "(orthogonality_weight=0)" in text


def test_where_a_group_has_no_room_its_columns_stand_apart() -> None:
    columns = (Column("protocol"), *(Column(f"metric{i}", "method", numeric=True) for i in range(4)))
    text = drawn(Table("t", columns, (("R-to-N", *(Number(10.0 + i) for i in range(4))),)), 24)
    assert text.count("protocol") == 4
    assert [f"{10 + i}.0" in text for i in range(4)] == [True] * 4


@pytest.mark.parametrize("width", [20, 30])
def test_text_without_room_is_broken_rather_than_cut(width: int) -> None:
    text = drawn(Table("t", (Column("file"), Column("fault")), (("x" * 50, "y" * 50),)), width)
    assert (text.count("x"), text.count("y")) == (50, 50)
