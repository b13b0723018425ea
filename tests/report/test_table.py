"""Tables as objects: emphasis, missing cells, shape."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.report.table import Cell, Column, Emphasis, Missing, Number, Table, emphasise, without_empty_columns


def marks(cells: list[Cell]) -> list[Emphasis]:
    return [cell.emphasis for cell in emphasise(cells) if isinstance(cell, Number)]


def test_best_and_second_are_marked_and_ties_share_the_mark() -> None:
    cells: list[Cell] = [Number(40.0), Number(41.0), Missing("not run"), Number(39.0), Number(41.0), Number(40.0)]
    best, second, none = Emphasis.BEST, Emphasis.SECOND, Emphasis.NONE
    assert marks(cells) == [second, best, none, best, second]


def test_numbers_shown_alike_are_tied() -> None:
    assert marks([Number(40.04), Number(39.96), Number(39.94)]) == [Emphasis.BEST, Emphasis.BEST, Emphasis.SECOND]


def test_a_single_number_is_not_the_best_of_anything() -> None:
    assert marks([Number(40.0), Missing("failed")]) == [Emphasis.NONE]


@settings(max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=8))
def test_the_largest_is_always_best_and_marks_follow_the_order(values: list[float]) -> None:
    found = marks([Number(value) for value in values])
    assert found[values.index(max(values))] is Emphasis.BEST
    order = {Emphasis.BEST: 2, Emphasis.SECOND: 1, Emphasis.NONE: 0}
    ranked = [order[mark] for _, mark in sorted(zip(values, found, strict=True), key=lambda pair: pair[0])]
    assert ranked == sorted(ranked)


def test_numbers_are_shown_with_one_decimal_spread_and_interval() -> None:
    assert Number(40.05).text == "40.0"
    assert Number(1.26, spread=0.55).suffix == " ± 0.6"
    assert Number(1.26, interval=(0.98, 2.0)).suffix == " [1.0, 2.0]"


def test_reasons_of_missing_cells_are_lettered_once_each() -> None:
    rows: tuple[tuple[Cell, ...], ...] = (
        ("x", Missing("failed")),
        ("y", Missing("not run")),
        ("z", Missing("failed")),
    )
    table = Table("t", (Column("m"), Column("v")), rows, footnotes=("note",))
    assert table.marks() == {"failed": "a", "not run": "b"}
    assert table.notes() == ["(a) failed", "(b) not run", "note"]


def test_many_reasons_get_different_letters() -> None:
    table = Table("t", (Column("v"),), tuple((Missing(str(i)),) for i in range(60)))
    markers = list(table.marks().values())
    assert len(set(markers)) == 60
    assert markers[25:28] == ["z", "aa", "ab"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        Table("t", (Column("a"),), (("x", "y"),))


def test_what_does_not_compete_is_never_marked() -> None:
    floor = Number(9.0, ranked=False)
    assert marks([Number(3.0), floor, Number(2.0)]) == [Emphasis.BEST, Emphasis.NONE, Emphasis.SECOND]
    assert marks([Number(3.0), floor]) == [Emphasis.NONE, Emphasis.NONE]


def test_columns_of_dashes_alone_are_left_out_with_the_reason_once() -> None:
    columns = (
        Column("method"),
        Column("published", "mAP", numeric=True),
        Column("ours", "mAP", numeric=True),
        Column("difference", "mAP", numeric=True),
    )
    rows: tuple[tuple[Cell, ...], ...] = (
        ("a", Missing("none"), Number(1.0), Missing("none")),
        ("b", Missing("none"), "", Missing("synthetic")),
    )
    table = without_empty_columns(Table("t", columns, rows, footnotes=("note",)))
    assert [column.heading for column in table.columns] == ["method", "mAP ours"]
    assert table.rows == (("a", Number(1.0)), ("b", ""))
    assert table.notes() == ["note", "No column mAP published (none).", "No column mAP difference (none; synthetic)."]


def test_a_table_of_nothing_but_dashes_stays() -> None:
    table = Table("t", (Column("m"), Column("v", numeric=True)), (("a", Missing("none")),))
    assert without_empty_columns(table) is table
