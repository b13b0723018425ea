"""The ablation tables, from made-up records."""

from collections.abc import Iterable

import pytest

from mdreid_bench.models.mdreid.ablation import ROWS, is_ablated
from mdreid_bench.report.ablation import ablation_tables
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.study_table import Gap, MeasuredRow, study_table
from mdreid_bench.report.table import Missing, Number, Table
from mdreid_bench.results.published import figures
from mdreid_bench.results.schema import Record
from protocols.suites import resolve
from tests.report.fakes import FULL, ablation, cell, study

LABELS = [row.label for row in ROWS.rows]


def only(records: Iterable[Record]) -> Group:
    (group,) = group_records(records)
    return group


def build(records: Iterable[Record], published: bool = True) -> list[Table]:
    return ablation_tables(only(records), figures() if published else ())


def sweep(**options: float) -> Iterable[Record]:
    return study(["mdreid"], suites=["ablation"], options=FULL | options, data_kind="real")


def row_of(record: Record) -> str | None:
    found = [row.label for row in ROWS.rows if row.fits(record.method, record.options)]
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({}, "MDL + ROL + KDL"),
        ({"discrepancy_weight": 0}, "MDL + ROL"),
        ({"orthogonality_weight": 0}, "MDL + KDL"),
        ({"orthogonality_weight": 0, "discrepancy_weight": 0}, "MDL"),
        ({"orthogonality_weight": 2}, None),
        ({"discrepancy_weight": 4.5}, None),
        ({"components": "shared"}, None),
    ],
)
def test_options_decide_the_row(options: dict[str, object], row: str | None) -> None:
    record = cell("rgbnt201", "mdreid", 0, "R-to-N", options=FULL | options)
    assert row_of(record) == row
    assert is_ablated(record.method, record.options) == (options != {})


def test_options_that_a_record_does_not_name_are_those_of_the_paper() -> None:
    assert row_of(cell("rgbnt201", "mdreid", 0, "R-to-N", options={})) == "MDL + ROL + KDL"


def test_the_first_row_is_the_single_classifier_and_other_methods_are_in_none() -> None:
    assert row_of(cell("rgbnt201", "single-classifier", 0, "R-to-N")) == "single classifier"
    record = cell("rgbnt201", "top-reid", 0, "R-to-N")
    assert row_of(record) is None
    assert not is_ablated(record.method, record.options)


def test_the_five_rows_with_the_mean_over_six_settings_and_every_setting() -> None:
    mean, every = build(ablation(data_kind="real"))
    assert [row[0] for row in mean.rows] == [*LABELS, "chance"]
    assert [row[0] for row in every.rows] == [*LABELS, "chance"]
    assert len(every.columns) == 1 + 6 * 2
    printed = [row[2].text for row in mean.rows[:5] if isinstance(row[2], Number)]
    assert printed == ["27.8", "39.4", "41.2", "39.9", "43.2"]
    ours = mean.rows[1][3]
    settings = [cell.value for cell in every.rows[1][1::2] if isinstance(cell, Number)]
    assert isinstance(ours, Number)
    assert ours.value == pytest.approx(sum(settings) / 6)


def test_the_miscount_in_the_papers_text_is_told() -> None:
    mean, _ = build(ablation(data_kind="real"))
    assert any("eight settings and lists six" in note for note in mean.notes())


def test_a_row_without_records_is_a_dash() -> None:
    records = [r for r in ablation(data_kind="real") if row_of(r) != "MDL + ROL"]
    mean, _ = build(records)
    assert mean.rows[2][0] == "MDL + ROL"
    assert mean.rows[2][3] == Missing("not run")


def test_without_ablated_records_there_is_no_ablation() -> None:
    assert build(study(suites=["ablation"])) == []


def test_a_row_measured_in_two_ways_becomes_two() -> None:
    twice = study(["single-classifier"], suites=["ablation"], preset="paper", config_key="e" * 64, data_kind="real")
    mean, _ = build([*ablation(data_kind="real"), *twice])
    names = [f"single classifier: Single classifier (preset {preset})" for preset in ("tiny", "paper")]
    assert [row[0] for row in mean.rows][:2] == names


def test_a_row_of_embeddings_in_bf16_is_marked() -> None:
    mean, _ = build(ablation(data_kind="real", precision="bf16"))
    assert [row[0] for row in mean.rows][:2] == [f"{label} (embeddings in bf16)" for label in LABELS[:2]]


