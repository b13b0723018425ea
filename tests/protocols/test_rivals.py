"""The CMC that counts identities, against every order of the tied items and against sums worked out otherwise."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import chain, groupby, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings

from protocols.chance import chance
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.metrics.identity_cmc import identity_rank_k
from protocols.metrics.identity_first_hit import identity_first_hit_rank
from protocols.ranking import rank, rank_embeddings
from protocols.rivals import Rivals
from protocols.tie_groups import Ranking
from tests.protocols.cases import Case, assert_same, labels, large_case, one_query, small_cases


def places(case: Case, row: int) -> Iterator[int]:
    """Yield the place of the query's identity for every order of the tied items; none without a positive."""
    identity = int(case.query.identity[row])
    items = []
    for column in range(len(case.gallery)):
        same = int(case.gallery.identity[column]) == identity
        shared = {
            "none": False,
            "camera": bool(case.query.camera[row] == case.gallery.camera[column]),
            "scene": bool(case.query.scene[row] == case.gallery.scene[column]),
        }[case.exclusion.same]
        unseen = (case.query.camera[row], case.gallery.camera[column]) in case.exclusion.hidden
        if not unseen and not (same and shared):
            items.append((-float(case.scores[row, column]), int(case.gallery.identity[column])))
    if identity not in {name for _, name in items}:
        return
    groups = [[name for _, name in group] for _, group in groupby(sorted(items), key=lambda item: item[0])]
    for order in product(*(permutations(group) for group in groups)):
        yield list(dict.fromkeys(chain(*order))).index(identity) + 1


@settings(max_examples=150, deadline=None)
@given(case=small_cases(most=6))
def test_equals_the_mean_over_all_orders_of_ties(case: Case) -> None:
    ranking = case.rank(cmc="identities")
    expected = [list(places(case, row)) for row in range(len(case.query))]
    first = [float(np.mean(found)) if found else float("nan") for found in expected]
    np.testing.assert_allclose(identity_first_hit_rank(ranking), first, rtol=1e-12)
    for k in (1, 2, 3, 10):
        shares = [sum(place <= k for place in found) / len(found) if found else float("nan") for found in expected]
        np.testing.assert_allclose(identity_rank_k(ranking, k), shares, rtol=1e-12, atol=1e-15)


def exact_share(places_left: int, own: int, tied: list[int]) -> Fraction:
    """Draw identity after identity without return, each as likely as it has tied items left; the order within a
    size plays no part, so identities of one size are counted together."""
    sizes = sorted(Counter(tied).items())

    @cache
    def missed(left: tuple[int, ...], draws: int) -> Fraction:
        if not draws:
            return Fraction(1)
        whole = own + sum(size * count for (size, _), count in zip(sizes, left, strict=True))
        result = Fraction(0)
        for number, (size, _) in enumerate(sizes):
            if left[number]:
                fewer = (*left[:number], left[number] - 1, *left[number + 1 :])
                result += Fraction(size * left[number], whole) * missed(fewer, draws - 1)
        return result

    return 1 - missed(tuple(count for _, count in sizes), places_left)


@pytest.mark.parametrize("k", [1, 5, 10, 20])
@pytest.mark.parametrize(
    ("own", "sizes"), [(1, {1: 95}), (3, {2: 40, 4: 55}), (40, {10: 200, 40: 130}), (2, {300: 9})]
)
def test_large_ties_keep_their_precision(k: int, own: int, sizes: dict[int, int]) -> None:
    tied = [size for size, count in sizes.items() for _ in range(count)]
    above, size, positives = (np.array([value]) for value in (0, own + sum(tied), own))
    rivals = Rivals.of([(0, np.array(tied))])
    ranking = Ranking(np.array([10**6]), np.array([0, 1]), above, size, positives, rivals)
    exact = float(exact_share(k, own, tied)) if k <= len(tied) else 1.0
    assert identity_rank_k(ranking, k)[0] == pytest.approx(exact, rel=1e-12)


def test_duplicates_of_an_identity_take_one_place() -> None:
    query = Labels(np.array([1]), np.array([0]), np.array([0]))
    zeros = np.zeros(5, dtype=np.int64)
    gallery = Labels(np.array([2, 2, 2, 3, 1]), zeros, zeros)
    ranking = rank(np.array([[0.9, 0.8, 0.7, 0.6, 0.5]]), query, gallery, Exclusion.NONE, cmc="identities")
    values = evaluate(ranking)
    assert (values.first_hit_rank[0], values.rank1[0], values.rank5[0]) == (3.0, 0.0, 1.0)
    assert values.ap[0] == pytest.approx(1 / 5)
    constant = evaluate(rank(np.ones((1, 5)), query, gallery, Exclusion.NONE, cmc="identities"))
    assert constant.rank1[0] == pytest.approx(1 / 5, rel=1e-12)
    assert constant.first_hit_rank[0] == pytest.approx(1 + 3 / 4 + 1 / 2, rel=1e-12)


@pytest.mark.parametrize("exclusion", ["camera", "none; 0>1", "scene; 1>2, 1>0"])
def test_a_constant_scorer_equals_chance_exactly(exclusion: str) -> None:
    case = large_case(seed=3)
    rule = Exclusion.parse(exclusion)
    constant = rank(np.full_like(case.scores, 0.25), case.query, case.gallery, rule, cmc="identities")
    scored = evaluate(constant)
    rivals = Rivals.in_random_order(case.query, case.gallery, rule)
    expected = chance(scored.positives, scored.items, rivals=rivals)
    for name in ("ap", "inp", "first_hit_rank", "rank1", "rank5", "rank10", "tied_positives"):
        np.testing.assert_array_equal(getattr(scored, name), getattr(expected, name), err_msg=name)


def test_budget_and_order_of_the_gallery_change_nothing() -> None:
    rng = np.random.default_rng(2)
    left, right = (rng.integers(-1, 2, size=(count, 4)).astype(np.float32) for count in (300, 900))
    query, gallery = labels(rng, 300, 30), labels(rng, 900, 40)
    full = rank_embeddings(left, right, query, gallery, Exclusion.CAMERA, cmc="identities")
    order = rng.permutation(900)
    for budget in (0, 10**5, 2**30):
        again = rank_embeddings(
            left, right[order], query, gallery.take(order), Exclusion.CAMERA, cmc="identities", memory_budget=budget
        )
        assert_same(again, full)


def test_wrong_use_is_refused() -> None:
    ranking = one_query([0.5], [True])
    with pytest.raises(ValueError, match="without counting identities"):
        identity_rank_k(ranking, 1)
    with pytest.raises(ValueError, match="without counting identities"):
        identity_first_hit_rank(ranking)
    with pytest.raises(ValueError, match="at least 1"):
        identity_rank_k(ranking, 0)
