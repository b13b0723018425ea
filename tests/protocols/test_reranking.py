"""Re-ranking against the definitions of the paper written out with sets, and what must not change it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion
from protocols.ranking import NonFiniteScoreError, rank, rank_embeddings
from protocols.reranking import RerankedDistances, Reranking
from tests.protocols.cases import assert_same, labels


def literal(query: NDArray[np.float32], gallery: NDArray[np.float32], parameters: Reranking) -> NDArray[np.float64]:
    """Follow the paper, section 3, with the conventions that protocols.reranking names, one set at a time."""
    vectors = np.concatenate([query, gallery]).astype(np.float64)
    count = len(vectors)
    similarity = vectors @ vectors.T
    distance = np.zeros((count, count))
    for i in range(count):
        most, least = similarity[i].max(), similarity[i].min()
        distance[i] = (most - similarity[i]) / (most - least)

    def nearest(i: int, k: int) -> list[int]:
        return sorted(range(count), key=lambda j: (j != i, distance[i, j]))[:k]

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in nearest(i, k) if i in nearest(j, k)}

    half = int(np.around(parameters.k1 / 2))
    encoding = np.zeros((count, count))
    for i in range(count):
        own = reciprocal(i, parameters.k1 + 1)
        grown = set(own)
        for j in own:
            theirs = reciprocal(j, half + 1)
            if 3 * len(theirs & own) > 2 * len(theirs):
                grown |= theirs
        for j in grown:
            encoding[i, j] = np.exp(-distance[i, j])
        encoding[i] /= encoding[i].sum()
    expanded = np.array([np.mean([encoding[j] for j in nearest(i, parameters.k2)], axis=0) for i in range(count)])
    result = np.zeros((len(query), len(gallery)))
    for i in range(len(query)):
        for g in range(len(gallery)):
            j = len(query) + g
            jaccard = 1 - np.minimum(expanded[i], expanded[j]).sum() / np.maximum(expanded[i], expanded[j]).sum()
            result[i, g] = (1 - parameters.weight) * jaccard + parameters.weight * distance[i, j]
    return result


def clustered(
    rng: np.random.Generator, queries: int, items: int, unit: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors around some centres, so that neighbours are mutual in part."""
    centres = rng.standard_normal((5, 12))
    vectors = centres[rng.integers(5, size=queries + items)] + 0.8 * rng.standard_normal((queries + items, 12))
    if unit:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:queries].astype(np.float32), vectors[queries:].astype(np.float32)


def distances(left: NDArray[np.float32], right: NDArray[np.float32], text: str) -> NDArray[np.float64]:
    return RerankedDistances(left, right, Reranking.parse(text), 10**6).of(0, len(left))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    parameters=st.sampled_from(["5,3,0.3", "20,6,0.3", "1,1,0", "6,2,1", "3,9,0.5", "200,100,0.2", "9,1,.25"]),
    unit=st.booleans(),
)
def test_equals_the_definitions_of_the_paper(seed: int, parameters: str, unit: bool) -> None:
    rng = np.random.default_rng(seed)
    left, right = clustered(rng, 6, int(rng.integers(1, 30)), unit)
    expected = literal(left, right, Reranking.parse(parameters))
    np.testing.assert_allclose(distances(left, right, parameters), expected, atol=1e-6)


def test_lambda_one_keeps_the_ranking() -> None:
    rng = np.random.default_rng(1)
    left, right = clustered(rng, 30, 200)
    sides = (left, right, labels(rng, 30, 5), labels(rng, 200, 5), Exclusion.CAMERA)
    assert_same(rank_embeddings(*sides, reranking=Reranking(weight=1.0)), rank_embeddings(*sides))


def test_ranking_follows_the_distances() -> None:
    rng = np.random.default_rng(2)
    left, right = clustered(rng, 30, 200)
    query, gallery = labels(rng, 30, 5), labels(rng, 200, 5)
    expected = rank(-distances(left, right, "7,3,0.3"), query, gallery, Exclusion.CAMERA, cmc="identities")
    parameters = Reranking.parse("7,3,0.3")
    again = rank_embeddings(left, right, query, gallery, Exclusion.CAMERA, cmc="identities", reranking=parameters)
    assert_same(again, expected)


