"""The tables that a run prints, from hand-made records."""

from datetime import timedelta

import pytest

from mdreid_bench.report.run_table import MANY_PROTOCOLS, Absent, run_tables
from mdreid_bench.report.table import Emphasis, Missing, Number
from mdreid_bench.results.schema import Counts
from protocols.modality import RNT
from protocols.protocol import protocols_of
from tests.results.factory import PROVENANCE, make_record, metrics

OTHER = {"method": "single-classifier", "config_key": "d" * 64}


def number(cell: object) -> Number:
    assert isinstance(cell, Number)
    return cell


def test_no_records_no_tables() -> None:
    assert run_tables([]) == []


def test_one_row_for_each_method_then_chance() -> None:
    (table,) = run_tables([make_record(), make_record(**OTHER, metrics=metrics(0.3, 0.6))])
    assert [column.title for column in table.columns] == ["method", "mAP", "Rank-1", "Rank-5", "Rank-10"]
    assert [row[0] for row in table.rows] == ["MDReID", "Single classifier", "chance"]
    assert [number(cell).text for cell in table.rows[0][1:]] == ["40.0", "50.0", "75.0", "87.5"]
    assert number(table.rows[0][1]).emphasis is Emphasis.BEST
    assert number(table.rows[1][1]).emphasis is Emphasis.SECOND
    assert number(table.rows[2][1]).emphasis is Emphasis.NONE
    assert table.rules == {2}


def test_the_interval_stands_beside_the_map_of_a_single_seed() -> None:
    (table,) = run_tables([make_record()])
    assert number(table.rows[0][1]).interval == pytest.approx((35.0, 45.0))
    assert number(table.rows[0][2]).interval is None
    assert any("bootstrap" in note for note in table.footnotes)


def test_seeds_are_averaged_with_their_sample_standard_deviation() -> None:
    (table,) = run_tables([make_record(seed=seed, metrics=metrics(m)) for seed, m in ((2, 0.1), (0, 0.2), (1, 0.6))])
    cell = number(table.rows[0][1])
    assert cell.value == pytest.approx(30.0)
    assert cell.spread == pytest.approx(26.457513)  # squares of -20, -10, 30 sum to 1400; sqrt(1400 / 2)
    assert cell.interval is None
    assert table.footnotes == ("MDReID: mean ± sample standard deviation over seeds 0, 1, 2.",)


def test_synthetic_data_and_a_limit_are_said_in_title_and_caption() -> None:
    (table,) = run_tables([make_record(limit=200)])
    assert table.title == "MSVR310 R-to-NT (synthetic data, limit 200)"
    assert "SYNTHETIC" in table.caption
    assert "--limit 200" in table.caption


def test_real_data_carry_no_mark() -> None:
    (table,) = run_tables([make_record(data_kind="real")])
    assert table.title == "MSVR310 R-to-NT"
    assert "SYNTHETIC" not in table.caption


def test_the_caption_counts_queries_left_out() -> None:
    counts = Counts(queries=10, queries_without_positive=3, gallery=20, identities=4, tied_positives=0)
    (table,) = run_tables([make_record(counts=counts)])
    assert "10 queries of 4 identities, 20 gallery items; 3 queries without a positive left out." in table.caption


def test_a_set_up_that_differs_between_methods_is_noted_for_each() -> None:
    (table,) = run_tables([make_record(), make_record(**OTHER, trunk="ViT-B-16/openai")])
    assert "trunk" not in table.caption
    assert "MDReID: preset tiny, trunk mdreid-tiny/synthetic." in table.footnotes
    assert "Single classifier: preset tiny, trunk ViT-B-16/openai." in table.footnotes


@pytest.mark.parametrize(
    "changes",
    [
        {"data_kind": "real"},
        {"limit": 5},
        {"test_fingerprint": "e" * 12},
        {"average_precision": "trapezoid"},
        {"rerank": "20-6-0.3"},
    ],
)
def test_numbers_that_cannot_be_compared_never_share_a_table(changes: dict[str, object]) -> None:
    assert len(run_tables([make_record(), make_record(**OTHER, **changes)])) == 2


def test_trapezoid_average_precision_is_said() -> None:
    (table,) = run_tables([make_record(average_precision="trapezoid")])
    assert "trapezoid" in table.caption


