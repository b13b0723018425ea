"""Which gallery items share a query's identity, and which of those the query must not see."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts
from protocols.exclusion import Exclusion, Labels


class IdentityIndex:
    """Items grouped by identity.

    Attributes:
        order: ``(n,)`` item numbers, sorted by identity, ascending within one.
    """

    def __init__(self, identity: Counts) -> None:
        self.order: Counts = np.argsort(identity, kind="stable").astype(np.int64, copy=False)
        self._sorted = identity[self.order]

    def spans(self, identity: Counts) -> tuple[Counts, Counts]:
        """Return, for each identity asked, the first place and the place after the last in ``order``."""
        first = np.searchsorted(self._sorted, identity, side="left")
        last = np.searchsorted(self._sorted, identity, side="right")
        return first.astype(np.int64, copy=False), last.astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The (query, gallery item) pairs of one identity for a range of queries, ordered by query.

    Attributes:
        query: ``(pairs,)`` query, counted from the first of the range.
        gallery: ``(pairs,)`` gallery item.
        excluded: ``(pairs,)`` True where the query must not see the item; the others are its positives.
    """

    query: Counts
    gallery: Counts
    excluded: NDArray[np.bool_]


class Relevance:
    """Positives and excluded items of every query, found through groups rather than by comparing all pairs.

    Attributes:
        query: labels of the nq queries.
        gallery: labels of the ng gallery items.
        index: the gallery by identity.
        same_identity: ``(nq,)`` gallery items that share the query's identity, excluded ones counted in.
    """

    def __init__(self, query: Labels, gallery: Labels, exclusion: Exclusion) -> None:
        self.query, self.gallery = query, gallery
        self._query_attribute = exclusion.attribute(query)
        self._gallery_attribute = exclusion.attribute(gallery)
        self.index = IdentityIndex(gallery.identity)
        self._first, last = self.index.spans(query.identity)
        self.same_identity: Counts = last - self._first

    @cached_property
    def excluded_counts(self) -> Counts:
        """``(nq,)`` gallery items that each query must not see."""
        if self._query_attribute is None or self._gallery_attribute is None:
            return np.zeros(len(self.query), dtype=np.int64)
        identity = np.concatenate([self.query.identity, self.gallery.identity])
        attribute = np.concatenate([self._query_attribute, self._gallery_attribute])
        _, attribute_code = np.unique(attribute, return_inverse=True)
        _, identity_code = np.unique(identity, return_inverse=True)
        _, code = np.unique(identity_code * (attribute_code.max(initial=0) + 1) + attribute_code, return_inverse=True)
        asked, offered = code[: len(self.query)], code[len(self.query) :]
        return np.bincount(offered, minlength=code.max(initial=0) + 1)[asked]

    @property
    def items(self) -> Counts:
        """``(nq,)`` valid gallery items."""
        return len(self.gallery) - self.excluded_counts

    @property
    def positives(self) -> Counts:
        """``(nq,)`` valid positives."""
        return self.same_identity - self.excluded_counts

    def pairs(self, start: int, stop: int) -> Pairs:
        """Return the same-identity pairs of the queries ``start`` to ``stop - 1``."""
        counts = self.same_identity[start:stop]
        rows = np.repeat(np.arange(stop - start), counts)
        shift = self._first[start:stop] - (np.cumsum(counts) - counts)
        places = np.repeat(shift, counts)
        places += np.arange(len(places))
        items = self.index.order[places]
        return Pairs(rows, items, self.excluded(rows + start, items))

    def excluded(self, queries: Counts, items: Counts) -> NDArray[np.bool_]:
        """Tell for same-identity pairs, given by query and gallery item, whether the query must not see the item."""
        if self._query_attribute is None or self._gallery_attribute is None:
            return np.zeros(np.broadcast_shapes(queries.shape, items.shape), dtype=np.bool_)
        hidden: NDArray[np.bool_] = self._query_attribute[queries] == self._gallery_attribute[items]
        return hidden
