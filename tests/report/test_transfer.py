"""Tables of what was trained on one dataset and tested with another."""

from collections.abc import Iterator
from pathlib import Path

from mdreid_bench.report.groups import group_records
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.report.sections import Contents
from mdreid_bench.report.table import Missing, Number, Table
from mdreid_bench.report.transfer import transfer_tables
from mdreid_bench.results.published import Figure
from mdreid_bench.results.schema import Record
from tests.report.fakes import cell

FROM, TO = "rgbnt100", "msvr310"


def _printed(dataset: str, value: float) -> Figure:
    return Figure("MAN", "Table 2", dataset, "MDReID", "RNT-to-RNT", "mAP", value, "a paper", "another list")


FIGURES = (_printed(f"{FROM}->{TO}", 31.25), _printed(TO, 48.9), _printed(f"{TO}->{FROM}", 77.0))


def records(**changes: str) -> Iterator[Record]:
    """MDReID on two datasets, trained on each and one on both others; single classifier and random within alone."""
    for seed in (1, 2):
        for dataset in (FROM, TO):
            for method in ("mdreid", "single-classifier"):
                yield cell(dataset, method, seed, "RNT-to-RNT", **changes)
        yield _carried((FROM,), TO, seed, **changes)
    yield _carried(("rgbnt201", FROM), TO, 1, **changes)


def _carried(sources: tuple[str, ...], dataset: str, seed: int, **changes: str) -> Record:
    apart = {"train_fingerprint": "d" * 12, "config_key": "e" * 64, "run_key": f"{seed}{len(sources)}" * 16}
    return cell(dataset, "mdreid", seed, "RNT-to-RNT", sources=sources, source_cameras="mean", **apart, **changes)


def _numbers(table: Table, row: int) -> list[float | None]:
    return [value.value if isinstance(value, Number) else None for value in table.rows[row][2:]]


def test_the_matrix_has_what_was_trained_on_in_rows_and_meets_itself_on_the_diagonal() -> None:
    found = list(records())
    (table,) = transfer_tables(group_records(found), FIGURES)
    assert [row[:2] for row in table.rows] == [
        ("MDReID", "RGBNT100"),
        ("MDReID", "MSVR310"),
        ("MDReID", "RGBNT201 + RGBNT100"),
        ("chance", ""),
    ]
    assert [(c.group, c.title) for c in table.columns[2:]] == [
        ("RGBNT100, RNT-to-RNT", "mAP"),
        ("RGBNT100, RNT-to-RNT", "published mAP"),
        ("RGBNT100, RNT-to-RNT", "Rank-1"),
        ("MSVR310, RNT-to-RNT", "mAP"),
        ("MSVR310, RNT-to-RNT", "published mAP"),
        ("MSVR310, RNT-to-RNT", "Rank-1"),
    ]

    def mean(dataset: str, sources: tuple[str, ...]) -> float:
        values = [r.metrics.mAP for r in found if (r.dataset, r.sources, r.method) == (dataset, sources, "mdreid")]
        return 100 * sum(values) / len(values)

    within, here, both = (_numbers(table, row) for row in range(3))
    assert within[0] is not None
    assert within[3] is not None
    assert abs(within[0] - mean(FROM, ())) < 1e-9
    assert abs(within[3] - mean(TO, (FROM,))) < 1e-9
    assert [row[4] for row in (within, here, both)] == [31.25, 48.9, None]
    # What is published stands there also where nothing was measured.
    assert here[:3] == [None, 77.0, None]
    assert both[:3] == [None, None, None]
    assert "SYNTHETIC" in table.caption
    assert "Trained on one dataset, tested with another (synthetic)" in table.title


def test_without_sources_there_is_no_matrix_and_kinds_are_kept_apart() -> None:
    assert transfer_tables(group_records(r for r in records() if not r.sources), FIGURES) == []
    real, synthetic = transfer_tables(group_records([*records(data_kind="real"), *records()]), ())
    assert ("SYNTHETIC" in real.caption, "SYNTHETIC" in synthetic.caption) == (False, True)


def test_sources_have_tables_of_their_own_beside_their_own_published_figures() -> None:
    groups = group_records(records(data_kind="real"))
    assert [group.title for group in groups] == [
        "RGBNT100",
        "MSVR310",
        "RGBNT100 → MSVR310",
        "RGBNT201 + RGBNT100 → MSVR310",
    ]
    contents = Contents(groups, FIGURES, (), lambda record: Path())
    matched = next(section for section in contents.sections(()) if section.name == "paper-matched")
    printed = {
        table.title.partition(", ")[2]: [v.value for row in table.rows for v in row if isinstance(v, Number)][:1]
        for table in matched.tables
    }
    within, carried, both = (next(t for t in matched.tables if t.title.endswith(g.title)) for g in groups[1:])
    assert _published(within) == [48.9]
    assert _published(carried) == [31.25]
    assert _published(both) == []
    assert len(printed) == 4
    assert "Identities learned from RGBNT201 and RGBNT100." in both.caption
    assert [section.name for section in contents.sections(())].count("transfer") == 1


def _published(table: Table) -> list[float]:
    places = [i for i, column in enumerate(table.columns) if (column.title, column.group) == ("published", "mAP")]
    row = next(row for row in table.rows if row[0] == "MDReID")
    return [value.value for i in places if isinstance(value := row[i], Number)]


def test_what_run_prints_keeps_sources_apart() -> None:
    gaps = [Absent(TO, "editor", "RNT-to-RNT", "failed: why", (FROM,)), Absent(TO, "random", "RNT-to-RNT", "skipped")]
    tables = run_tables([r for r in records() if r.dataset == TO], gaps)
    shown = {table.title: [row[0] for row in table.rows] for table in tables}
    assert shown["RGBNT100 → MSVR310 RNT-to-RNT (synthetic data)"][:2] == ["MDReID", "EDITOR"]
    assert "Random scorer" in shown["MSVR310 RNT-to-RNT (synthetic data)"]
    assert all(isinstance(row[1], Missing) for table in tables for row in table.rows if row[0] == "EDITOR")
