"""Ranked lists, and whose to look at: queries from best to worst, the worst failures, the most typical ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdreid_bench.inspection.compared import Compared, Kind
from protocols.arrays import Counts, Values

DEPTH = 10
"""Ranks of a list that are shown."""
MOST_EXCLUDED = 3
"""Excluded items of a list that are shown."""


@dataclass(frozen=True)
class Entry:
    """A gallery item in a list.

    Attributes:
        place: in the gallery.
        kind: what it is to the query.
        similarity: to the query.
        rank: from 1, among the items that are not excluded; None for one that is.
    """

    place: int
    kind: Kind
    similarity: float
    rank: int | None


@dataclass(frozen=True)
class RankedList:
    """The first ranks of a query, and the excluded items among them.

    Attributes:
        place: of the query.
        entries: by falling similarity; of equal ones, the earlier name first.
        left_out: excluded items that stand among these but are not shown.
    """

    place: int
    entries: tuple[Entry, ...]
    left_out: int


def ranked_list(compared: Compared, place: int, depth: int = DEPTH) -> RankedList:
    """Return the list of a query, up to its ``depth``-th item that is not excluded.

    Excluded items that stand before that one are shown in their place, at most :data:`MOST_EXCLUDED` of them.
    """
    scores, kinds = compared.similarities(np.array([place]))[0], compared.kinds(np.array([place]))[0]
    order = np.lexsort((compared.names, -scores))
    valid = kinds[order] != Kind.EXCLUDED
    ranks = np.cumsum(valid)
    last = int(np.flatnonzero(valid & (ranks <= depth)).max(initial=-1)) + 1
    entries, left_out, excluded = [], 0, 0
    for at, rank, counts in zip(order[:last].tolist(), ranks[:last].tolist(), valid[:last].tolist(), strict=True):
        excluded += not counts
        if counts or excluded <= MOST_EXCLUDED:
            entries.append(Entry(at, Kind(int(kinds[at])), float(scores[at]), rank if counts else None))
        else:
            left_out += 1
    return RankedList(place, tuple(entries), left_out)


def failures(compared: Compared) -> Counts:
    """Return the places of the failed queries: their first item is not right, or ties with one that is not."""
    return np.flatnonzero(compared.measured.valid & (compared.measured.rank1 < 1))


def from_best_to_worst(compared: Compared, count: int) -> list[int]:
    """Return queries that are evenly spaced in the order of their average precision, best first."""
    places = np.flatnonzero(compared.measured.valid)
    ordered = _by(compared, places, -compared.measured.ap[places])
    return _unique(ordered[np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(np.int64)])


def worst(compared: Compared, count: int) -> list[int]:
    """Return the failures with the lowest average precision, lowest first."""
    places = failures(compared)
    return _unique(_by(compared, places, compared.measured.ap[places])[:count])


def most_typical(compared: Compared, count: int) -> list[int]:
    """Return the failures whose average precision is nearest to the median of all failures, nearest first."""
    places = failures(compared)
    ap = compared.measured.ap[places]
    return _unique(_by(compared, places, np.abs(ap - np.median(ap)) if len(ap) else ap)[:count])


def _by(compared: Compared, places: Counts, keys: Values) -> Counts:
    """Order queries by a key; of equal ones, the earlier name comes first."""
    ordered: Counts = places[np.lexsort((compared.items.names[compared.trial.query[places]], keys))]
    return ordered


def _unique(places: Sequence[int] | Counts) -> list[int]:
    return list(dict.fromkeys(int(place) for place in places))
