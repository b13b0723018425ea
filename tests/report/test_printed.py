"""Published figures in rows: who agrees with whom, and averages that are none."""

import pytest

from mdreid_bench.report.printed import printed_rows
from mdreid_bench.report.quantities import average, single
from mdreid_bench.report.table import Label, Missing, Number
from mdreid_bench.results.published import Figure

PROTOCOLS = ("RT-to-NT", "R-to-N")
MEAN = average("missing", PROTOCOLS, "mAP")
CELLS = [single(protocol, "mAP") for protocol in PROTOCOLS]


def figure(
    value: float, protocol: str = "RT-to-NT", paper: str = "A", method: str = "EDITOR", note: str = ""
) -> Figure:
    return Figure(paper, "Table 1", "rgbnt201", method, protocol, "mAP", value, f"address of {paper}", note)


def labels(*figures: Figure) -> list[str]:
    return [row.label.text for row in printed_rows(figures, [*CELLS, MEAN])]


def test_sources_that_agree_as_printed_share_a_row() -> None:
    assert labels(figure(66.5), figure(66.48, paper="B")) == ["A Table 1; B Table 1"]


def test_sources_that_disagree_keep_one_row_each() -> None:
    assert labels(figure(66.5), figure(66.7, paper="B")) == ["A Table 1", "B Table 1"]


def test_a_source_with_more_figures_joins_the_one_it_agrees_with() -> None:
    found = labels(figure(66.5), figure(66.5, paper="B"), figure(4.0, "R-to-N", paper="B"))
    assert found == ["A Table 1; B Table 1"]


def test_sources_with_different_figures_do_not_make_up_a_row() -> None:
    assert labels(figure(66.5), figure(4.0, "R-to-N", paper="B")) == ["A Table 1", "B Table 1"]


def test_variants_of_a_name_are_told() -> None:
    assert labels(figure(66.5), figure(65.7, method="EDITOR(B)")) == ["A Table 1", "A Table 1 as EDITOR(B)"]


def test_figures_of_other_columns_are_left_out() -> None:
    assert labels(figure(1.0, "T-to-T")) == []


def test_a_note_on_all_figures_of_a_row_stands_at_its_source() -> None:
    (row,) = printed_rows([figure(66.5, note="joint training")], CELLS)
    assert row.label == Label("A Table 1", "A: joint training")
    cell = row.cell(CELLS[0])
    assert isinstance(cell, Number)
    assert cell.note == ""


def test_a_note_on_some_figures_stands_at_them() -> None:
    (row,) = printed_rows([figure(66.5, note="best epoch"), figure(4.0, "R-to-N")], CELLS)
    cells = [row.cell(quantity) for quantity in CELLS]
    assert [cell.note for cell in cells if isinstance(cell, Number)] == ["A: best epoch", ""]
    assert row.label.note == ""


def test_a_printed_average_that_is_the_mean_is_shown_without_a_word() -> None:
    (row,) = printed_rows([figure(20.0), figure(10.0, "R-to-N"), figure(15.1, "average:missing")], [*CELLS, MEAN])
    cell = row.cell(MEAN)
    assert isinstance(cell, Number)
    assert (cell.text, cell.note) == ("15.1", "")
    assert row.reference(MEAN) == 15.1


def test_a_printed_average_that_is_not_the_mean_is_shown_as_printed_with_the_mean() -> None:
    (row,) = printed_rows([figure(20.0), figure(10.0, "R-to-N"), figure(10.0, "average:missing")], [*CELLS, MEAN])
    cell = row.cell(MEAN)
    assert isinstance(cell, Number)
    assert cell.text == "10.0"
    assert "15.00" in cell.note
    assert row.reference(MEAN) == pytest.approx(15.0)


def test_an_average_whose_columns_are_not_printed_stands_as_it_is() -> None:
    (row,) = printed_rows([figure(20.0), figure(10.0, "average:missing")], [*CELLS, MEAN])
    assert row.reference(MEAN) == 10.0
    assert row.cell(CELLS[1]) == Missing("no published figure")


def test_decimals_are_those_in_print() -> None:
    cells = [printed_rows([figure(value)], CELLS)[0].cell(CELLS[0]) for value in (5.0, 10.71, 82.0868)]
    assert [cell.text for cell in cells if isinstance(cell, Number)] == ["5.0", "10.71", "82.09"]
