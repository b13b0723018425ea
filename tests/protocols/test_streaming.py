import tracemalloc
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.exclusion import Exclusion, Labels
from protocols.ranking import NonFiniteScoreError, rank_embeddings
from protocols.scoring import release_pages
from protocols.streaming import rank_streaming, search_and_rank, top_k
from tests.protocols.cases import assert_same, labels

SMALL = 10**5
"""A budget that allows one tile at a time."""


class Problem:
    """Embeddings with duplicates: every fifth gallery item is a copy of a query or of another item."""

    def __init__(
        self, path: Path, queries: int = 70, items: int = 3500, width: int = 48, kind: type = np.float16
    ) -> None:
        rng = np.random.default_rng(0)
        self.query_embeddings = rng.standard_normal((queries, width)).astype(kind).astype(np.float32)
        gallery: NDArray[Any] = rng.standard_normal((items, width)).astype(kind)
        gallery[::10] = self.query_embeddings[rng.integers(queries, size=len(gallery[::10]))]
        gallery[5::10] = gallery[rng.integers(items, size=len(gallery[5::10]))]
        np.save(path / "gallery.npy", gallery)
        self.gallery_embeddings: NDArray[Any] = np.load(path / "gallery.npy", mmap_mode="r")
        self.query, self.gallery = labels(rng, queries, 40), labels(rng, items, 60)

    @property
    def arguments(self) -> tuple[NDArray[Any], NDArray[Any], Labels, Labels, Exclusion]:
        return self.query_embeddings, self.gallery_embeddings, self.query, self.gallery, Exclusion.CAMERA


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return Problem(tmp_path_factory.mktemp("streaming"))


@pytest.mark.parametrize("budget", [SMALL, 2**20, 2**30])
def test_ranking_equals_that_in_memory_bit_for_bit(problem: Problem, budget: int) -> None:
    expected = rank_embeddings(*problem.arguments)
    assert expected.tied_positives.sum() > 20
    assert_same(rank_streaming(*problem.arguments, memory_budget=budget), expected)


@pytest.mark.parametrize("exclusion", Exclusion)
def test_every_exclusion_in_float32(tmp_path: Path, exclusion: Exclusion) -> None:
    problem = Problem(tmp_path, queries=300, items=1500, kind=np.float32)
    arguments = (*problem.arguments[:4], exclusion)
    assert_same(rank_streaming(*arguments, memory_budget=SMALL), rank_embeddings(*arguments))


def test_gallery_of_one_identity_and_queries_without_positives() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((9, 5)).astype(np.float32), rng.standard_normal((2100, 5)).astype(np.float32)
    query, gallery = labels(rng, 9, 3), labels(rng, 2100, 1)
    arguments = (left, right, query, gallery, Exclusion.CAMERA)
    ranking = rank_streaming(*arguments, memory_budget=SMALL)
    assert_same(ranking, rank_embeddings(*arguments))
    assert ranking.valid.tolist() == (query.identity == 0).tolist()


def naive_top_k(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    return np.array([sorted(range(len(row)), key=lambda item: (-row[item], item))[:k] for row in scores.tolist()])


@pytest.mark.parametrize("k", [1, 7, 2000])
@pytest.mark.parametrize("budget", [SMALL, 2**30])
def test_top_k_prefers_the_lower_number_among_equals(k: int, budget: int) -> None:
    rng = np.random.default_rng(2)
    left = rng.integers(-1, 2, size=(6, 4)).astype(np.float32)
    right = rng.integers(-1, 2, size=(2500, 4)).astype(np.float16)
    exact = left @ right.astype(np.float32).T
    found = top_k(left, right, k, memory_budget=budget)
    np.testing.assert_array_equal(found.indices, naive_top_k(exact, k))
    np.testing.assert_array_equal(found.scores, np.take_along_axis(exact, found.indices, axis=1))


def test_top_k_of_a_constant_scorer_is_the_first_k() -> None:
    found = top_k(np.zeros((3, 2), np.float32), np.ones((1500, 2), np.float32), 4, memory_budget=0)
    assert found.indices.tolist() == [[0, 1, 2, 3]] * 3


def test_top_k_of_fewer_items_gives_all() -> None:
    found = top_k(np.ones((1, 1), np.float32), np.array([[1.0], [3.0], [2.0]], np.float32), 10)
    assert (found.indices.tolist(), found.scores.tolist()) == ([[1, 2, 0]], [[3.0, 2.0, 1.0]])
    assert top_k(np.ones((2, 1), np.float32), np.ones((0, 1), np.float32), 3).indices.shape == (2, 0)


def test_one_pass_gives_both_and_reports_progress(problem: Problem) -> None:
    seen: list[int] = []
    best, ranking = search_and_rank(*problem.arguments, 5, memory_budget=SMALL, progress=seen.append)
    assert_same(ranking, rank_embeddings(*problem.arguments))
    alone = top_k(problem.query_embeddings, problem.gallery_embeddings, 5)
    np.testing.assert_array_equal(best.indices, alone.indices)
    assert seen == [1024, 1024, 1024, 428]


def test_memory_does_not_grow_with_the_gallery() -> None:
    rng = np.random.default_rng(5)
    query_embeddings = rng.standard_normal((200, 8)).astype(np.float32)
    query, peaks = labels(rng, 200, 4), []
    for items in (20_000, 80_000):
        gallery_embeddings = rng.standard_normal((items, 8)).astype(np.float16)
        gallery = labels(rng, items, 4000)
        tracemalloc.start()
        search_and_rank(
            query_embeddings, gallery_embeddings, query, gallery, Exclusion.CAMERA, 10, memory_budget=2**21
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Labels grow with the gallery: about a dozen integers an item while they are grouped. The scores, 800 bytes
    # an item, must not.
    assert peaks[1] - peaks[0] < 12 * 8 * 60_000


def test_non_finite_score_names_the_item_of_the_whole_gallery(problem: Problem) -> None:
    broken = np.array(problem.gallery_embeddings)
    broken[3001, 2] = np.inf
    arguments = (problem.query_embeddings, broken, *problem.arguments[2:])
    with pytest.raises(NonFiniteScoreError, match="query 0 with gallery item 3001"):
        rank_streaming(*arguments, memory_budget=SMALL)


def test_bad_arguments(problem: Problem) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        top_k(problem.query_embeddings, problem.gallery_embeddings, 0)
    with pytest.raises(ValueError, match="no inner product"):
        top_k(problem.query_embeddings[:, 1:], problem.gallery_embeddings, 1)
    with pytest.raises(ValueError, match="do not fit"):
        rank_streaming(
            problem.query_embeddings, problem.gallery_embeddings, problem.gallery, problem.gallery, Exclusion.NONE
        )


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_releasing_pages_keeps_what_a_map_holds(tmp_path: Path, mode: Literal["r", "r+", "c"]) -> None:
    np.save(tmp_path / "map.npy", np.arange(6000.0))
    mapped = np.load(tmp_path / "map.npy", mmap_mode=mode)
    if mode != "r":
        mapped[1] = 7.0
    release_pages(mapped[10:])
    assert mapped[1] == (1.0 if mode == "r" else 7.0)
    assert mapped[5999] == 5999.0
