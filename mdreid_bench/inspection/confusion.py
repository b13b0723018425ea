"""The pairs of identities that are confused most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.inspection.compared import Compared, Kind
from protocols.arrays import Counts
from protocols.relevance import IdentityIndex

MOST = 8
"""Pairs that are shown."""


@dataclass(frozen=True)
class ConfusedPair:
    """Two identities, and how often one stands before the other's own items.

    Attributes:
        identities: the two, the smaller label first.
        confused: queries of either to which some item of the other is at least as similar as the best right one.
        queries: queries of both that have a positive.
        query: place of the query of the example.
        gallery: place of the wrong item that is most similar to any query of the two.
        similarity: of the example.
    """

    identities: tuple[int, int]
    confused: int
    queries: int
    query: int
    gallery: int
    similarity: float


def most_confused(compared: Compared, most: int = MOST) -> list[ConfusedPair]:
    """Return the pairs that most queries confuse, most first; of equal ones, the smaller labels first.

    Excluded items and queries without a positive play no part.
    """
    asked = np.unique(compared.asked.identity)
    index = IdentityIndex(compared.offered.identity)
    counts = np.zeros((len(asked), len(index.identities)), dtype=np.int32)
    for places in compared.chunks():
        rows = np.searchsorted(asked, compared.asked.identity[places])
        ahead = _ahead(compared, places, index)
        for row in np.unique(rows):
            counts[row] += ahead[rows == row].sum(axis=0, dtype=np.int32)
    rows, columns = np.nonzero(counts)
    one, other = asked[rows], index.identities[columns]
    pairs = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=1)
    distinct, place = np.unique(pairs, axis=0, return_inverse=True)
    totals = np.bincount(place.reshape(-1), weights=counts[rows, columns], minlength=len(distinct))
    order = np.argsort(-totals, kind="stable")[:most]
    chosen = [(int(one), int(other)) for one, other in distinct[order]]
    return [_pair(compared, pair, int(total)) for pair, total in zip(chosen, totals[order], strict=True)]


def _ahead(compared: Compared, places: Counts, index: IdentityIndex) -> NDArray[np.bool_]:
    """Tell which other identities have an item at least as similar to a query as its best right one, (q, g)."""
    scores = compared.similarities(places)
    scores[compared.kinds(places) == Kind.EXCLUDED] = -np.inf
    best = np.maximum.reduceat(scores[:, index.order], index.starts, axis=1)
    identity = compared.asked.identity[places]
    own = np.minimum(np.searchsorted(index.identities, identity), len(index.identities) - 1)
    there = index.identities[own] == identity
    right = np.where(there, best[np.arange(len(places)), own], -np.inf)
    ahead: NDArray[np.bool_] = (best >= right[:, None]) & np.isfinite(best) & np.isfinite(right)[:, None]
    ahead[there, own[there]] = False
    return ahead


def _pair(compared: Compared, identities: tuple[int, int], confused: int) -> ConfusedPair:
    """Count the queries of two identities and find the wrong pair that is most alike, the first of equal ones."""
    queries = np.flatnonzero(np.isin(compared.asked.identity, identities) & compared.measured.valid)
    items = np.flatnonzero(np.isin(compared.offered.identity, identities))
    best = (-np.inf, -1, -1)
    for places in compared.chunks():
        own = places[np.isin(places, queries)]
        if len(own):
            scores = compared.similarities(own)[:, items]
            scores[compared.kinds(own)[:, items] != Kind.WRONG] = -np.inf
            row, column = np.unravel_index(scores.argmax(), scores.shape)
            best = max(best, (float(scores[row, column]), -int(own[row]), -int(items[column])))
    return ConfusedPair(identities, confused, len(queries), -best[1], -best[2], best[0])
