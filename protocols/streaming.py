"""Exact search and exact ranking in galleries larger than memory.

The gallery is read once, block after block; every block is scored against all queries and handed to collectors.
Results equal those of ranking in memory, and memory stays bounded however long the gallery is.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import FloatArray
from protocols.exclusion import Exclusion, Labels
from protocols.positive_counter import PositiveCounter
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from protocols.relevance import Relevance
from protocols.scoring import TILE_GALLERY, check_embeddings, check_finite, check_labelled, inner_products
from protocols.tie_groups import Ranking
from protocols.top_k import TopK, TopKCollector

__all__ = ["Progress", "TopK", "rank_streaming", "search_and_rank", "top_k"]

Progress: TypeAlias = Callable[[int], object]
"""Called with the number of gallery items just dealt with."""

_MOST_COLUMNS = 2**16
_COLUMN_BYTES = 64
"""What a gallery item of a block takes apart from its scores: its places in index, keys and masks."""


class _Collector(Protocol):
    """Takes in blocks of scores in the order of the gallery and leaves them as they are."""

    def add(self, start: int, scores: NDArray[np.float32]) -> None:
        """Take in the ``(nq, columns)`` scores of the gallery items from ``start`` on."""


def top_k(
    query: FloatArray,
    gallery: FloatArray,
    k: int,
    *,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    progress: Progress | None = None,
) -> TopK:
    """Return the k gallery items with the highest inner product for each query, or all if there are fewer.

    Args:
        query: ``(nq, E)`` embeddings.
        gallery: ``(ng, E)`` embeddings, float16 or float32, usually memory-mapped.
        k: items wanted, at least 1.
        memory_budget: bytes for everything that grows with a block of the gallery; one tile is always taken, and
            those of one matrix product come on top.
        progress: told of each block.

    Raises:
        NonFiniteScoreError: for a NaN or infinite inner product.
        ValueError: when the shapes do not fit or k is below 1.
    """
    check_embeddings(query, gallery)
    collector = _top_k_collector(query, gallery, k)
    _scan(query, gallery, [collector], memory_budget, progress)
    return collector.result()


def rank_streaming(
    query_embeddings: FloatArray,
    gallery_embeddings: FloatArray,
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    *,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    progress: Progress | None = None,
) -> Ranking:
    """Rank as ``protocols.ranking.rank_embeddings`` does, bit for bit, reading the gallery block by block.

    Apart from the budget, memory holds the result and 20 bytes for each (query, positive) pair. The gallery items
    of the queries' identities are read once more, beforehand.

    Args:
        query_embeddings: ``(nq, E)``.
        gallery_embeddings: ``(ng, E)``, float16 or float32, usually memory-mapped.
        query: labels of the nq queries.
        gallery: labels of the ng gallery items.
        exclusion: which gallery items a query must not see.
        memory_budget: bytes for everything that grows with a block of the gallery; one tile is always taken, and
            those of one matrix product come on top.
        progress: told of each block.

    Raises:
        NonFiniteScoreError: for a NaN or infinite inner product.
        ValueError: when the shapes do not fit each other or the labels.
    """
    collector = _counter(query_embeddings, gallery_embeddings, query, gallery, exclusion)
    _scan(query_embeddings, gallery_embeddings, [collector], memory_budget, progress)
    return collector.result()


def search_and_rank(
    query_embeddings: FloatArray,
    gallery_embeddings: FloatArray,
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    k: int,
    *,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    progress: Progress | None = None,
) -> tuple[TopK, Ranking]:
    """Do ``top_k``, which knows no exclusion, and ``rank_streaming`` in one pass over the gallery."""
    counter = _counter(query_embeddings, gallery_embeddings, query, gallery, exclusion)
    best = _top_k_collector(query_embeddings, gallery_embeddings, k)
    _scan(query_embeddings, gallery_embeddings, [best, counter], memory_budget, progress)
    return best.result(), counter.result()


def _top_k_collector(query: FloatArray, gallery: FloatArray, k: int) -> TopKCollector:
    if k < 1:
        raise ValueError(f"the number of items wanted must be at least 1, not {k}")
    return TopKCollector(len(query), min(k, len(gallery)))


def _counter(
    query_embeddings: FloatArray, gallery_embeddings: FloatArray, query: Labels, gallery: Labels, exclusion: Exclusion
) -> PositiveCounter:
    check_labelled(query_embeddings, gallery_embeddings, query, gallery)
    return PositiveCounter(query_embeddings, gallery_embeddings, Relevance(query, gallery, exclusion))


def _scan(
    query: FloatArray,
    gallery: FloatArray,
    collectors: Sequence[_Collector],
    memory_budget: int,
    progress: Progress | None,
) -> None:
    """Score the gallery block by block, in whole tiles, and hand each block to the collectors."""
    affordable = memory_budget // (len(query) * np.dtype(np.float32).itemsize + _COLUMN_BYTES)
    columns = max(min(affordable, _MOST_COLUMNS) // TILE_GALLERY, 1) * TILE_GALLERY
    buffer = np.empty((len(query), min(columns, len(gallery))), dtype=np.float32)
    for start in range(0, len(gallery), columns):
        block = gallery[start : start + columns]
        scores = buffer[:, : len(block)]
        inner_products(query, block, out=scores)
        check_finite(scores, first_gallery=start)
        for collector in collectors:
            collector.add(start, scores)
        if progress is not None:
            progress(len(block))
