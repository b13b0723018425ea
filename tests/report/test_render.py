"""What the renderers draw; the Markdown ones against a golden file."""

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


def drawn(table: Table, width: int = 100, wrap: bool = False, color: bool = False) -> str:
    console = Console(width=width, force_terminal=color, color_system="standard" if color else None, markup=False)
    with console.capture() as capture:
        console.print(render_rich(table, wrap))
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


@pytest.mark.parametrize("width", [30, 40])
def test_numbers_wrap_rather_than_being_cut(width: int) -> None:
    numbers = tuple(Number(40.0 + i, interval=(35.0, 45.0)) for i in range(3))
    text = drawn(Table("t", tuple(Column(f"c{i}", numeric=True) for i in range(3)), (numbers,)), width, wrap=True)
    assert "…" not in text
    assert text.count("35.0") == 3
