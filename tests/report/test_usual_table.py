"""Tables as papers on visible-infrared data print them: their metrics, protocols side by side, means over splits."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.origin import made_in_words
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.report.table import Missing, Number, Table, shown
from mdreid_bench.report.usual_table import usual_protocols, usual_table
from mdreid_bench.report.variants import TOO_OLD, group_variants
from mdreid_bench.results import per_query, published
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.schema import Metrics, Record
from tests.results.factory import make_record, query_values

HEADINGS = ["Rank-1", "Rank-10", "Rank-20", "mAP", "mINP"]


def metrics(value: float) -> Metrics:
    return Metrics(mAP=value, rank1=value, rank5=value, rank10=value, rank20=value, mINP=value)


def regdb(split: int, protocol: str, value: float, **changes: Any) -> Record:
    facts = {"train_fingerprint": f"{split:012x}", "test_fingerprint": f"{split + 100:012x}"}
    return make_record(
        dataset="regdb",
        method="random",
        protocol=protocol,
        split=str(split),
        metrics=metrics(value),
        chance=metrics(0.03),
        **facts,
        **changes,
    )


def splits(protocol: str, count: int = 10, **changes: Any) -> list[Record]:
    return [regdb(n, protocol, 0.5 + n / 100, **changes) for n in range(1, count + 1)]


def only(tables: list[Table]) -> Table:
    (table,) = tables
    return table


def group(records: list[Record]) -> Group:
    (found,) = group_records(records)
    return found


def test_ten_splits_are_a_mean_with_a_spread() -> None:
    (variant,) = group_variants(splits("R-to-T"))
    values = [50 + n for n in range(1, 11)]
    number = variant.number("R-to-T", "mAP")
    assert isinstance(number, Number)
    assert number.value == pytest.approx(statistics.fmean(values))
    assert number.spread == pytest.approx(statistics.stdev(values))
    assert number.interval is None
    assert "splits 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and seed 0" in number.origin
    assert [record.split for record in variant.repetitions("R-to-T")] == [str(n) for n in range(1, 11)]
    other = regdb(3, "R-to-T", 0.1, config_key="d" * 64)
    assert len(group_variants([*splits("R-to-T"), other])) == 2


def test_splits_and_seeds_in_words() -> None:
    assert made_in_words([("", 3)]) == "seed 3"
    assert made_in_words([("", 3), ("", 1)]) == "seeds 1, 3"
    assert made_in_words([("1", 7), ("2", 7)]) == "splits 1, 2 and seed 7"
    assert made_in_words([("1", 7), ("1", 8)]) == "split 1 and seeds 7, 8"


def test_run_shows_one_table_a_direction_over_all_splits() -> None:
    first, second = run_tables([*splits("R-to-T"), *splits("T-to-R", 2)])
    assert [column.title for column in first.columns] == ["method", *HEADINGS]
    assert shown(first.rows[0][1]) == "55.5"
    assert "mean ± sample standard deviation over splits 1, 2 and seed 0." in " ".join(second.footnotes)


def test_splits_that_ran_under_one_direction_alone_are_rows_of_their_own() -> None:
    table = only(usual_table("Title", group([*splits("R-to-T", 3), *splits("T-to-R", 2)]), ()))
    labels = [shown(row[0]) for row in table.rows]
    assert labels == [
        "Random scorer, splits 1, 2 and seed 0 (synthetic)",
        "Random scorer, split 3 and seed 0 (synthetic)",
        "chance",
    ]
    assert isinstance(table.rows[1][7], Missing)


def test_published_rows_come_first_and_fill_what_they_print() -> None:
    figures = published.figures()
    table = only(usual_table("Title", group([*splits("R-to-T"), *splits("T-to-R")]), figures))
    assert [column.group for column in table.columns] == ["", "", *["R-to-T"] * 5, *["T-to-R"] * 5]
    rows = {shown(row[0]): [shown(cell) for cell in row[1:]] for row in table.rows}
    assert rows["MUN"] == ["MUN Table 4", "95.19", "98.93", "—", "87.15", "—", "91.86", "97.99", "—", "85.01", "—"]
    assert rows["X-Modality"][1:5] == ["62.21", "83.13", "—", "60.18"]
    assert rows["Random scorer (synthetic)"] == ["ours", *["55.5"] * 10]
    assert not any("MUN B" in name for name in rows)
    assert table.rules == {14, 15}
    assert sum(figure.dataset == "regdb" for figure in figures) > 50


def test_sysu_mm01_has_both_searches_side_by_side_and_says_how_it_draws() -> None:
    records = [
        make_record(
            dataset="sysu-mm01", method="random", protocol=name, metrics=metrics(0.5), chance=metrics(0.1), mode=words
        )
        for name, words in (("N-to-R", "all-search, draws agw"), ("N-to-R@indoor", "indoor-search, draws agw"))
    ]
    table = only(usual_table("Title", group(records), published.figures()))
    assert [column.title for column in table.columns[2:]] == HEADINGS * 2
    rows = {shown(row[0]): [shown(cell) for cell in row] for row in table.rows}
    assert rows["AGW+J"][2:5] == ["69.88", "95.71", "—"]
    assert rows["AGW"][7:11] == ["54.17", "91.14", "—", "62.97"]
    assert "N-to-R@indoor: indoor-search, draws agw." in table.footnotes
    assert usual_protocols(group([make_record()])) == ()
    assert usual_table("Title", group([make_record()]), ()) == []


def test_records_of_an_earlier_version_have_no_rank_20() -> None:
    old = make_record(dataset="regdb", method="random", protocol="R-to-T", split="1", schema_version=3)
    (table,) = run_tables([old])
    assert table.rows[0][3] == Missing(TOO_OLD)
    assert isinstance(table.rows[0][2], Number)


def test_values_by_query_of_an_earlier_version_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "b" / "c" / "R-to-T.npz"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(per_query, "_METRICS", tuple(name for name in per_query._METRICS if name != "rank20"))
    digest = query_values().write(path)
    monkeypatch.undo()
    found = QueryValues.read(path, digest)
    assert np.isnan(found.metrics.rank20).all()
    np.testing.assert_array_equal(found.metrics.rank10, query_values().metrics.rank10)
