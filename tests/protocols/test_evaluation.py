from dataclasses import FrozenInstanceError
from typing import cast

import numpy as np
import pytest

from protocols.bootstrap import interval
from protocols.evaluation import AveragePrecision, NoValidQueryError, evaluate, mean_of_trials, values_over_trials
from protocols.exclusion import Exclusion, Labels
from protocols.names import UnknownNameError
from protocols.ranking import rank
from tests.protocols.cases import large_case

ZEROS = np.zeros(4, dtype=np.int64)
GALLERY = Labels(np.array([1, 2, 1, 3]), ZEROS, ZEROS)
QUERY = Labels(np.array([1, 2, 9]), ZEROS[:3], ZEROS[:3])
SCORES = np.array([[0.9, 0.5, 0.1, 0.5], [0.9, 0.5, 0.5, 0.1], [0.4, 0.3, 0.2, 0.1]])


def test_per_query_values_and_summary_by_hand() -> None:
    result = evaluate(rank(SCORES, QUERY, GALLERY, Exclusion.NONE))
    np.testing.assert_allclose(result.ap, [(1 + 2 / 4) / 2, (1 / 2 + 1 / 3) / 2, np.nan])
    np.testing.assert_allclose(result.inp, [2 / 4, (1 / 2 + 1 / 3) / 2, np.nan])
    np.testing.assert_allclose(result.first_hit_rank, [1, 2.5, np.nan])
    np.testing.assert_allclose(result.rank1, [1, 0, np.nan])
    np.testing.assert_allclose(result.rank5, [1, 1, np.nan])
    np.testing.assert_allclose(result.rank10, [1, 1, np.nan])
    assert result.positives.tolist() == [2, 1, 0]
    assert result.tied_positives.tolist() == [0, 1, 0]
    assert result.items.tolist() == [4, 4, 4]
    assert result.valid.tolist() == [True, True, False]
    summary = result.summary()
    assert summary.mAP == pytest.approx((3 / 4 + 5 / 12) / 2)
    assert summary.mINP == pytest.approx((1 / 2 + 5 / 12) / 2)
    assert (summary.rank1, summary.rank5, summary.rank10) == (0.5, 1.0, 1.0)
    assert (summary.queries, summary.left_out) == (2, 1)


def test_trapezoid_replaces_only_the_average_precision() -> None:
    ranking = rank(SCORES, QUERY, GALLERY, Exclusion.NONE)
    standard, trapezoid = evaluate(ranking), evaluate(ranking, "trapezoid")
    np.testing.assert_allclose(trapezoid.ap[0], ((1 + 1) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    np.testing.assert_array_equal(standard.inp, trapezoid.inp)


def test_unknown_average_precision() -> None:
    ranking = rank(SCORES, QUERY, GALLERY, Exclusion.NONE)
    with pytest.raises(UnknownNameError, match="Did you mean 'trapezoid'"):
        evaluate(ranking, cast(AveragePrecision, "trapezoidal"))


def test_no_valid_query_is_an_error_only_of_the_summary() -> None:
    result = evaluate(rank(SCORES, QUERY, GALLERY, Exclusion.CAMERA))
    assert np.isnan(result.ap).all()
    with pytest.raises(NoValidQueryError, match="None of the 3 queries"):
        result.summary()


def test_results_cannot_be_changed() -> None:
    summary = evaluate(rank(SCORES, QUERY, GALLERY, Exclusion.NONE)).summary()
    with pytest.raises(FrozenInstanceError):
        summary.mAP = 1.0  # type: ignore[misc]


def test_one_trial_is_averaged_to_itself_bit_for_bit() -> None:
    case = large_case(seed=9)
    trial = evaluate(case.rank())
    assert mean_of_trials([trial]) == trial.summary()
    values = values_over_trials([trial.ap])
    assert values.tobytes() == trial.ap.tobytes()
    assert interval(values, case.query.identity) == interval(trial.ap, case.query.identity)


def test_trials_are_averaged_by_hand() -> None:
    rank_of = {
        trial: rank(SCORES[:, trial], QUERY, GALLERY.take(trial), Exclusion.NONE) for trial in [(0, 1), (2, 3)]
    }
    first, second = (evaluate(ranking) for ranking in rank_of.values())
    np.testing.assert_allclose(first.ap, [1, 1 / 2, np.nan])
    np.testing.assert_allclose(second.ap, [1 / 2, np.nan, np.nan])
    np.testing.assert_allclose(values_over_trials([first.ap, second.ap]), [3 / 4, 1 / 2, np.nan])
    mean = mean_of_trials([first, second])
    assert mean.mAP == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert mean.rank1 == pytest.approx((1 / 2 + 0) / 2)
    assert (mean.queries, mean.left_out) == (2, 1)


def test_trials_of_other_queries_or_none_are_refused() -> None:
    trial = evaluate(rank(SCORES, QUERY, GALLERY, Exclusion.NONE))
    shorter = evaluate(rank(SCORES[:2], QUERY.take([0, 1]), GALLERY, Exclusion.NONE))
    with pytest.raises(ValueError, match="same queries"):
        mean_of_trials([trial, shorter])
    with pytest.raises(ValueError, match="same queries"):
        mean_of_trials([])
