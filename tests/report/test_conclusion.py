"""What a run says it found."""

from mdreid_bench.report.conclusion import conclusion
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.report.table import Column, Number, Table
from tests.results.factory import make_record, metrics

OTHER = {"method": "single-classifier", "config_key": "d" * 64}


def test_the_best_of_one_setting_is_named_before_the_next_and_chance() -> None:
    tables = run_tables([make_record(), make_record(**OTHER, metrics=metrics(0.3))])
    told = "MSVR310 R-to-NT (synthetic data): MDReID has the highest mAP, 40.0, before Single classifier with 30.0; "
    assert conclusion(tables) == told + "chance is 3.0."


def test_one_method_by_itself_is_not_called_the_best() -> None:
    assert conclusion(run_tables([make_record()])) == (
        "MSVR310 R-to-NT (synthetic data): MDReID has an mAP of 40.0; chance is 3.0."
    )


def test_of_several_settings_it_is_counted_who_comes_first_and_ties_count_for_both() -> None:
    records = []
    for protocol, ours, theirs in (("R-to-N", 0.5, 0.4), ("R-to-T", 0.4, 0.4), ("N-to-R", 0.1, 0.2)):
        records += [make_record(protocol=protocol, metrics=metrics(ours))]
        records += [make_record(protocol=protocol, metrics=metrics(theirs), **OTHER)]
    told = "The highest mAP in 3 settings of synthetic data: MDReID in 2, Single classifier in 2."
    assert conclusion(run_tables(records)) == told


def test_every_row_of_a_grid_is_a_setting() -> None:
    names = [f"{a}-to-{b}" for a in ("R", "N", "T") for b in ("R", "N", "T", "RN")]
    records = [make_record(protocol=name, metrics=metrics(0.5), data_kind="real") for name in names]
    assert conclusion(run_tables(records)) == "The highest mAP in 12 settings: MDReID in 12."


def test_without_a_number_nothing_is_said() -> None:
    assert conclusion([]) == ""
    assert conclusion([Table("t", (Column("method"), Column("mAP", numeric=True)), (("x", "—"),))]) == ""


def test_the_map_is_read_where_it_stands_also_behind_rank_1() -> None:
    columns = (Column("method"), Column("Rank-1", numeric=True), Column("mAP", numeric=True))
    rows = (
        ("a", Number(90.0), Number(10.0)),
        ("b", Number(20.0), Number(30.0)),
        ("chance", Number(5.0), Number(4.0)),
    )
    assert conclusion([Table("t", columns, rows)]) == (
        "t: b has the highest mAP, 30.0, before a with 10.0; chance is 4.0."
    )
