"""The table of costs, the grid of all protocols, and which sections a report has."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.report.cost import NOT_COUNTED, NOT_TIMED, cost_table
from mdreid_bench.report.grid import grid_tables
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.sections import Contents
from mdreid_bench.report.table import Cell, Missing, Number, Table
from mdreid_bench.results.published import figures
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from protocols.protocol import ALL_PROTOCOLS
from tests.report.fakes import ablation, cell, study
from tests.results.factory import PROVENANCE


def only(records: Iterable[Record]) -> Group:
    (group,) = group_records(records)
    return group


def timed(**seconds: float) -> dict[str, Any]:
    return {"provenance": PROVENANCE.model_copy(update={"phase_seconds": seconds})}


def costs(group: Group, folder: Path, published: bool = True) -> dict[str, Cell]:
    table = cost_table(group, figures(), published, lambda record: folder)
    return dict(zip((column.heading for column in table.columns), table.rows[0], strict=True))


def text(cell: Cell) -> str:
    assert isinstance(cell, Number)
    return cell.text


def test_costs_stand_beside_the_published_ones(tmp_path: Path) -> None:
    counts = {"parameters": 86_123_456, "multiply_adds": 34_400_000_000}
    (tmp_path / "cost.json").write_text(json.dumps(counts | {"digest": canonical_hash(counts)}))
    first = cell("rgbnt201", "mdreid", 0, "R-to-N", data_kind="real", **timed(train=9.0, extract=3.5, score=0.125))
    later = cell("rgbnt201", "mdreid", 0, "R-to-T", data_kind="real", **timed(score=0.0625))
    row = costs(only([first, later]), tmp_path)
    assert [text(row[f"{name} ours"]) for name in ("parameters [M]", "multiply-adds [G]")] == ["86.1", "34.4"]
    assert [text(row[f"{name} ours"]) for name in ("extraction [s]", "scoring [s]")] == ["3.500", "0.062"]
    assert [text(row[f"{name} published"]) for name in ("parameters [M]", "extraction [s]")] == ["57.2", "3.27"]


def test_sources_that_count_otherwise_are_named_in_the_note(tmp_path: Path) -> None:
    row = costs(only(study(["top-reid"], data_kind="real")), tmp_path)
    printed = row["parameters [M] published"]
    assert isinstance(printed, Number)
    assert printed.text == "278.2"
    assert "324.53 in IDEA" in printed.note


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        '{"parameters": 1}',
        '{"parameters": NaN, "multiply_adds": -1}',
        json.dumps(
            {"parameters": 2, "multiply_adds": 2, "digest": canonical_hash({"parameters": 1, "multiply_adds": 2})}
        ),
    ],
)
def test_costs_that_are_not_counted_or_damaged_are_dashes(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "cost.json").write_text(content)
    row = costs(only(study(["mdreid"], **timed(train=1.0))), tmp_path, published=False)
    assert row["parameters [M] ours (synthetic)"] == Missing(NOT_COUNTED)
    assert row["extraction [s] ours (synthetic)"] == Missing(NOT_TIMED)


def test_the_grid_has_the_query_in_rows_and_the_gallery_in_columns() -> None:
    records = [cell("msvr310", "mdreid", 0, str(protocol)) for protocol in ALL_PROTOCOLS]
    (grid,) = grid_tables(only(records))
    assert grid.shaded
    assert [column.title for column in grid.columns] == ["query", "R", "N", "T", "RN", "RT", "NT", "RNT"]
    measured = {record.protocol: f"{100 * record.metrics.mAP:.1f}" for record in records}
    assert text(grid.rows[0][2]) == measured["R-to-N"]
    assert text(grid.rows[5][1]) == measured["NT-to-R"]


def test_a_protocol_that_was_not_run_is_a_gap_in_the_grid() -> None:
    records = [cell("msvr310", "mdreid", 0, str(protocol)) for protocol in ALL_PROTOCOLS[1:9]]
    (grid,) = grid_tables(only(records))
    assert grid.rows[0][1] == Missing("not run")


def test_a_few_protocols_make_no_grid() -> None:
    assert grid_tables(only(cell("msvr310", "mdreid", 0, str(protocol)) for protocol in ALL_PROTOCOLS[:7])) == []


def sections(records: Iterable[Record], *suites: str) -> dict[str, tuple[Table, ...]]:
    contents = Contents(group_records(records), figures(), True, (), lambda record: Path("nowhere"))
    return {section.name: section.tables for section in contents.sections(suites)}


def test_a_report_mirrors_the_paper() -> None:
    everything = sections([*study(suites=["all"]), *ablation()])
    assert list(everything) == ["paper-matched", "paper-mismatched", "missing", "ablation", "grid", "cost"]


def test_a_suite_by_itself() -> None:
    assert list(sections(study(suites=["all"]), "missing")) == ["missing"]
    assert list(sections(study(suites=["all"]), "all")) == ["grid"]


def test_the_seven_matched_protocols_have_a_mean() -> None:
    tables = sections(study(["single-classifier"], suites=["all"]), "matched")["matched"]
    assert [table.columns[-1].group for table in tables] == ["mean of 7 mAP", "mean of 7 Rank-1"]


def test_the_42_mismatched_protocols_are_rows_with_their_provenance() -> None:
    (table,) = sections(study(suites=["all"]), "mismatched")["mismatched"]
    assert len(table.rows) == 42
    assert any("commit 0123456789" in note for note in table.footnotes)


def test_settings_that_stand_nowhere_else_have_tables_of_their_own() -> None:
    records = [cell("rgbnt201", "mdreid", 0, name) for name in ("mixed-0.5-s0", "N-to-T", "RNT-to-RNT")]
    titles = [table.title for table in sections(records)["other"]]
    assert titles == ["N-to-T, rgbnt201 (synthetic)", "mixed-0.5-s0, rgbnt201 (synthetic)"]


def test_what_the_grid_shows_is_not_shown_again() -> None:
    records = [*study(suites=["all"]), cell("rgbnt201", "mdreid", 0, "mixed-0.5-s0")]
    assert len(sections(records)["other"]) == 1
