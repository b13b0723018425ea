from dataclasses import FrozenInstanceError
from typing import cast

import numpy as np
import pytest

from protocols.evaluation import AveragePrecision, NoValidQueryError, evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.names import UnknownNameError
from protocols.ranking import rank

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
