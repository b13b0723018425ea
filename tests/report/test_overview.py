"""The short table over all datasets."""

from collections.abc import Iterator

from mdreid_bench.report.groups import group_records
from mdreid_bench.report.overview import overview_tables
from mdreid_bench.report.table import Emphasis, Missing, Number, Table
from mdreid_bench.results.schema import Record
from protocols.suites import suite
from tests.report.fakes import DATASETS, cell, study

PROTOCOLS = list(map(str, suite("overview")))
UNTRAINED = ("clip-zero-shot", "random")


def records(kind: str = "synthetic") -> Iterator[Record]:
    yield from study(("editor", "mdreid"), DATASETS, ("overview", "missing"), seeds=(1, 2, 3), data_kind=kind)
    yield from study(UNTRAINED, DATASETS, ("overview",), seeds=(1, 2, 3), data_kind=kind, selection="none")


def build(*given: Record) -> list[Table]:
    return overview_tables(group_records(given))


def test_all_datasets_and_methods_stand_in_one_table_with_chance_and_spread() -> None:
    (table,) = build(*records())
    assert [column.title for column in table.columns] == ["dataset", "method", *PROTOCOLS]
    labels = ["EDITOR", "MDReID", "Zero-shot trunk", "Random scorer", "chance"]
    titles = [f"{title} (synthetic)" for title in ("RGBNT201", "RGBNT100", "MSVR310")]
    assert [row[:2] for row in table.rows] == [(title, label) for title in titles for label in labels]
    assert table.rules == {5, 10}
    for row in table.rows:
        numbers = [found for found in row[2:] if isinstance(found, Number)]
        assert len(numbers) == len(PROTOCOLS)
        assert all((found.spread is None) == (row[1] == "chance") for found in numbers)
    best = [found for *_, found in table.rows[:5] if isinstance(found, Number) and found.emphasis is Emphasis.BEST]
    assert len(best) == 1
    assert "SYNTHETIC" in table.caption
    assert sum("mean ± sample standard deviation over seeds 1, 2, 3" in note for note in table.footnotes) == 1
    assert sum(note.startswith("Zero-shot trunk, Random scorer: not trained") for note in table.footnotes) == 1


def test_real_and_synthetic_numbers_never_share_it() -> None:
    real, synthetic = build(*records("real"), *records())
    assert (real.title, synthetic.title) == ("Overview", "Overview (synthetic)")
    assert "real images" in real.caption


def test_a_note_of_some_datasets_names_them() -> None:
    seeds = {"rgbnt201": (1, 2), "msvr310": (1,)}
    (table,) = build(*(record for name, own in seeds.items() for record in study(("mdreid",), (name,), seeds=own)))
    told = [note for note in table.footnotes if "seed" in note]
    assert told == [
        "RGBNT201: MDReID: mean ± sample standard deviation over seeds 1, 2.",
        "MSVR310: MDReID: seed 1.",
    ]


def test_what_was_not_run_is_a_dash_and_one_seed_has_no_interval() -> None:
    (table,) = build(
        cell("msvr310", "mdreid", 1, "R-to-N", interval={"mAP": [0.0, 1.0]}), cell("msvr310", "editor", 1, "N-to-N")
    )
    (found, chance) = table.rows
    assert [isinstance(value, Missing) for value in found[2:]] == [name != "R-to-N" for name in PROTOCOLS]
    (number,) = [value for value in found if isinstance(value, Number)]
    assert number.interval is None
    assert chance[1] == "chance"
    assert build(cell("msvr310", "mdreid", 1, "N-to-N")) == []
