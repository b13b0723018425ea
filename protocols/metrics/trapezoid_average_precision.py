"""Trapezoid average precision, that of the Market-1501 MATLAB code, in expectation over tied items."""

import numpy as np

from protocols.arrays import Values
from protocols.harmonic import reciprocal_sum
from protocols.metrics.average_precision import average_precision
from protocols.tie_groups import Ranking


def trapezoid_average_precision(ranking: Ranking) -> Values:
    """Return the expected area below the straight-lined precision-recall curve, ``(nq,)``; NaN without a positive.

    Without ties it is (1/P) * sum over the positives i = 1..P of (i / rank_i + (i-1) / (rank_i - 1)) / 2: the mean of
    the precision at the positive and just before it; the latter counts as 1 where the positive is ranked first. Older
    tables used it; it never exceeds the average precision. With the names of
    ``average_precision``, a tie group adds to the second sum

        (m/n) * [c n + (r - c a) h]  with h = 1/a + ... + 1/(a+n-1)   if a > 0,
        m * m/n                                                       if a = 0.

    Source: ``compute_AP.m`` of Zheng et al., Scalable person re-identification: a benchmark, ICCV 2015; ties as in
    McSherry and Najork, ECIR 2008.
    """
    return (average_precision(ranking) + _precision_before(ranking)) / 2


def _precision_before(ranking: Ranking) -> Values:
    """Return the expected mean, over the positives, of the precision just before each of them."""
    above, size, positives = ranking.above, ranking.size, ranking.positives
    before = ranking.positives_above
    lower = np.maximum(above, 1)
    contributions = np.where(above == 0, positives * (positives / size), before / lower)
    tied = np.flatnonzero((size > 1) & (above > 0))
    above, size, positives = above[tied], size[tied], positives[tied]
    slope = (positives - 1) / (size - 1)
    reciprocals = reciprocal_sum(above - 1, size)
    inside = before[tied] * reciprocals + slope * (size - above * reciprocals)
    contributions[tied] = positives / size * inside
    return ranking.mean_over_positives(contributions)
