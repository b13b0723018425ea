"""Each metric against numbers worked out by hand and against the mean over all orders of tied items."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings

from protocols.arrays import Values
from protocols.metrics.average_precision import average_precision
from protocols.metrics.cmc import rank_k
from protocols.metrics.first_hit import first_hit_rank
from protocols.metrics.inverse_negative_penalty import inverse_negative_penalty
from protocols.metrics.trapezoid_average_precision import trapezoid_average_precision
from protocols.tie_groups import Ranking
from tests.protocols import naive
from tests.protocols.cases import Case, large_case, one_query, small_cases

Metric = Callable[[Ranking], Values]
METRICS: dict[str, tuple[Metric, Callable[[naive.Order], float]]] = {
    "average precision": (average_precision, naive.average_precision),
    "trapezoid": (trapezoid_average_precision, naive.trapezoid_average_precision),
    "first hit": (first_hit_rank, naive.first_hit_rank),
    "inverse negative penalty": (inverse_negative_penalty, naive.inverse_negative_penalty),
    "rank 1": (partial(rank_k, k=1), partial(naive.rank_k, k=1)),
    "rank 3": (partial(rank_k, k=3), partial(naive.rank_k, k=3)),
    "rank 10": (partial(rank_k, k=10), partial(naive.rank_k, k=10)),
}
each_metric = pytest.mark.parametrize(("metric", "oracle"), METRICS.values(), ids=METRICS)

P, NO = True, False


@each_metric
@settings(max_examples=60, deadline=None)
@given(case=small_cases())
def test_equals_the_mean_over_all_orders_of_ties(
    metric: Metric, oracle: Callable[[naive.Order], float], case: Case
) -> None:
    exact = naive.expected_values(oracle, case.scores, case.query, case.gallery, case.exclusion)
    np.testing.assert_allclose(metric(case.rank()), exact, rtol=1e-12)


@each_metric
def test_without_ties_equals_the_textbook(metric: Metric, oracle: Callable[[naive.Order], float]) -> None:
    case = large_case(seed=1, decimals=7)
    ranking = case.rank()
    assert ranking.size.max() == 1
    exact = naive.expected_values(oracle, case.scores, case.query, case.gallery, case.exclusion)
    np.testing.assert_allclose(metric(ranking), exact, rtol=1e-14)


@each_metric
def test_query_without_positive_is_nan(metric: Metric, oracle: Callable[[naive.Order], float]) -> None:
    assert np.isnan(metric(one_query([0.3, 0.2], [NO, NO]))).all()
    assert np.isnan(metric(one_query([], []))).all()


@each_metric
def test_perfect_order_is_exactly_one(metric: Metric, oracle: Callable[[naive.Order], float]) -> None:
    assert metric(one_query([0.9, 0.8, 0.8, 0.1, 0.1], [P, P, P, NO, NO])).tolist() == [1.0]
    assert metric(one_query([0.5], [P])).tolist() == [1.0]


def test_hand_numbers_without_ties() -> None:
    ranking = one_query([0.9, 0.8, 0.7, 0.6, 0.5], [NO, P, NO, P, NO])
    assert average_precision(ranking)[0] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert trapezoid_average_precision(ranking)[0] == pytest.approx(((0 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    assert inverse_negative_penalty(ranking)[0] == pytest.approx(2 / 4)
    assert first_hit_rank(ranking).tolist() == [2.0]
    assert [rank_k(ranking, k)[0] for k in (1, 2, 5)] == [0.0, 1.0, 1.0]


def test_hand_numbers_with_one_positive_tied_with_one_other() -> None:
    ranking = one_query([0.9, 0.5, 0.5], [NO, P, NO])
    assert average_precision(ranking)[0] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert trapezoid_average_precision(ranking)[0] == pytest.approx((1 / 4 + 1 / 6) / 2)
    assert inverse_negative_penalty(ranking)[0] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert first_hit_rank(ranking).tolist() == [2.5]
    assert [rank_k(ranking, k)[0] for k in (1, 2, 3)] == [0.0, 0.5, 1.0]


def test_trapezoid_counts_precision_before_the_first_rank_as_one() -> None:
    ranking = one_query([0.9, 0.8], [P, NO])
    assert trapezoid_average_precision(ranking).tolist() == [1.0]
    tied = one_query([0.9, 0.9], [P, NO])
    assert trapezoid_average_precision(tied)[0] == pytest.approx((1.0 + (0 + 1 / 2) / 2) / 2)


def test_a_tie_far_down_a_long_list_keeps_its_precision() -> None:
    above, negatives, positives = 10**6, 3, 2
    a, n, m = (np.array([value], dtype=np.int64) for value in (above, negatives + positives, positives))
    ranking = Ranking(np.array([2 * above]), np.array([0, 1]), a, n, m)
    size = negatives + positives
    exact = sum(
        Fraction(positives, size) * (1 + Fraction((place - 1) * (positives - 1), size - 1)) / (above + place)
        for place in range(1, size + 1)
    )
    assert average_precision(ranking)[0] == pytest.approx(float(exact / positives), rel=1e-9)


@pytest.mark.parametrize("decimals", [0, 1, 7])
def test_trapezoid_never_exceeds_the_average_precision(decimals: int) -> None:
    ranking = large_case(seed=8, decimals=decimals).rank()
    assert (trapezoid_average_precision(ranking) <= average_precision(ranking) + 1e-15).all()


@pytest.mark.parametrize("k", [0, -1])
def test_rank_k_needs_a_positive_k(k: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        rank_k(one_query([0.5], [P]), k)
