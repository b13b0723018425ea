"""The means below a grid, the harmonic one among them."""

import statistics
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.report.grid_summary import harmonic_protocols, summary_tables
from mdreid_bench.report.groups import group_records
from mdreid_bench.report.render.csv import render_csv
from mdreid_bench.report.render.latex import render_latex
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Cell, Missing, Number, Table
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from protocols.modality import RNT, R, T
from protocols.protocol import protocols_of
from tests.report.fakes import cell, page_of, study
from tests.results.factory import metrics, query_values

SEVEN = ("R-to-N", "R-to-T", "N-to-R", "N-to-T", "T-to-R", "T-to-N", "RNT-to-RNT")
HARMONIC = "harmonic mean of 7"


def table_of(records: Iterable[Record], folder: Path = Path("nowhere")) -> Table:
    (group,) = group_records(records)
    (table,) = summary_tables(group, lambda record: Store(folder).folder(record).path)
    return table


def row(table: Table, name: str) -> dict[str, Cell]:
    (found,) = (cells for cells in table.rows if cells[0] == name)
    return {column.heading: value for column, value in zip(table.columns, found, strict=True)}


def test_the_harmonic_mean_is_of_the_single_pairs_and_all_sensors() -> None:
    assert set(harmonic_protocols(RNT)) == set(SEVEN)
    assert harmonic_protocols(R | T) == ("R-to-T", "T-to-R", "RT-to-RT")
    values = dict(zip(SEVEN, (22.33, 16.77, 20.09, 17.93, 18.19, 17.56, 64.91), strict=True))
    table = table_of(
        cell("rgbnt201", "mdreid", 0, name, metrics=metrics(value / 100)) for name, value in values.items()
    )
    found = row(table, HARMONIC)["MDReID mAP"]
    assert isinstance(found, Number)
    assert found.value == pytest.approx(20.75, abs=5e-3)  # as UPCL prints it of these seven


def test_seeds_are_averaged_after_the_mean_and_chance_stands_beside() -> None:
    records = list(study(["mdreid", "top-reid"], suites=["all"], seeds=(1, 2, 3)))
    table = table_of(records)
    for name, over, chosen in (
        (HARMONIC, statistics.harmonic_mean, SEVEN),
        ("mean of 49 (all)", statistics.fmean, [str(protocol) for protocol in protocols_of(RNT)]),
        ("mean of 7 (matched)", statistics.fmean, [str(p) for p in protocols_of(RNT) if p.matched]),
    ):
        found = row(table, name)
        values = {(r.seed, r.protocol): 100 * r.metrics.rank1 for r in records if r.method == "mdreid"}
        by_seed = [over([values[seed, protocol] for protocol in chosen]) for seed in (1, 2, 3)]
        number = found["MDReID Rank-1"]
        assert isinstance(number, Number)
        assert number.value == pytest.approx(statistics.fmean(by_seed), rel=1e-12)
        assert number.spread == pytest.approx(statistics.stdev(by_seed), rel=1e-12)
        chance = found["chance mAP"]
        assert isinstance(chance, Number)
        assert chance.value == pytest.approx(3.0)


def test_a_zero_makes_it_zero_and_a_gap_makes_it_a_dash() -> None:
    zero = [cell("rgbnt201", "mdreid", 0, p, metrics=metrics(0.0 if p == "R-to-N" else 0.5)) for p in SEVEN]
    gap = [cell("rgbnt201", "top-reid", 0, protocol) for protocol in SEVEN[1:]]
    found = row(table_of([*zero, *gap]), HARMONIC)
    assert isinstance(found["MDReID mAP"], Number)
    assert found["MDReID mAP"].value == 0.0
    assert found["TOP-ReID mAP"] == Missing("not run under all 7 protocols: R-to-N missing")


def test_without_a_whole_mean_there_is_no_table() -> None:
    (group,) = group_records(cell("rgbnt201", "mdreid", 0, protocol) for protocol in SEVEN[1:])
    assert summary_tables(group, lambda record: Path("nowhere")) == []


def test_a_single_seed_has_an_interval_from_its_per_query_values(tmp_path: Path) -> None:
    records = [cell("rgbnt201", "mdreid", 0, protocol) for protocol in SEVEN]
    stored = [Store(tmp_path).folder(r).scope(None).write(r, query_values(6)) for r in records if not r.interval]
    found = row(table_of(stored, tmp_path), HARMONIC)["MDReID mAP"]
    assert isinstance(found, Number)
    assert found.interval is not None
    low, high = found.interval
    values = 100 * np.linspace(0.1, 1.0, 6)[:-1]
    assert values.min() <= low < values.mean() < high <= values.max()


def test_every_format_has_the_row() -> None:
    records = list(study(["mdreid"], suites=["all"], seeds=(1, 2)))
    table = table_of(records)
    number = row(table, HARMONIC)["MDReID mAP"]
    assert isinstance(number, Number)
    section = Section("grid", (table,))
    latex = "".join(render_latex([section]).values())
    texts = [render_csv([table]), render_markdown(table), latex, page_of(records, [section])]
    for text in texts:
        assert HARMONIC in text
    assert repr(number.value) in texts[0]
    assert all(number.text in text for text in texts[1:])
