"""The table of costs, the grid of all protocols, and which sections a report has."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mdreid_bench.data import registry
from mdreid_bench.report.cost import NOT_COUNTED, NOT_TIMED, cost_table
from mdreid_bench.report.grid import grid_tables
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.printed import NO_FIGURE
from mdreid_bench.report.quantities import average, single
from mdreid_bench.report.sections import Contents, section_title
from mdreid_bench.report.table import Cell, Missing, Number, Table
from mdreid_bench.results.published import figures
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.storage.place import write_sealed
from protocols.modality import RNT, Modality
from protocols.protocol import protocols_of
from tests.report.fakes import ablation, cell, study
from tests.results.factory import PROVENANCE


def only(records: Iterable[Record]) -> Group:
    (group,) = group_records(records)
    return group


def timed(**seconds: float) -> dict[str, Any]:
    return {"provenance": PROVENANCE.model_copy(update={"phase_seconds": seconds})}


def costs(group: Group, folder: Path, published: bool = True) -> dict[str, Cell]:
    table = cost_table(group, figures() if published else (), lambda record: folder)
    return dict(zip((column.heading for column in table.columns), table.rows[0], strict=True))


def text(cell: Cell) -> str:
    assert isinstance(cell, Number)
    return cell.text


def test_costs_stand_beside_the_published_ones(tmp_path: Path) -> None:
    counts = {"parameters": 86_123_456, "multiply_adds": 34_400_000_000}
    write_sealed(tmp_path / "cost.json", counts)
    first = cell("rgbnt201", "mdreid", 0, "R-to-N", data_kind="real", **timed(train=9.0, extract=3.5, score=0.125))
    later = cell("rgbnt201", "mdreid", 0, "R-to-T", data_kind="real", **timed(score=0.0625))
    row = costs(only([first, later]), tmp_path)
    assert [text(row[f"{name} ours"]) for name in ("parameters [M]", "multiply-adds [G]")] == ["86.1", "34.4"]
    assert [text(row[f"{name} ours"]) for name in ("extraction [s]", "scoring [s]")] == ["3.50", "0.0938"]
    assert [text(row[f"{name} published"]) for name in ("parameters [M]", "extraction [s]")] == ["57.2", "3.27"]


def test_sources_that_count_otherwise_are_named_in_the_note(tmp_path: Path) -> None:
    row = costs(only(study(["top-reid"], data_kind="real")), tmp_path)
    printed = row["parameters [M] published"]
    assert isinstance(printed, Number)
    assert printed.text == "278.2"
    assert "324.53 in IDEA" in printed.note


def test_published_costs_are_those_of_three_sensors(tmp_path: Path) -> None:
    group = only([cell("pairs", "mdreid", 0, "R-to-T")])
    assert costs(group, tmp_path)["parameters [M] published"] == Missing(NO_FIGURE)
    notes = cost_table(group, (), lambda record: tmp_path).footnotes
    assert "one item with an image of each sensor (R, T), attention included" in notes[0]


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


def test_the_costs_of_another_run_are_not_taken(tmp_path: Path) -> None:
    write_sealed(tmp_path / "other" / "cost.json", {"parameters": 1, "multiply_adds": 2})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "cost.json").write_bytes((tmp_path / "other" / "cost.json").read_bytes())
    row = costs(only(study(["mdreid"])), tmp_path / "own", published=False)
    assert row["parameters [M] ours (synthetic)"] == Missing(NOT_COUNTED)


def test_the_grid_has_the_query_in_rows_and_the_gallery_in_columns() -> None:
    records = [cell("msvr310", "mdreid", 0, str(protocol)) for protocol in protocols_of(RNT)]
    (grid,) = grid_tables(only(records))
    assert grid.shaded
    assert [column.title for column in grid.columns] == ["query", "R", "N", "T", "RN", "RT", "NT", "RNT"]
    measured = {record.protocol: f"{100 * record.metrics.mAP:.1f}" for record in records}
    assert text(grid.rows[0][2]) == measured["R-to-N"]
    assert text(grid.rows[5][1]) == measured["NT-to-R"]


def test_a_protocol_that_was_not_run_is_a_gap_in_the_grid() -> None:
    records = [cell("msvr310", "mdreid", 0, str(protocol)) for protocol in protocols_of(RNT)[1:9]]
    (grid,) = grid_tables(only(records))
    assert grid.rows[0][1] == Missing("not run")


def test_a_few_protocols_make_no_grid() -> None:
    assert grid_tables(only(cell("msvr310", "mdreid", 0, str(protocol)) for protocol in protocols_of(RNT)[:7])) == []


PAIRS = ("R-to-R", "R-to-T", "R-to-RT", "T-to-R", "T-to-T", "T-to-RT", "RT-to-R", "RT-to-T", "RT-to-RT")
"""Every protocol of a dataset with RGB and thermal images."""


def test_two_sensors_make_a_grid_of_three_by_three() -> None:
    (grid,) = grid_tables(only(cell("elsewhere", "mdreid", 0, protocol) for protocol in PAIRS))
    assert [row[0] for row in grid.rows] == [column.title for column in grid.columns[1:]] == ["R", "T", "RT"]
    assert all(isinstance(value, Number) for row in grid.rows for value in row[1:])
    assert grid_tables(only(cell("elsewhere", "mdreid", 0, protocol) for protocol in PAIRS[:3])) == []


def test_four_sensors_make_a_grid_of_fifteen_by_fifteen() -> None:
    protocols = protocols_of(RNT | Modality.D)
    (grid,) = grid_tables(only(cell("elsewhere", "mdreid", 0, str(protocol)) for protocol in protocols))
    assert len(grid.rows) == len(grid.columns) - 1 == 15


def test_the_sensors_of_an_installed_dataset_are_those_that_it_declares() -> None:
    assert only([cell("rgbnt201", "mdreid", 0, "R-to-N")]).sensors == RNT
    assert only([cell("elsewhere", "mdreid", 0, name) for name in ("R-to-R", "mixed-0.5-s0")]).sensors == Modality.R


def test_a_dataset_declares_sensors_that_no_record_names(monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(registry.get("rgbnt201").card, title="Pairs", sensors=Modality.R | Modality.T)
    monkeypatch.setattr(registry, "get", lambda name: SimpleNamespace(card=card))
    group = only([cell("pairs", "mdreid", 0, "R-to-R")])
    assert group.sensors == Modality.R | Modality.T
    mean = average("ablation", ("R-to-R", "RT-to-NT"), "mAP").measured(group.variants[0])
    assert mean == Missing("not applicable: Pairs has no N")


def test_a_protocol_that_a_dataset_cannot_serve_is_not_applicable() -> None:
    (variant,) = only([cell("rgbnt201", "mdreid", 0, "R-to-N")]).variants
    assert single("RD-to-D", "mAP").measured(variant) == Missing("not applicable: RGBNT201 has no D")
    assert average("", ("R-to-N", "D-to-D"), "mAP").measured(variant) == Missing("not applicable: RGBNT201 has no D")
    assert single("D-to-D", "mAP").chance([variant]) == Missing("not applicable: RGBNT201 has no D")
    assert single("R-to-T", "mAP").measured(variant) == Missing("not run")


@pytest.mark.parametrize(
    ("name", "sensors", "title"),
    [
        ("grid", RNT, "All 49 protocols"),
        ("grid", Modality.R | Modality.T, "All nine protocols"),
        ("grid", None, "All protocols"),
        ("matched", RNT, "The seven matched protocols"),
        ("matched", Modality.R, "The one matched protocol"),
        ("mismatched", RNT, "The 42 mismatched protocols"),
        ("mismatched", None, "The mismatched protocols"),
        ("missing", RNT, "Missing modality: the same sensors on both sides, but not all three"),
        ("missing", Modality.R | Modality.T, "Missing modality: the same sensors on both sides, but not both"),
        ("missing", None, "Missing modality: the same sensors on both sides, but not all"),
        ("paper-matched", RNT, "Matched: all three sensors on both sides"),
        ("paper-matched", RNT | Modality.D, "Matched: RNT on both sides"),
    ],
)
def test_titles_follow_the_sensors(name: str, sensors: Modality | None, title: str) -> None:
    assert section_title(name, sensors) == title


def test_datasets_with_other_sensors_share_a_section_under_a_title_that_fits_both() -> None:
    records = [*study(["mdreid"], suites=["all"]), *(cell("elsewhere", "mdreid", 0, name) for name in PAIRS)]
    contents = Contents(group_records(records), (), (), lambda record: Path("nowhere"))
    titles = {section.name: section.title for section in contents.sections(["missing", "all"])}
    assert titles["grid"] == "All protocols"
    (first, second) = sections(records, "missing")["missing"][:1], sections(records, "missing")["missing"][-1:]
    assert "but not all three" in first[0].title
    assert "but not both, elsewhere" in second[0].title
    assert [column.group or column.title for column in second[0].columns[1:3]] == ["R-to-R mAP", "T-to-T mAP"]


def sections(records: Iterable[Record], *suites: str) -> dict[str, tuple[Table, ...]]:
    contents = Contents(group_records(records), figures(), (), lambda record: Path("nowhere"))
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
    assert titles == ["N-to-T, RGBNT201 (synthetic)", "mixed-0.5-s0, RGBNT201 (synthetic)"]


def test_what_the_grid_shows_is_not_shown_again() -> None:
    records = [*study(suites=["all"]), cell("rgbnt201", "mdreid", 0, "mixed-0.5-s0")]
    assert len(sections(records)["other"]) == 1


def test_a_seed_that_is_in_no_grid_stands_among_the_other_settings() -> None:
    records = [*study(["mdreid"], suites=["all"], seeds=(1, 2, 3)), cell("rgbnt201", "mdreid", 1111, "T-to-NT")]
    found = sections(records)
    (grid, _) = found["grid"]
    assert grid.title.startswith("Heat map of MDReID, seeds 1, 2, 3 (mAP)")
    (alone,) = found["other"]
    assert alone.title.startswith("T-to-NT")
    assert "MDReID: mean ± sample standard deviation over seeds 1, 2, 3, 1111." in alone.footnotes
