"""Where the best positive stands when every identity takes one place, that of its best gallery item."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.arrays import Counts, FloatArray
from protocols.exclusion import Exclusion, Labels
from protocols.relevance import Relevance


@dataclass(frozen=True, eq=False)
class Rivals:
    """The other identities that stand, or may stand, before the best positive of each of nq queries.

    Attributes:
        above: ``(nq,)`` other identities whose best valid item has a higher score than the best positive.
        offsets: ``(nq + 1,)`` borders between the tied identities of successive queries.
        tied: ``(identities,)`` for each other identity whose best valid item has the very score of the best positive:
            how many of its items have it.
    """

    above: Counts
    offsets: Counts
    tied: Counts

    @classmethod
    def of(cls, rows: Sequence[tuple[int, Counts]]) -> "Rivals":
        """Join the identities above and the tied counts of each query."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(
            above=np.array([above for above, _ in rows], dtype=np.int64),
            offsets=np.cumsum([0, *(len(tied) for _, tied in rows)], dtype=np.int64),
            tied=np.concatenate([empty, *(tied for _, tied in rows)]),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Rivals"]) -> "Rivals":
        """Join the rivals of successive queries."""
        return cls.of([row for part in parts for row in part.rows()])

    @classmethod
    def in_random_order(cls, query: Labels, gallery: Labels, exclusion: Exclusion) -> "Rivals":
        """Return the rivals when all scores are equal: every other identity, with all of its valid items."""
        relevance = Relevance(query, gallery, exclusion)
        identities, code = np.unique(gallery.identity, return_inverse=True)
        rows = [(0, np.zeros(0, dtype=np.int64))] * len(query)
        for queries, seen in relevance.views():
            counts = np.bincount(code[seen], minlength=len(identities))
            for row in queries[relevance.positives[queries] > 0].tolist():
                rows[row] = (0, counts[(counts > 0) & (identities != query.identity[row])])
        return cls.of(rows)

    def rows(self) -> list[tuple[int, Counts]]:
        """Return the identities above and the tied counts of each query."""
        tied = np.split(self.tied, self.offsets[1:-1]) if len(self.above) else []
        return list(zip(self.above.tolist(), tied, strict=True))


def rivals_of(keys: FloatArray, relevance: Relevance, start: int, query: Counts, wanted: FloatArray) -> Rivals:
    """Find the rivals of a chunk of queries.

    Args:
        keys: ``(rows, ng)`` negated scores, infinite for items that the query must not see.
        relevance: of all queries.
        start: number of the first query of the chunk.
        query: ``(positives,)`` the query of each positive, counted from the first of the chunk, ascending.
        wanted: ``(positives,)`` the key of each positive.
    """
    index = relevance.index
    best = np.full(len(keys), np.inf, dtype=keys.dtype)
    np.minimum.at(best, query, wanted)
    rows = [(0, np.zeros(0, dtype=np.int64))] * len(keys)
    for row in np.unique(query).tolist():
        values = keys[row, index.order]
        leading = np.minimum.reduceat(values, index.starts)
        tied = leading == best[row]
        tied &= index.identities != relevance.query.identity[start + row]
        counts = np.zeros(0, dtype=np.int64)
        if tied.any():
            counts = np.add.reduceat(values == best[row], index.starts, dtype=np.int64)[tied]
        rows[row] = (int(np.count_nonzero(leading < best[row])), counts)
    return Rivals.of(rows)