def test_re_ranking_is_said_in_title_and_caption_and_never_averaged() -> None:
    plain, reranked = run_tables([make_record(), make_record(seed=1, rerank="20-6-1e-05")])
    assert plain.title == "MSVR310 R-to-NT (synthetic data)"
    assert reranked.title == "MSVR310 R-to-NT (synthetic data, re-ranked k1=20, k2=6, lambda=1e-05)"
    assert "re-ranked k1=20, k2=6, lambda=1e-05" in reranked.caption
    assert number(reranked.rows[0][1]).spread is None


def test_variants_of_a_method_are_rows_of_their_own_named_by_what_differs() -> None:
    released = make_record(config_key="e" * 64, options={"rol": "released"})
    (table,) = run_tables([make_record(), released])
    assert [row[0] for row in table.rows] == ["MDReID (rol paper)", "MDReID (rol released)", "chance"]


def test_nested_settings_that_differ_are_named_by_their_dotted_key() -> None:
    short = make_record(config_key="e" * 64, config_overrides={"schedule": {"epochs": 2}})
    (table,) = run_tables([make_record(), short])
    assert [row[0] for row in table.rows][:2] == ["MDReID", "MDReID (schedule.epochs 2)"]


def test_variants_without_a_known_difference_are_told_apart_by_their_key() -> None:
    (table,) = run_tables([make_record(), make_record(config_key="e" * 64)])
    assert [row[0] for row in table.rows][:2] == ["MDReID #cccccccc", "MDReID #eeeeeeee"]


def test_incidental_arguments_do_not_split_a_method() -> None:
    (table,) = run_tables([make_record(), make_record(seed=1, config_overrides={"device": "cpu"})])
    assert [row[0] for row in table.rows] == ["MDReID", "chance"]


def test_selection_on_test_data_is_marked_in_the_row() -> None:
    (table,) = run_tables([make_record(selection="best-test")])
    assert table.rows[0][0] == "MDReID (epoch chosen on test data)"


def test_embeddings_of_another_precision_are_never_averaged_silently() -> None:
    records = [make_record(), make_record(seed=1, metrics=metrics(0.2), precision="bf16")]
    (table,) = run_tables(records)
    assert [row[0] for row in table.rows] == ["MDReID", "MDReID (embeddings in bf16)", "chance"]
    assert [number(row[1]).spread for row in table.rows] == [None, None, None]
    assert [number(row[1]).text for row in table.rows[:2]] == ["40.0", "20.0"]
    note = "MDReID (embeddings in bf16): preset tiny, trunk mdreid-tiny/synthetic, embeddings in bf16."
    assert note in table.footnotes
    (alone,) = run_tables(records[1:])
    assert "trunk mdreid-tiny/synthetic, embeddings in bf16." in alone.caption


def test_of_two_records_of_one_seed_the_newer_counts_and_the_other_is_noted() -> None:
    newer = PROVENANCE.model_copy(update={"created": PROVENANCE.created + timedelta(hours=1)})
    records = [
        make_record(metrics=metrics(0.6), provenance=newer, run_key="f" * 64),
        make_record(metrics=metrics(0.1)),
    ]
    for order in (records, records[::-1]):
        (table,) = run_tables(order)
        assert number(table.rows[0][1]).text == "60.0"
        assert "MDReID: 1 older records of the same seeds left out." in table.footnotes


def test_a_cell_without_a_record_is_a_dash_with_its_reason() -> None:
    records = [make_record(), make_record(protocol="N-to-N"), make_record(**OTHER)]
    gaps = [Absent("msvr310", "top-reid", "R-to-NT", "failed: no weights")]
    first, second = run_tables(records, gaps)
    assert first.rows[2] == ("TOP-ReID", *[Missing("failed: no weights")] * 4)
    assert second.rows[1] == ("Single classifier", *[Missing("not run")] * 4)
    assert second.rows[2] == ("TOP-ReID", *[Missing("not run")] * 4)


