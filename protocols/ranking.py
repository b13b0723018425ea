"""Ranks of the positives of every query, from a score matrix or from embeddings.

Values are sorted, never indices. Each chunk of queries holds its scores negated, so that the best come first; the
items a query must not see are moved behind all others; then one binary search per positive counts the valid items
above it, and a second one, where needed, those tied with it. Chunks are ranked side by side, one on each processor;
each query is ranked by itself, so neither their number nor that of the processors shows in the result.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, FloatArray
from protocols.calibration import Adjustment
from protocols.exclusion import Exclusion, Labels
from protocols.relevance import Relevance
from protocols.reranking import RerankedDistances, Reranking
from protocols.rivals import rivals_of
from protocols.scoring import TILE_QUERIES, NonFiniteScoreError, check_finite, check_labelled, inner_products
from protocols.tie_groups import Ranking

__all__ = ["DEFAULT_MEMORY_BUDGET", "NonFiniteScoreError", "Ranking", "rank", "rank_embeddings"]

DEFAULT_MEMORY_BUDGET = 2**30
"""Bytes, 1 GiB."""
_PAIR_BYTES = 128
"""What one same-identity pair takes at most while its chunk is ranked: indices, flags, counts and their copies."""

_CHUNK_QUERIES = TILE_QUERIES
"""Most queries in a chunk: larger ones are no faster to multiply, and sort slower for falling out of the cache."""
_SINGLE, _DOUBLE = 4, 8
"""Bytes of a score."""
_FEW_QUERIES = 32
"""Fewer queries than these do not pay for another thread."""
_MOST_THREADS = 16
"""More chunks at once would wait for memory."""

CMC = Literal["items", "identities"]
"""What takes a place in the cumulative matching characteristic: every gallery item, or every identity once."""
_Load = Callable[[int, int], FloatArray]
"""Returns the negated scores of a range of queries, which may be overwritten."""


def rank(
    scores: NDArray[Any],
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    *,
    cmc: CMC = "items",
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> Ranking:
    """Rank the positives of every query by a score matrix; the order of the gallery plays no part.

    Args:
        scores: ``(nq, ng)`` similarities, higher is better; floats are compared as they are, integers as float64.
        query: labels of the nq queries.
        gallery: labels of the ng gallery items.
        exclusion: which gallery items a query must not see.
        cmc: ``"identities"`` also finds the other identities before each best positive, as SYSU-MM01 counts them.
        memory_budget: bytes for everything that grows with a chunk of queries; one query is always taken.

    Raises:
        NonFiniteScoreError: for a NaN or infinite score, also one of an excluded item.
        ValueError: when the shape of the scores does not fit the labels.
    """
    if scores.shape != (len(query), len(gallery)):
        raise ValueError(f"scores of shape {scores.shape} do not fit {len(query)} queries x {len(gallery)} items")

    dtype = np.result_type(scores.dtype, np.float32)

    def load(start: int, stop: int) -> FloatArray:
        check_finite(scores[start:stop], first_query=start)
        keys: FloatArray = np.negative(scores[start:stop], dtype=dtype)
        return keys

    return _rank_chunks(load, dtype.itemsize, Relevance(query, gallery, exclusion), cmc, memory_budget)


def rank_embeddings(
    query_embeddings: FloatArray,
    gallery_embeddings: FloatArray,
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    *,
    cmc: CMC = "items",
    reranking: Reranking | None = None,
    adjustment: Adjustment | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> Ranking:
    """Rank by inner products, or by what re-ranking or an adjustment makes of them; see ``rank``.

    They are computed chunk by chunk, or at once where all of them take at most half of the memory budget. The gallery
    is read once for each chunk of queries, block by block, so a memory-mapped one may be larger than memory.

    Args:
        query_embeddings: ``(nq, E)``.
        gallery_embeddings: ``(ng, E)``; what exceeds the precision of float32 is rounded to it.
        query: labels of the nq queries.
        gallery: labels of the ng gallery items.
        exclusion: which gallery items a query must not see.
        cmc: see ``rank``.
        reranking: parameters of the k-reciprocal one; None ranks by the inner products themselves.
        adjustment: what becomes of the inner products, in float64, where there is no re-ranking; None leaves them.
        memory_budget: bytes for everything that grows with a chunk of queries; one query is always taken, and the
            tiles of one matrix product come on top.

    Raises:
        NonFiniteScoreError: for a NaN or infinite inner product.
        ValueError: when the shapes do not fit each other or the labels.
    """
    check_labelled(query_embeddings, gallery_embeddings, query, gallery)
    relevance = Relevance(query, gallery, exclusion)
    one_at_a_time = threading.Lock()  # a product keeps all processors busy by itself, and needs tiles
    if reranking is not None:
        distances = RerankedDistances(query_embeddings, gallery_embeddings, reranking, memory_budget // 2)

        def load_reranked(start: int, stop: int) -> FloatArray:
            with one_at_a_time:
                return distances.of(start, stop)

        return _rank_chunks(load_reranked, _DOUBLE, relevance, cmc, memory_budget // 2)

    def multiplied(start: int, stop: int) -> NDArray[np.float32]:
        scores = np.empty((stop - start, len(gallery)), dtype=np.float32)
        with one_at_a_time:
            inner_products(query_embeddings[start:stop], gallery_embeddings, out=scores)
        return scores

    if adjustment is not None:

        def load_adjusted(start: int, stop: int) -> FloatArray:
            scores, keys = multiplied(start, stop), np.empty((stop - start, len(gallery)), dtype=np.float64)
            check_finite(scores, first_query=start)
            adjustment(start, stop, scores, keys)
            return np.negative(keys, out=keys)

        return _rank_chunks(load_adjusted, _DOUBLE, relevance, cmc, memory_budget // 2)
    total = len(query) * len(gallery) * _SINGLE
    everything = multiplied(0, len(query)) if 2 * total <= memory_budget else None

    def load(start: int, stop: int) -> FloatArray:
        keys = multiplied(start, stop) if everything is None else everything[start:stop]
        check_finite(keys, first_query=start)
        return np.negative(keys, out=keys)

    return _rank_chunks(load, _SINGLE, relevance, cmc, memory_budget - (0 if everything is None else total))


def _rank_chunks(load: _Load, itemsize: int, relevance: Relevance, cmc: CMC, memory_budget: int) -> Ranking:
    """Rank chunk after chunk, as many at once as there are processors; ``load`` is called for each of them."""
    queries = len(relevance.query)
    threads = max(1, min(_processors(), _MOST_THREADS, queries // _FEW_QUERIES))
    cost = len(relevance.gallery) * itemsize + relevance.same_identity * _PAIR_BYTES
    most = min(_CHUNK_QUERIES, -(-queries // threads))
    chunks = list(_chunks(cost, memory_budget // threads, most))
    _ = relevance.items  # worked out once, before they all ask for it

    def ranked(chunk: tuple[int, int]) -> Ranking:
        return _rank_keys(load(*chunk), relevance, *chunk, cmc)

    if threads == 1:
        return Ranking.concatenate(list(map(ranked, chunks)))
    with ThreadPoolExecutor(threads) as pool:
        return Ranking.concatenate(list(pool.map(ranked, chunks)))


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chunks(cost: Counts, budget: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut queries of given costs in bytes into ranges within the budget, of so many queries at most."""
    total = np.concatenate([[0], np.cumsum(cost)])
    start = 0
    while start < len(cost):
        fitting = int(np.searchsorted(total, total[start] + budget, side="right")) - 1
        stop = max(min(fitting, start + most), start + 1)
        yield start, stop
        start = stop


