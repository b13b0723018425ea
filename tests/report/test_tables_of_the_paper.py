"""Matched, mismatched and missing tables from made-up records and the published figures."""

import statistics
from collections.abc import Iterable

import pytest

from mdreid_bench.report.comparison import LIMITED, RERANKED, SYNTHETIC
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.origin import hardware
from mdreid_bench.report.paper_tables import protocol_tables
from mdreid_bench.report.quantities import average
from mdreid_bench.report.render.csv import render_csv
from mdreid_bench.report.render.latex import render_latex
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Cell, Emphasis, Label, Missing, Number, Table
from mdreid_bench.results.published import figures
from mdreid_bench.results.schema import Record
from protocols.suites import suite as named_suite
from tests.report.fakes import FULL, cell, study
from tests.results.factory import PROVENANCE

WORDS = "re-ranked k1=20, k2=6, lambda=0.3"


def build(group: Group, suite: str, published: bool = True, methods: Iterable[str] = ()) -> list[Table]:
    protocols = [str(protocol) for protocol in named_suite(suite)]
    return protocol_tables(suite, protocols, suite, group, figures() if published else (), list(methods))


def only(records: Iterable[Record]) -> Group:
    (group,) = group_records(records)
    return group


def number(cell: Cell) -> Number:
    assert isinstance(cell, Number)
    return cell


def rows(table: Table, label: str) -> list[dict[str, Cell]]:
    headings = [column.heading for column in table.columns]
    return [dict(zip(headings, row, strict=True)) for row in table.rows if row[0] == label]


def test_real_measurements_stand_beside_the_published_ones_with_their_difference() -> None:
    (table,) = build(only(study(data_kind="real")), "paper-matched")
    (row,) = rows(table, "MDReID")
    assert number(row["mAP published"]).text == "82.1"
    difference = number(row["mAP difference"])
    assert difference.value == pytest.approx(number(row["mAP ours"]).value - 82.1)
    assert difference.text[0] in "+-"


def test_synthetic_measurements_are_marked_and_have_no_difference() -> None:
    (table,) = build(only(study()), "paper-matched")
    (row,) = rows(table, "MDReID")
    assert row["mAP difference"] == Missing(SYNTHETIC)
    number(row["mAP ours (synthetic)"])
    assert "synthetic" in table.title
    assert "SYNTHETIC" in table.caption


def test_a_part_of_the_test_set_has_no_difference() -> None:
    (table,) = build(only(study(data_kind="real", limit=50)), "paper-matched")
    (row,) = rows(table, "MDReID")
    assert row["mAP difference"] == Missing(LIMITED)
    number(row["mAP ours (limit 50)"])


def test_re_ranked_records_have_tables_of_their_own_without_a_difference() -> None:
    plain, reranked = group_records([*study(data_kind="real", rerank="20-6-0.3"), *study(data_kind="real")])
    assert [group.title for group in (plain, reranked)] == ["RGBNT201", f"RGBNT201 ({WORDS})"]
    (table,) = build(reranked, "paper-matched")
    (row,) = rows(table, "MDReID")
    assert row["mAP difference"] == Missing(RERANKED)
    assert WORDS in number(row[f"mAP ours ({WORDS})"]).origin
    for text in (table.title, table.caption, render_markdown(table), render_csv([table])):
        assert WORDS in text
    assert WORDS in "".join(render_latex([Section("paper-matched", (table,))]).values())
    (untouched,) = build(plain, "paper-matched")
    assert "re-ranked" not in render_csv([untouched])


def test_methods_of_the_paper_that_were_not_run_are_dashes() -> None:
    (table,) = build(only(study(data_kind="real")), "paper-matched")
    (row,) = rows(table, "HTT")[:1]
    assert number(row["mAP published"]).text == "71.1"
    assert row["mAP ours"] == row["mAP difference"] == Missing("not run")


def test_baselines_on_which_papers_disagree_have_a_row_for_each_source() -> None:
    (table,) = build(only(study(data_kind="real")), "paper-matched")
    values = [number(row["mAP published"]).text for row in rows(table, "IEEE")]
    assert values == ["47.5", "49.5", "46.4"]
    labels = [row["published in"] for row in rows(table, "IEEE")]
    assert next(label.text for label in labels if isinstance(label, Label)) == "MDReID Table 1a"