@pytest.mark.parametrize("parameters", ["20,6,0.3", "4,2,0"])
def test_order_of_items_budget_and_copies_change_nothing_bit_for_bit(parameters: str) -> None:
    rng = np.random.default_rng(3)
    left, right = clustered(rng, 20, 600)
    right[::3], right[1::3] = right[2::3], right[2::3]
    full = distances(left, right, parameters)
    np.testing.assert_array_equal(full[:, ::3], full[:, 1::3])
    rows, columns = rng.permutation(20), rng.permutation(600)
    for budget in (0, 4_000_000, 10**8):
        again = RerankedDistances(left[rows], right[columns], Reranking.parse(parameters), budget)
        np.testing.assert_array_equal(again.of(0, 20), full[rows][:, columns])
        np.testing.assert_array_equal(again.of(7, 9), full[rows][7:9, columns])


def test_a_constant_scorer_stays_one() -> None:
    found = distances(np.ones((4, 3), np.float32), np.ones((50, 3), np.float32), "20,6,0.3")
    assert len(np.unique(found)) == 1


def test_it_helps_where_clusters_overlap() -> None:
    rng = np.random.default_rng(4)
    centres = rng.standard_normal((40, 24))
    query, gallery = labels(rng, 80, 40, 3), labels(rng, 600, 40, 3)
    left, right = (
        (centres[side.identity] + 0.9 * rng.standard_normal((len(side), 24))).astype(np.float32)
        for side in (query, gallery)
    )
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right))
    sides = (left, right, query, gallery, Exclusion.CAMERA)
    before, after = (evaluate(rank_embeddings(*sides, reranking=r)).summary().mAP for r in (None, Reranking()))
    assert after > before + 0.05


def test_memory_does_not_grow_with_the_square_of_the_items() -> None:
    rng = np.random.default_rng(5)
    left, right = clustered(rng, 100, 3900)
    tracemalloc.start()
    RerankedDistances(left, right, Reranking(5, 2), 4_000_000).of(0, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All similarities would take 64 MB; a tile of the product takes 17 MB.
    assert peak < 40_000_000


def test_empty_sides() -> None:
    none, some = np.zeros((0, 3), np.float32), np.eye(3, dtype=np.float32)
    assert distances(none, some, "5,3,0.3").shape == (0, 3)
    assert distances(some, none, "5,3,0.3").shape == (3, 0)


def test_non_finite_products_are_named() -> None:
    left, right = np.eye(3, dtype=np.float32), np.ones((5, 3), np.float32)
    right[4, 1] = np.nan
    with pytest.raises(NonFiniteScoreError, match="query 0 with gallery item 4"):
        distances(left, right, "5,3,0.3")
    right[4] = [0, 0, 3e38]
    with pytest.raises(ValueError, match="exceed the range of float32"):
        distances(left[:2], right, "5,3,0.3")


@pytest.mark.parametrize("text", ["20,6,0.3", "1,1,0.0", "1000,7,1.0"])
def test_parse_inverts_str(text: str) -> None:
    assert str(Reranking.parse(text)) == text


def test_defaults_and_spaces() -> None:
    assert Reranking.parse(" 20, 6 ,.3 ") == Reranking()


@pytest.mark.parametrize("text", ["", "20", "20,6", "20;6;0.3", "20,6,0.3,1", "-1,6,0.3", "20,6,x", "2.5,6,0.3"])
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"written k1,k2,lambda, for example 20,6,0\.3, not"):
        Reranking.parse(text)


@pytest.mark.parametrize("text", ["0,6,0.3", "20,0,0.3", "20,6,1.5"])
def test_values_outside_their_range_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at least 1 and lambda from 0 to 1, not"):
        Reranking.parse(text)