def _rank_keys(keys: FloatArray, relevance: Relevance, start: int, stop: int, cmc: CMC) -> Ranking:
    """Rank a chunk of queries by their negated scores, which are overwritten."""
    pairs = relevance.pairs(start, stop)
    hidden = pairs.excluded
    seen = ~hidden
    query = pairs.query[seen]
    wanted = keys[query, pairs.gallery[seen]]
    keys[pairs.query[hidden], pairs.gallery[hidden]] = np.inf
    for rows, columns in relevance.hidden(start, stop):
        keys[np.ix_(rows, columns)] = np.inf
    rivals = rivals_of(keys, relevance, start, query, wanted) if cmc == "identities" else None
    keys.sort(axis=1)
    borders = np.searchsorted(query, np.arange(len(keys) + 1)).tolist()
    above = np.empty(len(query), dtype=np.int64)
    for row, (first, last) in enumerate(pairwise(borders)):
        values = wanted[first:last]
        values.sort()
        above[first:last] = keys[row].searchsorted(values)
    at_least = _at_least(keys, query, wanted, above, borders)
    return Ranking.from_positives(relevance.items[start:stop], query, above, at_least, rivals)


def _at_least(keys: FloatArray, query: Counts, wanted: FloatArray, above: Counts, borders: list[int]) -> Counts:
    """Count the items not worse than each positive; only rows in which the next key is equal are searched again."""
    at_least = above + 1
    following = np.minimum(at_least, keys.shape[1] - 1)
    tied = keys[query, following] == wanted
    for row in np.unique(query[tied]).tolist():
        chosen = slice(borders[row], borders[row + 1])
        at_least[chosen] = keys[row].searchsorted(wanted[chosen], side="right")
    return at_least