def test_a_measurement_stands_once_however_many_sources_print_about_the_method() -> None:
    (table,) = build(only(study(["top-reid"], data_kind="real")), "paper-matched")
    found = [row for row in rows(table, "TOP-ReID") if isinstance(row["mAP ours"], Number)]
    assert len(rows(table, "TOP-ReID")) > 1
    assert len(found) == 1


def test_a_choice_of_methods_leaves_out_those_of_the_paper_alone() -> None:
    (table,) = build(only(study(["mdreid"])), "paper-matched", methods=["mdreid"])
    assert {row[0] for row in table.rows} == {"MDReID", "chance"}


def test_without_published_figures_all_metrics_share_one_table() -> None:
    (table,) = build(only(study()), "paper-mismatched", published=False)
    assert len(table.columns) == 1 + 2 * 5
    assert [row[0] for row in table.rows] == ["MDReID", "Single classifier", "chance"]


def test_where_nothing_is_published_there_are_no_columns_for_it() -> None:
    (table,) = build(only(study(["mdreid"], datasets=["another"])), "paper-matched")
    assert [column.heading for column in table.columns] == ["method", "mAP", "Rank-1", "Rank-5", "Rank-10"]


def test_the_papers_wrong_average_is_shown_with_the_mean_of_its_columns() -> None:
    table, _ = build(only(study(data_kind="real")), "paper-mismatched")
    (row,) = rows(table, "MDReID")
    printed = number(row["mean of 4 mAP published"])
    assert printed.text == "21.6"
    assert "25.38" in printed.note  # (53.1 + 16.7 + 16.6 + 15.1) / 4 = 25.375
    ours = number(row["mean of 4 mAP ours"]).value
    assert number(row["mean of 4 mAP difference"]).value == pytest.approx(ours - 25.375)
    assert printed.emphasis is Emphasis.BEST


def test_the_mean_is_that_of_the_unrounded_cells_and_its_spread_that_of_the_seeds() -> None:
    records = list(study(["mdreid"], suites=["paper-mismatched"], seeds=(0, 1)))
    group = only(records)
    protocols = tuple(str(protocol) for protocol in named_suite("paper-mismatched"))
    mean = number(average("paper-mismatched", protocols, "mAP").measured(group.variants[0]))
    by_seed = [statistics.fmean(100 * r.metrics.mAP for r in records if r.seed == seed) for seed in (0, 1)]
    assert mean.value == pytest.approx(statistics.fmean(by_seed))
    assert mean.spread == pytest.approx(statistics.stdev(by_seed))


def test_a_mean_needs_all_its_protocols() -> None:
    protocols = tuple(str(protocol) for protocol in named_suite("paper-mismatched"))
    group = only(cell("rgbnt201", "mdreid", 0, protocol) for protocol in protocols[:3])
    mean = average("paper-mismatched", protocols, "mAP").measured(group.variants[0])
    assert mean == Missing("not run under all 4 protocols: R-to-NT missing")


def test_no_mean_is_a_mixture_of_seeds() -> None:
    records = [*study(["mdreid"], suites=["paper-mismatched"], seeds=(1, 2, 3))]
    demo = cell("rgbnt201", "mdreid", 1111, "R-to-NT")
    (table,) = build(only([*records, demo]), "paper-mismatched", published=False)
    (alone,) = build(only(records), "paper-mismatched", published=False)
    assert [row[0] for row in table.rows] == ["MDReID, seeds 1, 2, 3", "MDReID, seed 1111", "chance"]
    values = [[number(value).value for value in found.rows[0][1:]] for found in (table, alone)]
    assert values[0] == values[1]
    titles = [column.heading for column in table.columns]
    assert isinstance(table.rows[1][titles.index("mean of 4 mAP")], Missing)


