"""Measured against published: which figures count, and when they agree."""

import pytest

from mdreid_bench.report.table import Missing, Number
from mdreid_bench.report.verification import Check, check_table, compare, protocols_in, published
from mdreid_bench.results.published import Figure
from mdreid_bench.results.schema import Metrics
from tests.results.factory import make_record


def figure(value: float, metric: str = "mAP", protocol: str = "RNT-to-RNT") -> Figure:
    return Figure("MDReID", "Table 1a", "rgbnt201", "MDReID", protocol, metric, value, "address", "")


@pytest.mark.parametrize(
    ("measured", "agrees"), [(82.1, True), (82.2, True), (82.0, True), (82.2001, False), (81.9, False)]
)
def test_figures_agree_within_the_last_printed_digit(measured: float, agrees: bool) -> None:
    check = Check(figure(82.1), measured)
    assert check.agrees is agrees
    assert check.difference == pytest.approx(measured - 82.1)


def test_what_could_not_be_evaluated_does_not_agree() -> None:
    assert not Check(figure(82.1), None).agrees
    row = check_table("t", [Check(figure(82.1), None)], []).rows[0]
    assert isinstance(row[4], Missing)
    assert row[-1] == "differs"


def test_the_figures_of_mdreid_are_those_of_its_paper() -> None:
    found = {(f.protocol, f.metric): f.value for f in published("rgbnt201", "mdreid")}
    assert found["RNT-to-RNT", "mAP"] == 82.1  # not the 82.0868 of a re-evaluation
    assert found["RT-to-NT", "rank1"] == 51.7
    assert found["NT-to-NT", "mAP"] == 67.0  # RGB missing on both sides
    assert len(found) == 24
    assert len(published("msvr310", "mdreid")) == len(published("rgbnt100", "mdreid")) == 10
    assert len(protocols_in(published("rgbnt201", "mdreid"))) == 11


@pytest.mark.parametrize(("method", "value"), [("top-reid", 72.3), ("editor", 66.5)])
def test_baselines_have_the_figures_of_their_authors(method: str, value: float) -> None:
    found = {(f.protocol, f.metric): f.value for f in published("rgbnt201", method)}
    assert found["RNT-to-RNT", "mAP"] == value
    assert published("rgbnt201", "single-classifier") == []


def test_records_are_compared_in_percent() -> None:
    record = make_record(protocol="RNT-to-RNT", metrics=Metrics(mAP=0.821, rank1=0.8, rank5=0.9, rank10=1, mINP=0.5))
    checks = compare([figure(82.1), figure(85.2, "rank1"), figure(1.0, protocol="R-to-N")], [record])
    assert [check.agrees for check in checks] == [True, False, False]
    table = check_table("mdreid on rgbnt201", checks, ["n"])
    assert table.title == "mdreid on rgbnt201"
    assert "1 of 3 figures agree" in table.caption
    assert isinstance(table.rows[1][5], Number)
    assert table.rows[1][5].text == "-5.20"
