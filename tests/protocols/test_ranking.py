import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from protocols import ranking
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.ranking import NonFiniteScoreError, Ranking, rank, rank_embeddings
from tests.protocols import naive
from tests.protocols.cases import Case, assert_same, labels, large_case, one_query, small_cases


@settings(max_examples=150, deadline=None)
@given(case=small_cases())
def test_counts_equal_a_naive_loop(case: Case) -> None:
    ranking = case.rank()
    for row in range(len(case.query)):
        scores, positive = naive.visible(case.scores, case.query, case.gallery, case.exclusion, row)
        values = np.array(scores)
        hits = np.array(positive, dtype=bool)
        levels = sorted(set(values[hits].tolist()), reverse=True)
        groups = slice(ranking.offsets[row], ranking.offsets[row + 1])
        assert ranking.items[row] == len(scores)
        assert ranking.above[groups].tolist() == [(values > level).sum() for level in levels]
        assert ranking.size[groups].tolist() == [(values == level).sum() for level in levels]
        assert ranking.positives[groups].tolist() == [(values[hits] == level).sum() for level in levels]
        assert ranking.positives_above[groups].tolist() == [(values[hits] > level).sum() for level in levels]
        assert ranking.positive_counts[row] == hits.sum()
        tied = [value for value in values[hits] if (values == value).sum() > 1]
        assert ranking.tied_positives[row] == len(tied)


@settings(max_examples=50, deadline=None)
@given(case=small_cases())
def test_any_memory_budget_gives_the_same(case: Case) -> None:
    full = case.rank()
    for budget in (0, 100, 1000):
        assert_same(case.rank(memory_budget=budget), full)


@pytest.mark.parametrize("seed", range(3))
def test_permuting_the_gallery_changes_nothing_bit_for_bit(seed: int) -> None:
    case = large_case(seed)
    order = np.random.default_rng(seed).permutation(len(case.gallery))
    permuted = Case(case.scores[:, order], case.query, case.gallery.take(order), case.exclusion)
    assert_same(permuted.rank(), case.rank())
    before, after = evaluate(case.rank()), evaluate(permuted.rank())
    for name in ("ap", "inp", "first_hit_rank", "rank1", "rank5", "rank10"):
        assert getattr(before, name).tobytes() == getattr(after, name).tobytes()


def test_permuting_the_queries_permutes_the_result() -> None:
    case = large_case()
    order = np.random.default_rng(5).permutation(len(case.query))
    permuted = Case(case.scores[order], case.query.take(order), case.gallery, case.exclusion)
    np.testing.assert_array_equal(evaluate(permuted.rank()).ap, evaluate(case.rank()).ap[order])


def test_more_queries_than_a_chunk_equal_one_at_a_time() -> None:
    case = large_case(seed=2, queries=600, items=120)
    alone = [
        rank(case.scores[row : row + 1], case.query.take([row]), case.gallery, case.exclusion) for row in range(600)
    ]
    assert_same(Ranking.concatenate(alone), case.rank())


def test_excluded_items_do_not_count_wherever_they_score() -> None:
    query = Labels(np.array([1]), np.array([0]), np.array([0]))
    gallery = Labels(np.array([1, 1, 2, 2]), np.array([0, 1, 0, 1]), np.array([0, 0, 0, 0]))
    for excluded_score in (-9.0, 0.5, 9.0):
        scores = np.array([[excluded_score, 0.5, 0.9, 0.1]])
        ranking = rank(scores, query, gallery, Exclusion.CAMERA)
        assert (ranking.items.tolist(), ranking.above.tolist(), ranking.size.tolist()) == ([3], [1], [1])
    assert rank(scores, query, gallery, Exclusion.SCENE).valid.tolist() == [False]


def test_monotone_change_of_scores_changes_nothing() -> None:
    case = large_case(seed=4)
    changed = Case(np.exp(case.scores.astype(np.float64)), case.query, case.gallery, case.exclusion)
    assert_same(changed.rank(), case.rank())


def test_zero_has_no_sign() -> None:
    ranking = one_query([0.0, -0.0], [True, False])
    assert (ranking.above.tolist(), ranking.size.tolist()) == ([0], [2])


def test_empty_gallery_and_no_queries() -> None:
    rng = np.random.default_rng(0)
    empty = rank(np.zeros((3, 0)), labels(rng, 3, 2), labels(rng, 0, 2), Exclusion.CAMERA)
    assert empty.items.tolist() == [0, 0, 0]
    assert empty.valid.tolist() == [False, False, False]
    assert len(rank(np.zeros((0, 4)), labels(rng, 0, 2), labels(rng, 4, 2), Exclusion.NONE)) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_score_names_query_and_item(value: float) -> None:
    case = large_case(queries=400, items=20)
    case.scores[301, 7] = value
    with pytest.raises(NonFiniteScoreError, match="query 301 with gallery item 7") as caught:
        case.rank()
    assert (caught.value.query, caught.value.gallery) == (301, 7)


def test_shapes_must_fit() -> None:
    case = large_case()
    with pytest.raises(ValueError, match="do not fit"):
        rank(case.scores[:, 1:], case.query, case.gallery, case.exclusion)


