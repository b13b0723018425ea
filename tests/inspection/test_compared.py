"""Kinds, lists, failures, confused identities and histograms, against naive loops."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.inspection.compared import Kind
from mdreid_bench.inspection.confusion import most_confused
from mdreid_bench.inspection.ranked import MOST_EXCLUDED, from_best_to_worst, most_typical, ranked_list, worst
from mdreid_bench.inspection.similarities import histogram
from protocols.exclusion import Exclusion, Labels
from tests.inspection.cases import RULES, compared, naive_kind, naive_similarity


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_kinds_and_lists_equal_a_naive_loop(seed: int, rule: Exclusion) -> None:
    case = compared(seed, rule)
    for query in range(0, 12, 3):
        kinds = [naive_kind(case, query, item) for item in range(22)]
        assert [Kind(int(kind)).name for kind in case.kinds(np.array([query]))[0]] == kinds
        order = sorted(range(22), key=lambda i: (-naive_similarity(case, query, i), str(case.names[i])))
        expected: list[tuple[int, str, float, int | None]] = []
        ranks, hidden = 0, 0
        for item in order:
            if ranks == 5:
                break
            if kinds[item] != "EXCLUDED":
                ranks += 1
                expected.append((item, kinds[item], naive_similarity(case, query, item), ranks))
            else:
                hidden += 1
                expected.append((item, "EXCLUDED", naive_similarity(case, query, item), None))
        # Excluded items behind the last rank are no part of the list, and of the others three are shown.
        shown = [one for one in expected if one[3] is not None]
        places = [n for n, one in enumerate(expected) if one[3] is None][:MOST_EXCLUDED]
        left = hidden - len(places)
        wanted = [one for n, one in enumerate(expected) if one[3] is not None or n in places]
        found = ranked_list(case, query, depth=5)
        assert len(shown) == 5
        assert [(e.place, e.kind.name, e.similarity, e.rank) for e in found.entries] == wanted
        assert found.left_out == left


def naive_ap(case_order: list[str]) -> float:
    hits, total = 0, 0.0
    for rank, kind in enumerate(case_order, start=1):
        if kind == "RIGHT":
            hits += 1
            total += hits / rank
    return total / hits


@pytest.mark.parametrize("seed", range(2))
def test_failures_are_chosen_as_they_are_defined(seed: int) -> None:
    case = compared(seed)
    rng = np.random.default_rng(seed)
    own, others = (rng.normal(size=(number, 4)).astype(np.float32) for number in (12, 22))  # no ties
    case = replace(case, query=own, gallery=others)
    scores = case.similarities(np.arange(12))
    found: dict[int, tuple[float, bool]] = {}
    for query in range(12):
        items = [item for item in range(22) if naive_kind(case, query, item) != "EXCLUDED"]
        items.sort(key=lambda item: -scores[query, item])
        kinds = [naive_kind(case, query, item) for item in items]
        if "RIGHT" in kinds:
            found[query] = naive_ap(kinds), kinds[0] == "WRONG"
    name = {query: str(case.items.names[query]) for query in found}
    failed = [query for query in found if found[query][1]]
    assert worst(case, 3) == sorted(failed, key=lambda q: (found[q][0], name[q]))[:3]
    median = float(np.median([found[query][0] for query in failed]))
    typical = most_typical(case, 2)
    assert [abs(found[q][0] - median) for q in typical] == pytest.approx(
        sorted(abs(found[q][0] - median) for q in failed)[:2]
    )
    assert set(typical) <= set(failed)
    ordered = sorted(found, key=lambda q: (-found[q][0], name[q]))
    assert from_best_to_worst(case, len(found)) == ordered
    assert from_best_to_worst(case, 2) == [ordered[0], ordered[-1]]


def test_without_failures_there_is_nothing_to_show() -> None:
    case = compared(0, Exclusion.NONE)
    codes = np.eye(5, 4 + 1, dtype=np.float32)
    case = replace(case, query=codes[case.asked.identity], gallery=codes[case.offered.identity])
    assert worst(case, 3) == most_typical(case, 3) == []
    assert most_confused(case) == []


@pytest.mark.parametrize(("rule", "budget"), [*((rule, 1 << 20) for rule in RULES), (RULES[1], 1)], ids=str)
def test_confused_identities_equal_a_naive_loop(rule: Exclusion, budget: int) -> None:
    case = compared(3, rule, budget)
    counts: Counter[tuple[int, int]] = Counter()
    for query in range(12):
        best: dict[int, float] = {}
        for item in range(22):
            if naive_kind(case, query, item) != "EXCLUDED":
                identity = int(case.offered.identity[item])
                best[identity] = max(best.get(identity, -np.inf), naive_similarity(case, query, item))
        own = int(case.asked.identity[query])
        for other in best:
            if own in best and other != own and best[other] >= best[own]:
                counts[min(own, other), max(own, other)] += 1
    found = most_confused(case, most=4)
    ordered = sorted(counts, key=lambda pair: (-counts[pair], pair))[:4]
    assert [(pair.identities, pair.confused) for pair in found] == [(pair, counts[pair]) for pair in ordered]
    for pair in found:
        examples = [
            naive_similarity(case, query, item)
            for query in np.flatnonzero(case.measured.valid & np.isin(case.asked.identity, pair.identities)).tolist()
            for item in np.flatnonzero(np.isin(case.offered.identity, pair.identities)).tolist()
            if naive_kind(case, query, item) == "WRONG"
        ]
        assert pair.similarity == max(examples) == naive_similarity(case, pair.query, pair.gallery)
        assert naive_kind(case, pair.query, pair.gallery) == "WRONG"
        assert {int(case.asked.identity[pair.query]), int(case.offered.identity[pair.gallery])} == {*pair.identities}


def test_a_histogram_by_hand() -> None:
    """One query (1, 0) of identity 0; similarities are the first numbers of the gallery."""
    case = compared(0)
    labels = Labels(np.array([0, 0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 1, 1, 1]), np.zeros(7, dtype=np.int64))
    items = replace(case.items.take(range(7)), labels=labels)
    trial = replace(
        case.trial,
        query=np.array([0]),
        gallery=np.arange(1, 7),
        query_sensors=case.trial.query_sensors[:1],
        gallery_sensors=case.trial.gallery_sensors[:6],
    )
    gallery = np.array([[4.0, 0], [3, 0], [9, 0], [0, 0], [1, 0], [3, 0]], dtype=np.float32)
    case = replace(case, items=items, trial=trial, query=np.array([[1.0, 0]], dtype=np.float32), gallery=gallery)
    found = histogram(case, bins=4)  # 9 is excluded: the query's own camera
    assert found.edges.tolist() == [0, 1, 2, 3, 4]
    assert found.right.tolist() == [0, 0, 0, 2]
    assert found.wrong.tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("rule", RULES[2:], ids=str)
def test_every_pair_that_counts_is_in_one_bin_whatever_the_memory(rule: Exclusion) -> None:
    found, small = histogram(compared(5, rule)), histogram(compared(5, rule, budget=1))
    kinds = Counter(naive_kind(compared(5, rule), query, item) for query in range(12) for item in range(22))
    assert (found.right.sum(), found.wrong.sum()) == (kinds["RIGHT"], kinds["WRONG"])
    assert np.array_equal(found.right, small.right)
    assert np.array_equal(found.wrong, small.wrong)


def test_a_similarity_that_is_not_finite_is_named() -> None:
    case = compared(0)
    case.gallery[3, 0] = np.nan
    with pytest.raises(DataError, match=str(case.names[3])):
        _ = case.measured
