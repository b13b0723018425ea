"""Digits, and rows for columns: every number stays, with the mark that it deserves."""

from dataclasses import replace

import pytest

from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.shape import Shape, transposed
from mdreid_bench.report.table import Cell, Column, Emphasis, Label, Missing, Number, Table, emphasise
from tests.report.samples import comparison_table, shaded_table

BEST, SECOND, NONE = Emphasis.BEST, Emphasis.SECOND, Emphasis.NONE


def table_of(*values: float) -> Table:
    cells = emphasise([*map(Number, values), Missing("not run")])
    return Table(
        "t", (Column("method"), Column("mAP", numeric=True)), tuple((f"m{i}", c) for i, c in enumerate(cells))
    )


@pytest.mark.parametrize(
    ("digits", "shown", "marks"),
    [
        (None, ["43.7", "43.7", "43.2"], [BEST, BEST, SECOND]),
        (2, ["43.71", "43.68", "43.20"], [BEST, SECOND, NONE]),
        (0, ["44", "44", "43"], [BEST, BEST, SECOND]),
    ],
)
def test_numbers_that_are_shown_alike_are_marked_alike(
    digits: int | None, shown: list[str], marks: list[Emphasis]
) -> None:
    cells = [row[1] for row in Shape(digits)(table_of(43.71, 43.68, 43.2)).rows if isinstance(row[1], Number)]
    assert [cell.text for cell in cells] == shown
    assert [cell.emphasis for cell in cells] == marks


def test_spread_and_interval_follow_and_printed_figures_stay() -> None:
    cells = (Number(1.234, spread=0.5, interval=(1.0, 2.0)), Number(71.1, decimals=1, emphasis=BEST))
    shown = Shape(2)(Table("t", (Column("a", numeric=True), Column("b", numeric=True)), (cells,))).rows[0]
    assert [cell.text + cell.suffix for cell in shown if isinstance(cell, Number)] == [
        "1.23 ± 0.50 [1.00, 2.00]",
        "71.1",
    ]
    assert shown[1] == cells[1]


def test_transposing_keeps_every_cell_under_its_names() -> None:
    table = comparison_table()
    turned = transposed(table)
    assert [column.heading for column in turned.columns] == ["method", "mdreid", "top-reid", "chance"]
    headings = [column.heading for column in table.columns[1:]]
    assert [row[0] for row in turned.rows] == headings
    assert [row[1:] for row in turned.rows] == list(zip(*table.rows, strict=True))[1:]
    assert (turned.title, turned.caption) == (table.title, table.caption)
    assert table.marks().keys() == turned.marks().keys()
    assert table.footnotes == turned.footnotes


def test_two_columns_of_names_become_headings_of_two_levels() -> None:
    rows: tuple[tuple[Cell, ...], ...] = (
        ("A", Label("x", "made by hand"), Number(1), Number(2), Number(3), Number(4)),
        ("A", "y", Number(5), Number(6), Number(7), Number(8)),
    )
    numbers = (
        Column(metric, protocol, numeric=True) for protocol in ("R-to-N", "N-to-R") for metric in ("mAP", "R1")
    )
    turned = transposed(Table("t", (Column("data"), Column("method"), *numbers), rows))
    assert [(column.group, column.title) for column in turned.columns] == [
        ("", "data/method"),
        ("A", "x"),
        ("A", "y"),
    ]
    assert turned.rules == {2}
    assert "made by hand" in turned.footnotes
    assert "| R-to-N mAP" in render_markdown(turned)


def test_what_is_drawn_as_a_picture_and_what_has_no_numbers_keeps_its_sides() -> None:
    words = Table("t", (Column("a"), Column("b")), (("x", "y"),))
    for table in (shaded_table(), replace(table_of(1.0, 2.0), curve=(0.0, 1.0)), words):
        assert Shape(transposed=True)(table) == table
