"""Exact ranks of positives, counted while blocks of the gallery pass once."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, FloatArray
from protocols.relevance import IdentityIndex, Relevance
from protocols.scoring import TILE_GALLERY, TILE_QUERIES, inner_products, release_pages
from protocols.tie_groups import Ranking


class PositiveCounter:
    """Counts, for each positive of each query, the valid items above it and those tied with it.

    The scores of the positives are computed beforehand, once; they are compared with each other and with the scores
    of the items of other identities in the blocks. No pair is ever scored twice, so a positive cannot be found above
    or below itself, whatever the rounding of a matrix product.

    Besides the block at hand this holds 20 bytes for each (query, positive) pair.
    """

    def __init__(self, query: FloatArray, gallery: FloatArray, relevance: Relevance) -> None:
        self._relevance = relevance
        self._borders = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(relevance.positives)])
        self._keys = _negated_positive_scores(query, gallery, relevance, self._borders)
        for _, own in self._slices():
            self._keys[own].sort()
        self._above = np.zeros(len(self._keys), dtype=np.int64)
        self._at_least = np.zeros(len(self._keys), dtype=np.int64)

    def add(self, start: int, scores: NDArray[np.float32]) -> None:
        """Take in the ``(nq, columns)`` scores of the gallery items from ``start`` on."""
        index = IdentityIndex(self._relevance.gallery.identity[start : start + scores.shape[1]])
        first, last = index.spans(self._relevance.query.identity)
        keys = np.empty(scores.shape[1], dtype=np.float32)
        for row, own in self._slices():
            wanted = self._keys[own]
            np.negative(scores[row], out=keys)
            keys[index.order[first[row] : last[row]]] = np.inf
            rivals = keys[keys <= wanted[-1]]
            rivals.sort()
            self._above[own] += rivals.searchsorted(wanted)
            self._at_least[own] += rivals.searchsorted(wanted, side="right")

    def result(self) -> Ranking:
        """Return the ranking, once every block has passed."""
        above, at_least = self._above.copy(), self._at_least.copy()
        for _, own in self._slices():
            wanted = self._keys[own]
            above[own] += wanted.searchsorted(wanted)
            at_least[own] += wanted.searchsorted(wanted, side="right")
        query = np.repeat(np.arange(len(self._relevance.query)), np.diff(self._borders))
        return Ranking.from_positives(self._relevance.items, query, above, at_least)

    def _slices(self) -> list[tuple[int, slice]]:
        """Return the queries that have positives, each with the place of those in the flat arrays."""
        borders = self._borders.tolist()
        return [(row, slice(a, b)) for row, (a, b) in enumerate(pairwise(borders)) if b > a]


def _negated_positive_scores(
    query: FloatArray, gallery: FloatArray, relevance: Relevance, borders: Counts
) -> NDArray[np.float32]:
    """Score the positives alone: only tiles in which queries and gallery items of the same identities meet."""
    result = np.empty(int(borders[-1]), dtype=np.float32)
    cursor = borders[:-1].copy()
    queries = IdentityIndex(relevance.query.identity)
    order = relevance.index.order
    offered = order[np.isin(relevance.gallery.identity[order], relevance.query.identity)]
    block = np.empty((TILE_QUERIES, TILE_GALLERY), dtype=np.float32)
    for start in range(0, len(offered), TILE_GALLERY):
        items = offered[start : start + TILE_GALLERY]
        identity = relevance.gallery.identity[items]
        embeddings = gallery[items]
        release_pages(gallery)
        first, last = queries.spans(identity)
        for place in range(int(first[0]), int(last[-1]), TILE_QUERIES):
            asked = queries.order[place : min(place + TILE_QUERIES, int(last[-1]))]
            scores = block[: len(asked), : len(items)]
            inner_products(query[asked], embeddings, out=scores)
            wanted = relevance.query.identity[asked, None] == identity
            wanted &= ~relevance.excluded(asked[:, None], items[None, :])
            counts = wanted.sum(axis=1)
            places = np.repeat(cursor[asked] - (np.cumsum(counts) - counts), counts)
            result[places + np.arange(len(places))] = -scores[wanted]
            cursor[asked] += counts
    return result
