"""The ranks of the positives of each query, with ties kept as ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, Values
from protocols.rivals import Rivals


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where the positives of nq queries stand: all that the metrics need, and nothing of the gallery's order.

    Valid items that share a score form a tie group; the groups without a positive are dropped. The groups of query
    i are ``offsets[i]`` to ``offsets[i + 1] - 1``, best score first. A positive alone in its group, with ``above``
    items in front, has rank ``above + 1``.

    Attributes:
        items: ``(nq,)`` valid gallery items, that is, those not excluded for the query.
        offsets: ``(nq + 1,)`` borders between the groups of successive queries.
        above: ``(groups,)`` valid items with a strictly higher score.
        size: ``(groups,)`` valid items in the group, positives counted in.
        positives: ``(groups,)`` positives in the group, at least 1.
        rivals: which other identities stand before the best positive; None where items are counted, not identities.
    """

    items: Counts
    offsets: Counts
    above: Counts
    size: Counts
    positives: Counts
    rivals: Rivals | None = None

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def owner(self) -> Counts:
        """``(groups,)`` the query that each group belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def positives_above(self) -> Counts:
        """``(groups,)`` positives with a strictly higher score."""
        before = self._running(self.positives)
        return before[:-1] - before[self.offsets[self.owner]]

    @cached_property
    def positive_counts(self) -> Counts:
        """``(nq,)`` valid positives."""
        return self._sums(self.positives)

    @cached_property
    def tied_positives(self) -> Counts:
        """``(nq,)`` positives that share their score with another valid item."""
        return self._sums(np.where(self.size > 1, self.positives, 0))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """``(nq,)`` True for queries with at least one valid positive."""
        return self.offsets[1:] > self.offsets[:-1]

    @property
    def first(self) -> Counts:
        """``(valid queries,)`` the group of the best positive."""
        return self.offsets[:-1][self.valid]

    @property
    def last(self) -> Counts:
        """``(valid queries,)`` the group of the worst positive."""
        return self.offsets[1:][self.valid] - 1

    def spread(self, values: Values) -> Values:
        """Place one value per valid query into ``(nq,)``, with NaN for the others."""
        result = np.full(len(self), np.nan)
        result[self.valid] = values
        return result

    def mean_over_positives(self, contributions: Values) -> Values:
        """Sum ``(groups,)`` contributions within each query and divide by its positives, into ``(nq,)``."""
        sums = np.bincount(self.owner, weights=contributions, minlength=len(self))
        return self.spread(sums[self.valid] / self.positive_counts[self.valid])

    @classmethod
    def concatenate(cls, parts: Sequence["Ranking"]) -> "Ranking":
        """Join the rankings of successive queries."""
        empty = np.zeros(0, dtype=np.int64)
        groups = np.concatenate([empty, *(np.diff(part.offsets) for part in parts)])
        rivals = [part.rivals for part in parts if part.rivals is not None]
        return cls(
            items=np.concatenate([empty, *(part.items for part in parts)]),
            offsets=cls._running(groups),
            above=np.concatenate([empty, *(part.above for part in parts)]),
            size=np.concatenate([empty, *(part.size for part in parts)]),
            positives=np.concatenate([empty, *(part.positives for part in parts)]),
            rivals=Rivals.concatenate(rivals) if rivals else None,
        )

    @classmethod
    def from_positives(
        cls, items: Counts, query: Counts, above: Counts, at_least: Counts, rivals: Rivals | None
    ) -> "Ranking":
        """Group single positives by their tie.

        Args:
            items: ``(nq,)`` valid gallery items.
            query: ``(p,)`` the query of each positive, ascending.
            above: ``(p,)`` valid items with a higher score, ascending within a query.
            at_least: ``(p,)`` valid items with at least the positive's score, the positive itself counted in.
            rivals: of the queries, where identities are counted.
        """
        opens = np.ones(len(query), dtype=np.bool_)
        opens[1:] = (above[1:] != above[:-1]) | (query[1:] != query[:-1])
        starts = np.flatnonzero(opens)
        return cls(
            items=items,
            offsets=cls._running(np.bincount(query[starts], minlength=len(items))),
            above=above[starts],
            size=at_least[starts] - above[starts],
            positives=np.diff(starts, append=len(query)),
            rivals=rivals,
        )

    @staticmethod
    def _running(counts: Counts) -> Counts:
        """Return the sums of the first 0, 1, 2, ... counts."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])

    def _sums(self, counts: Counts) -> Counts:
        """Sum ``(groups,)`` counts within each query."""
        running = self._running(counts)
        return running[self.offsets[1:]] - running[self.offsets[:-1]]
