"""Which gallery items share a query's identity, and which of those the query must not see."""

from collections.abc import Iterator
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
        identities: ``(identities,)`` all that there are, ascending.
        starts: ``(identities,)`` the first place of each of them in ``order``.
    """

    def __init__(self, identity: Counts) -> None:
        self.order: Counts = np.argsort(identity, kind="stable").astype(np.int64, copy=False)
        self._sorted = identity[self.order]
        self.identities, self.starts = np.unique(self._sorted, return_index=True)

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
        self.query, self.gallery, self.exclusion = query, gallery, exclusion
        self._query_attribute = exclusion.attribute(query)
        self._gallery_attribute = exclusion.attribute(gallery)
        asked, self._asked = np.unique(query.camera, return_inverse=True)
        offered, self._offered = np.unique(gallery.camera, return_inverse=True)
        self._hides = exclusion.hides(asked, offered)
        self.index = IdentityIndex(gallery.identity)
        self._first, last = self.index.spans(query.identity)
        self.same_identity: Counts = last - self._first

    @property
    def items(self) -> Counts:
        """``(nq,)`` valid gallery items."""
        return self._counts[0]

    @property
    def positives(self) -> Counts:
        """``(nq,)`` valid positives."""
        return self._counts[1]

    @cached_property
    def _counts(self) -> tuple[Counts, Counts]:
        """Count the valid items and the positives of each query."""
        items, positives = np.zeros((2, len(self.query)), dtype=np.int64)
        for rows, seen in self.views():
            first, last = IdentityIndex(self.gallery.identity[seen]).spans(self.query.identity[rows])
            shared = self._sharing(rows, seen)
            items[rows] = len(seen) - shared
            positives[rows] = last - first - shared
        return items, positives

    def views(self) -> Iterator[tuple[Counts, Counts]]:
        """Yield each group of queries that see the same cameras, and the gallery items of those cameras."""
        everything = np.arange(len(self.gallery))
        yield np.flatnonzero(~self._hides[self._asked].any(axis=1)), everything
        for rows, hidden in self.hidden(0, len(self.query)):
            yield rows, np.delete(everything, hidden)

    def _sharing(self, queries: Counts, items: Counts) -> Counts:
        """Count, for each of the queries, those items that share its identity and the attribute that must differ."""
        if self._query_attribute is None or self._gallery_attribute is None:
            return np.zeros(len(queries), dtype=np.int64)
        identity = np.concatenate([self.query.identity[queries], self.gallery.identity[items]])
        attribute = np.concatenate([self._query_attribute[queries], self._gallery_attribute[items]])
        _, attribute_code = np.unique(attribute, return_inverse=True)
        _, identity_code = np.unique(identity, return_inverse=True)
        _, code = np.unique(identity_code * (attribute_code.max(initial=0) + 1) + attribute_code, return_inverse=True)
        asked, offered = code[: len(queries)], code[len(queries) :]
        return np.bincount(offered, minlength=code.max(initial=0) + 1)[asked]

    def pairs(self, start: int, stop: int) -> Pairs:
        """Return the same-identity pairs of the queries ``start`` to ``stop - 1``."""
        counts = self.same_identity[start:stop]
        rows = np.repeat(np.arange(stop - start), counts)
        shift = self._first[start:stop] - (np.cumsum(counts) - counts)
        places = np.repeat(shift, counts)
        places += np.arange(len(places))
        items = self.index.order[places]
        return Pairs(rows, items, self._excluded(rows + start, items))

    def _excluded(self, queries: Counts, items: Counts) -> NDArray[np.bool_]:
        """Tell for same-identity pairs, given by query and gallery item, whether the query must not see the item."""
        hidden: NDArray[np.bool_] = np.zeros(len(queries), dtype=np.bool_)
        if self._query_attribute is not None and self._gallery_attribute is not None:
            hidden = self._query_attribute[queries] == self._gallery_attribute[items]
        if self.exclusion.hidden:
            hidden |= self._hides[self._asked[queries], self._offered[items]]
        return hidden

    def hidden(self, start: int, stop: int) -> Iterator[tuple[Counts, Counts]]:
        """Yield which queries, counted from ``start``, must not see which items for their cameras' sake."""
        for camera in np.flatnonzero(self._hides.any(axis=1)).tolist():
            rows = np.flatnonzero(self._asked[start:stop] == camera)
            yield rows, np.flatnonzero(self._hides[camera][self._offered])
