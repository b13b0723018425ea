"""Records refuse to be wrong."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from mdreid_bench.results.schema import SCHEMA_VERSION, Interval, Metrics
from protocols.evaluation import Metrics as Means
from tests.results.factory import make_record, metrics


def test_a_record_round_trips_through_json() -> None:
    record = make_record()
    assert type(record).model_validate_json(record.model_dump_json()) == record
    assert record.schema_version == SCHEMA_VERSION


def test_metrics_come_from_the_summary_of_an_evaluation() -> None:
    means = Means(mAP=0.1, rank1=0.2, rank5=0.3, rank10=0.4, rank20=0.5, mINP=0.05, queries=7, left_out=1)
    assert Metrics.of(means) == Metrics(mAP=0.1, rank1=0.2, rank5=0.3, rank10=0.4, rank20=0.5, mINP=0.05)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "../escape"),
        ("protocol", "R-to-N/../../x"),
        ("method", ".hidden"),
        ("preset", ""),
        ("trunk", "a\x1b[31mb"),
        ("trunk", "two\nlines"),
        ("run_key", "xyz"),
        ("seed", -1),
        ("limit", 0),
        ("data_kind", "imagined"),
        ("selection", "best"),
        ("options", {"deep": [{"w": math.nan}]}),
        ("config_overrides", {"lr": math.inf}),
        ("no_such_field", 1),
    ],
)
def test_impossible_values_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        make_record(**{field: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.01, 1.01])
def test_metrics_are_finite_fractions(value: float) -> None:
    with pytest.raises(ValidationError, match="mAP"):
        Metrics(mAP=value, rank1=0, rank5=0, rank10=0, mINP=0)


def test_rounding_does_not_push_a_perfect_score_out_of_range() -> None:
    perfect = Metrics(mAP=math.nextafter(1.0, 2.0), rank1=1, rank5=1.0, rank10=1.0, mINP=-1e-17)
    assert (perfect.mAP, perfect.mINP) == (1.0, 0.0)


def test_an_interval_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValidationError, match="ends before it starts"):
        Interval(mAP=(0.5, 0.4))


def test_records_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_record().metrics = metrics(1.0)
