import numpy as np
import pytest

from protocols.chance import chance
from protocols.evaluation import AveragePrecision, evaluate
from tests.protocols.cases import Case, large_case


@pytest.mark.parametrize("form", ["standard", "trapezoid"])
def test_a_constant_scorer_equals_chance_exactly(form: AveragePrecision) -> None:
    case = large_case(seed=3)
    constant = Case(np.full_like(case.scores, 0.25), case.query, case.gallery, case.exclusion)
    scored = evaluate(constant.rank(), form)
    expected = chance(scored.positives, scored.items, form)
    for name in ("ap", "inp", "first_hit_rank", "rank1", "rank5", "rank10", "tied_positives"):
        np.testing.assert_array_equal(getattr(scored, name), getattr(expected, name), err_msg=name)


def test_closed_forms() -> None:
    found, total = np.array([3, 1, 0, 5]), np.array([40, 7, 12, 5])
    result = chance(found, total)
    harmonic = [sum(1 / place for place in range(1, items + 1)) for items in total]
    ap = [(h + (p - 1) * (v - h) / (v - 1)) / v for p, v, h in zip(found, total, harmonic, strict=True)]
    np.testing.assert_allclose(result.ap[[0, 1, 3]], np.array(ap)[[0, 1, 3]], rtol=1e-13)
    np.testing.assert_allclose(result.rank1, [3 / 40, 1 / 7, np.nan, 1.0], rtol=1e-14)
    none_in_five = (37 * 36 * 35 * 34 * 33) / (40 * 39 * 38 * 37 * 36)
    np.testing.assert_allclose(result.rank5, [1 - none_in_five, 5 / 7, np.nan, 1.0], rtol=1e-14)
    np.testing.assert_allclose(result.inp[[1, 3]], [harmonic[1] / 7, 1.0], rtol=1e-13)
    np.testing.assert_allclose(result.first_hit_rank, [41 / 4, 4.0, np.nan, 1.0], rtol=1e-14)


def test_random_scores_average_to_chance() -> None:
    case = large_case(seed=6, queries=40, items=200)
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(60):
        drawn = Case(rng.standard_normal(case.scores.shape), case.query, case.gallery, case.exclusion)
        summary = evaluate(drawn.rank()).summary()
        runs.append((summary.mAP, summary.rank5, summary.mINP))
    per_query = evaluate(case.rank())
    expected = chance(per_query.positives, per_query.items).summary()
    spread = np.std(runs, axis=0) / np.sqrt(len(runs))
    deviation = np.mean(runs, axis=0) - [expected.mAP, expected.rank5, expected.mINP]
    assert (np.abs(deviation) < 4 * spread).all()


@pytest.mark.parametrize(("found", "total"), [([2], [1]), ([-1], [4]), ([1, 1], [3])])
def test_impossible_counts_are_refused(found: list[int], total: list[int]) -> None:
    with pytest.raises(ValueError, match="positives"):
        chance(np.array(found), np.array(total))
