"""What a ranking in random order scores, computed rather than sampled."""

import numpy as np

from protocols.arrays import Counts
from protocols.evaluation import AveragePrecision, PerQuery, evaluate
from protocols.rivals import Rivals
from protocols.tie_groups import Ranking


def chance(
    positives: Counts,
    items: Counts,
    average_precision: AveragePrecision = "standard",
    rivals: Rivals | None = None,
) -> PerQuery:
    """Return the expectation of every metric over all orders of the gallery, for the very same queries.

    A random order is one tie of all valid items, so the closed forms of the metrics hold with nothing above the
    group. For P positives among V items that makes, for example, Rank-1 = P/V and, with H the harmonic numbers,
    AP = [H(V) + (P - 1) (V - H(V)) / (V - 1)] / V.

    Args:
        positives: ``(nq,)`` valid positives of each query, as in ``PerQuery.positives``.
        items: ``(nq,)`` valid gallery items of each query, as in ``PerQuery.items``.
        average_precision: the form of AP to expect.
        rivals: ``Rivals.in_random_order`` of the same queries and gallery, where identities are counted.

    Raises:
        ValueError: when the shapes differ, or a query has more positives than items or fewer than none.
    """
    if positives.shape != items.shape or np.any(positives < 0) or np.any(positives > items):
        raise ValueError("each query needs its number of positives and of items, the former not above the latter")
    return evaluate(random_order(positives, items, rivals), average_precision)


def random_order(positives: Counts, items: Counts, rivals: Rivals | None = None) -> Ranking:
    """Return the ranking of a random order: for each query one tie of all its valid items, as in :func:`chance`."""
    found = positives > 0
    return Ranking(
        items=items,
        offsets=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(found, dtype=np.int64)]),
        above=np.zeros(int(found.sum()), dtype=np.int64),
        size=items[found],
        positives=positives[found],
        rivals=rivals,
    )