def test_two_versions_of_the_data_are_rows_of_their_own_with_a_chance_each() -> None:
    records = [*study(["mdreid"]), *study(["mdreid"], test_fingerprint="e" * 12)]
    (table,) = build(only(records), "paper-matched", published=False)
    expected = [f"{row} (test data {letter * 10})" for row in ("MDReID", "chance") for letter in "be"]
    assert [row[0] for row in table.rows] == expected
    assert "2 versions of the test data" in table.caption
    assert "never averaged" in table.caption


def test_records_alike_but_for_their_images_are_never_averaged() -> None:
    shared = {"config_key": "c" * 64, "run_key": "d" * 64}
    records = [
        cell("rgbnt201", "mdreid", seed, "RNT-to-RNT", **shared, test_fingerprint=letter * 12)
        for seed, letter in ((0, "a"), (1, "e"))
    ]
    (table,) = build(only(records), "paper-matched", published=False)
    assert [number(row[1]).spread for row in table.rows] == [None] * 4


def test_real_and_synthetic_records_are_groups_apart_and_real_ones_come_first() -> None:
    records = [*study(), *study(data_kind="real"), *study(limit=5), *study(datasets=["msvr310"], data_kind="real")]
    titles = [group.title for group in group_records(records)]
    assert titles == ["RGBNT201", "MSVR310", "RGBNT201 (synthetic)", "RGBNT201 (synthetic, limit 5)"]


def test_ablated_variants_are_left_out_and_that_is_said() -> None:
    ablated = study(["mdreid"], options=FULL | {"discrepancy_weight": 0})
    (table,) = build(only([*study(["mdreid"]), *ablated]), "paper-matched", published=False)
    assert [row[0] for row in table.rows] == ["MDReID", "chance"]
    assert "22 records of ablated variants are left out here; see the ablation." in table.footnotes


def test_ablated_variants_are_shown_where_there_is_nothing_else() -> None:
    (table,) = build(
        only(study(["mdreid"], options=FULL | {"discrepancy_weight": 0})), "paper-matched", published=False
    )
    assert [row[0] for row in table.rows] == ["MDReID", "chance"]


def test_the_notes_tell_the_whole_provenance() -> None:
    group = only(study(["mdreid"], config_overrides={"schedule": {"epochs": 1}}))
    (table,) = build(group, "paper-matched", published=False)
    told = " ".join([table.caption, *table.footnotes])
    for part in (
        "SYNTHETIC",
        "591 queries of 52 identities, 1055 gallery items",
        "preset tiny",
        "trunk mdreid-tiny/synthetic",
        "seeds 0, 1",
        "weights of the last epoch",
        "set by hand: schedule.epochs 1",
        "commit 0123456789",
        "torch 2.5.0",
        "a CPU, 2 cores",
        "2026-01-02",
    ):
        assert part in told
    origin = number(table.rows[0][1]).origin
    for part in ("synthetic", "RNT-to-RNT", "seeds 0, 1", "commit 0123456789", "torch 2.5.0", "591 queries"):
        assert part in origin


def test_a_machine_is_named_with_the_threads_that_were_used() -> None:
    made = PROVENANCE.model_copy(update={"threads": {"train": 2, "extract": 1}})
    assert hardware([PROVENANCE, made]) == [
        "no GPU, a CPU, 2 cores, Linux",
        "no GPU, a CPU, 2 cores, 1 or 2 threads, Linux",
    ]


def test_an_epoch_chosen_on_test_data_is_said_in_row_and_note() -> None:
    (table,) = build(only(study(["mdreid"], selection="best-test")), "paper-matched", published=False)
    assert table.rows[0][0] == "MDReID (epoch chosen on test data)"
    assert any("EPOCH CHOSEN ON TEST DATA" in note for note in table.footnotes)


def test_what_a_method_refuses_is_not_applicable_rather_than_not_run() -> None:
    records = [cell("rgbnt201", "mun", 0, "R-to-N", options={"pair": "RN"}), *study(["mdreid"], suites=["all"])]
    (table,) = build(only(records), "paper-mismatched", published=False)
    (row,) = rows(table, "MUN")
    reason = row["R-to-NT mAP"]
    assert isinstance(reason, Missing)
    assert reason.reason.startswith("not applicable: MUN compares images of one sensor with those of another")