def test_what_is_not_applicable_says_why_once() -> None:
    reason = "not applicable: msvr310 has no D"
    protocols = ["D-to-D", "R-to-D", *(str(protocol) for protocol in protocols_of(RNT)[:MANY_PROTOCOLS])]
    gaps = [Absent("msvr310", method, name, reason) for method in ("mdreid", "top-reid") for name in protocols[:2]]
    (table,) = run_tables([make_record(protocol=name) for name in protocols[2:]], gaps)
    assert [row[0] for row in table.rows][-2:] == protocols[:2]
    assert table.rows[-1][1:5] == (Missing(reason),) * 4
    assert table.notes()[:2] == ["(a) not run", f"(b) {reason}"]


def test_many_protocols_make_one_table_with_a_row_for_each() -> None:
    protocols = [str(protocol) for protocol in protocols_of(RNT)[: MANY_PROTOCOLS + 1]]
    records = [make_record(protocol=protocol) for protocol in protocols]
    records += [make_record(**OTHER, protocol=protocol, metrics=metrics(0.3, 0.6)) for protocol in protocols[1:]]
    (table,) = run_tables(records)
    assert [row[0] for row in table.rows] == protocols
    assert [column.heading for column in table.columns][1:] == [
        f"{method} {metric}" for method in ("MDReID", "Single classifier", "chance") for metric in ("mAP", "Rank-1")
    ]
    assert table.rows[0][3:5] == (Missing("not run"),) * 2
    values = [number(cell) for cell in table.rows[1][1:]]
    assert [cell.text for cell in values] == ["40.0", "50.0", "30.0", "60.0", "3.0", "2.0"]
    assert [cell.emphasis for cell in values[:4]] == [Emphasis.BEST, Emphasis.SECOND, Emphasis.SECOND, Emphasis.BEST]


def test_few_protocols_make_a_table_each() -> None:
    protocols = [str(protocol) for protocol in protocols_of(RNT)[:MANY_PROTOCOLS]]
    tables = run_tables([make_record(protocol=protocol) for protocol in protocols])
    assert [table.title.split()[1] for table in tables] == protocols


def test_seeds_that_ran_under_different_protocols_are_rows_of_their_own() -> None:
    protocols = [str(protocol) for protocol in protocols_of(RNT)[: MANY_PROTOCOLS + 1]]
    records = [make_record(protocol=protocol) for protocol in protocols]
    records += [make_record(protocol=protocol, seed=1) for protocol in protocols[:2]]
    (table,) = run_tables(records)
    assert table.footnotes == ("MDReID, seed 0: seed 0.", "MDReID, seed 1: seed 1.")
    assert [column.group for column in table.columns[1::2]] == ["MDReID, seed 0", "MDReID, seed 1", "chance"]
    assert [number(cell).spread for cell in table.rows[0][1:]] == [None] * 6
    assert table.rows[2][3:5] == (Missing("not run"),) * 2
    matched, other = run_tables([*records[:1], *records[2:3], make_record(seed=1, protocol=protocols[0])])
    assert matched.footnotes == ("MDReID: mean ± sample standard deviation over seeds 0, 1.",)
    assert "MDReID: seed 0." in other.footnotes


def test_what_no_seed_changes_has_no_spread_but_an_interval() -> None:
    untrained = {"selection": "none", "method": "clip-zero-shot"}
    (table,) = run_tables([make_record(**untrained, seed=seed) for seed in (1, 2)])
    cell = number(table.rows[0][1])
    assert cell.spread is None
    assert cell.interval == pytest.approx((35.0, 45.0))
    assert "Zero-shot trunk: not trained, the same with seeds 1, 2." in table.footnotes
    drawn = [make_record(**untrained, seed=seed, metrics=metrics(0.1 * seed)) for seed in (1, 2)]
    assert number(run_tables(drawn)[0].rows[0][1]).spread == pytest.approx(7.0710678)


def test_the_random_scorer_is_never_the_second_best() -> None:
    records = [make_record(), make_record(method="random", config_key="e" * 64, metrics=metrics(0.9))]
    (table,) = run_tables([*records, make_record(**OTHER, metrics=metrics(0.3))])
    found = {row[0]: number(row[1]).emphasis for row in table.rows}
    assert found["Random scorer"] is Emphasis.NONE
    assert (found["MDReID"], found["Single classifier"]) == (Emphasis.BEST, Emphasis.SECOND)