def test_memory_stays_within_the_budget() -> None:
    rng = np.random.default_rng(0)
    # Two identities make half of the gallery positive; few score levels keep the result itself small.
    scores = rng.integers(5, size=(400, 4000)).astype(np.float32)
    query, gallery = labels(rng, 400, 2), labels(rng, 4000, 2)
    budget = 4_000_000
    tracemalloc.start()
    rank(scores, query, gallery, Exclusion.CAMERA, memory_budget=budget)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    grouping = 16 * 8 * (len(query) + len(gallery))
    assert peak < budget + grouping


def embeddings(
    rng: np.random.Generator, count: int, width: int = 33
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return rng.standard_normal((count, width)).astype(np.float32)


def test_embeddings_rank_as_their_score_matrix() -> None:
    rng = np.random.default_rng(1)
    # Small integers have exact products, so that no rounding tells the two ways apart.
    left, right = embeddings(rng, 300).round(), embeddings(rng, 1100).round()
    query, gallery = labels(rng, 300, 20), labels(rng, 1100, 20)
    from_scores = rank(left @ right.T, query, gallery, Exclusion.CAMERA)
    assert_same(rank_embeddings(left, right, query, gallery, Exclusion.CAMERA), from_scores)
    half = right.astype(np.float16)
    assert_same(rank_embeddings(left, half, query, gallery, Exclusion.CAMERA), from_scores)


def test_embeddings_rank_the_same_for_any_budget_and_gallery_order() -> None:
    rng = np.random.default_rng(2)
    left, right = embeddings(rng, 270), embeddings(rng, 1300)
    right[::2] = right[1::2]  # every item has a twin elsewhere, tied only if both round alike
    query, gallery = labels(rng, 270, 20), labels(rng, 1300, 20)
    full = rank_embeddings(left, right, query, gallery, Exclusion.CAMERA)
    assert (full.size % 2 == 0).mean() > 0.8
    assert_same(rank_embeddings(left, right, query, gallery, Exclusion.CAMERA, memory_budget=10**5), full)
    order = rng.permutation(1300)
    permuted = rank_embeddings(left, right[order], query, gallery.take(order), Exclusion.CAMERA)
    assert_same(permuted, full)


def test_a_gallery_on_disk_ranks_as_one_in_memory_and_is_read_block_by_block(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    left = embeddings(rng, 40)
    np.save(tmp_path / "gallery.npy", rng.standard_normal((60_000, 33)).astype(np.float16))
    right = np.load(tmp_path / "gallery.npy")
    query, gallery = labels(rng, 40, 300), labels(rng, 60_000, 300)
    expected = rank_embeddings(left, right, query, gallery, Exclusion.CAMERA)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    tracemalloc.start()
    ranking = rank_embeddings(left, mapped, query, gallery, Exclusion.CAMERA, memory_budget=10**6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_same(ranking, expected)
    # The scores of all queries would be 9.6 MB. Labels take about a dozen integers an item while they are grouped;
    # tiles of 1,024 x 4,096 scores and what they are made of come on top.
    assert peak < 10**6 + 12 * 8 * 60_000 + 30_000_000


def test_embeddings_must_fit_each_other_and_the_labels() -> None:
    rng = np.random.default_rng(3)
    query, gallery = labels(rng, 2, 2), labels(rng, 3, 2)
    with pytest.raises(ValueError, match="no inner product"):
        rank_embeddings(embeddings(rng, 2, 4), embeddings(rng, 3, 5), query, gallery, Exclusion.NONE)
    with pytest.raises(ValueError, match="do not fit"):
        rank_embeddings(embeddings(rng, 2), embeddings(rng, 2), query, gallery, Exclusion.NONE)


def test_non_finite_embedding_names_query_and_item() -> None:
    rng = np.random.default_rng(4)
    left, right = embeddings(rng, 2), embeddings(rng, 1030)
    right[1027, 0] = np.nan
    with pytest.raises(NonFiniteScoreError, match="query 0 with gallery item 1027"):
        rank_embeddings(left, right, labels(rng, 2, 2), labels(rng, 1030, 2), Exclusion.NONE)


@pytest.mark.parametrize("threads", [1, 3, 16])
def test_the_number_of_processors_does_not_show(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    rng = np.random.default_rng(12)
    query, gallery = labels(rng, 700, 9, 3), labels(rng, 90, 9, 3)
    scores = rng.integers(40, size=(700, 90)).astype(np.float32)
    by_items = rank(scores, query, gallery, Exclusion.CAMERA)
    by_identities = rank(scores, query, gallery, Exclusion.CAMERA, cmc="identities")
    monkeypatch.setattr(ranking, "_processors", lambda: threads)
    assert_same(rank(scores, query, gallery, Exclusion.CAMERA), by_items)
    assert_same(rank(scores, query, gallery, Exclusion.CAMERA, cmc="identities"), by_identities)
    scores[300, 7], scores[650, 2] = np.nan, np.inf
    with pytest.raises(NonFiniteScoreError, match="query 300 with gallery item 7"):
        rank(scores, query, gallery, Exclusion.CAMERA)
