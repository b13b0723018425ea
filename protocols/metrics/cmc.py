"""Rank-k, one point of the cumulative matching characteristic, in expectation over a random order of tied items."""

import numpy as np

from protocols.arrays import Values
from protocols.tie_groups import Ranking


def rank_k(ranking: Ranking, k: int) -> Values:
    """Return the probability that a positive is among a query's first k items, ``(nq,)``; NaN without a valid one.

    Without ties it is 1 or 0. Otherwise only the best group with a positive matters: n tied items, m of them
    positive, below ``a`` others. All of it is within k if a + n <= k, none if a >= k; in between, t = k - a of its
    items are, and

        Rank-k = 1 - product over i = 0..t-1 of (n - m - i) / (n - i).

    Source: McSherry and Najork, ECIR 2008, section 3 (success at k).

    Args:
        ranking: of nq queries.
        k: number of items looked at, at least 1.

    Raises:
        ValueError: when k is below 1.
    """
    if k < 1:
        raise ValueError(f"Rank-k needs k of at least 1, not {k}")
    above, size = ranking.above[ranking.first], ranking.size[ranking.first]
    negatives = size - ranking.positives[ranking.first]
    missed = np.ones(len(above))
    for drawn in range(k):
        inside = drawn < k - above
        left = np.maximum(negatives - drawn, 0) / np.maximum(size - drawn, 1)
        missed *= np.where(inside, left, 1.0)
    return ranking.spread(1.0 - missed)