def test_a_sweep_of_w1_is_without_kdl() -> None:
    records = [r for w in (0.5, 1.0, 1.5) for r in sweep(orthogonality_weight=w, discrepancy_weight=0)]
    (table,) = [table for table in build(records) if table.curve]
    assert "w1" in table.title
    assert [row[0] for row in table.rows] == ["w1 = 0.5", "w1 = 1", "w1 = 1.5", "chance"]
    assert table.curve == (0.5, 1.0, 1.5)
    assert [row[2].text for row in table.rows[:3] if isinstance(row[2], Number)] == ["39.6", "40.3", "41.2"]


def test_a_sweep_of_w2_is_with_the_papers_w1() -> None:
    records = [r for w in (4.5, 5.25) for r in sweep(discrepancy_weight=w)]
    (table,) = [table for table in build(records) if table.curve]
    assert [row[0] for row in table.rows] == ["w2 = 4.5", "w2 = 5.25", "chance"]
    assert [row[2].text for row in table.rows[:2] if isinstance(row[2], Number)] == ["41.7", "43.2"]


def test_the_ablation_alone_is_no_sweep() -> None:
    assert not any(table.curve for table in build(ablation()))


def test_kinds_of_vectors_beside_the_papers_table_6() -> None:
    kinds = ("specific", "shared", "both")
    records = [
        r
        for kind in kinds
        for r in study(["mdreid"], suites=["ablation"], options=FULL | {"components": kind}, data_kind="real")
    ]
    one, mean = build(records)
    assert [row[0] for row in one.rows] == ["specific only", "shared only", "both", "chance"]
    assert [row[2].text for row in one.rows[:3] if isinstance(row[2], Number)] == ["52.0", "52.7", "53.1"]
    assert "mean" in mean.title


def test_the_table_of_ablate_never_averages_embeddings_of_different_precision() -> None:
    records = [cell("rgbnt201", "mdreid", 0, "R-to-N"), cell("rgbnt201", "mdreid", 1, "R-to-N", precision="bf16")]
    rows = [MeasuredRow("MDL", records, ()), MeasuredRow("MDL + ROL", (), [Gap(0, "R-to-N", "failed: no memory")])]
    table = study_table("Ablation", resolve(["R-to-N"]), rows)
    assert table is not None
    names = ["MDL: MDReID", "MDL: MDReID (embeddings in bf16)", "MDL + ROL", "chance"]
    assert [row[0] for row in table.rows] == names
    assert [value.spread for row in table.rows[:2] for value in row[1:] if isinstance(value, Number)] == [None] * 8
    assert table.rows[2][1] == Missing("failed: no memory")


def test_the_settings_of_an_ablation_are_those_that_the_dataset_can_serve() -> None:
    names = ("RT-to-RT", "R-to-T")
    weights: tuple[dict[str, float], ...] = ({}, {"discrepancy_weight": 0})
    records = [cell("pairs", "mdreid", 0, name, options=FULL | changed) for changed in weights for name in names]
    mean, every = build(records, published=False)
    assert mean.title == "Ablation: RT-to-RT, pairs (synthetic)"
    assert [column.title for column in every.columns] == ["method", "RT-to-RT mAP", "RT-to-RT Rank-1"]
    assert [isinstance(row[1], Number) for row in mean.rows] == [False, False, True, False, True, True]
    assert build(cell("pairs", "mdreid", 0, "T-to-T", options=FULL | changed) for changed in weights) == []


def test_the_table_of_ablate_says_what_is_not_applicable_where_it_is() -> None:
    records = [cell("rgbnt201", method, 0, "R-to-N") for method in ("mdreid", "single-classifier")]
    reason = "not applicable: takes one image"
    whole = MeasuredRow("whole", [records[0], cell("rgbnt201", "mdreid", 0, "RT-to-N")], ())
    table = study_table(
        "Ablation",
        resolve(["R-to-N", "RT-to-N", "D-to-D"]),
        [whole, MeasuredRow("other", records[1:], [Gap(0, "RT-to-N", reason)])],
    )
    assert table is not None
    groups = ["mean of 2", "R-to-N", "RT-to-N"]
    assert [column.group for column in table.columns[1::2]] == groups
    assert table.rows[1][1] == table.rows[1][5] == Missing(reason)
    assert isinstance(table.rows[1][3], Number)
    assert not any("incomplete" in note for note in table.footnotes)
