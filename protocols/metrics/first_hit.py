"""The rank of the first positive, in expectation over a random order of tied items."""

from protocols.arrays import Values
from protocols.tie_groups import Ranking


def first_hit_rank(ranking: Ranking) -> Values:
    """Return the expected rank, from 1, of the best positive of every query, ``(nq,)``; NaN without a valid one.

    Of n tied items in random order the first of m positives stands, on average, at place (n + 1) / (m + 1); so with
    ``a`` items above the best group that has a positive, the rank is a + (n + 1) / (m + 1).
    """
    first = ranking.first
    return ranking.spread(ranking.above[first] + (ranking.size[first] + 1) / (ranking.positives[first] + 1))
