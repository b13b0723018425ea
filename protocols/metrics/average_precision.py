"""Average precision, in expectation over a random order of tied items."""

import numpy as np

from protocols.arrays import Values
from protocols.harmonic import reciprocal_sum
from protocols.tie_groups import Ranking


def average_precision(ranking: Ranking) -> Values:
    """Return the expected average precision of every query, ``(nq,)`` in [0, 1]; NaN without a valid positive.

    Without ties it is the textbook (1/P) * sum over the positives i = 1..P of i / rank_i, no interpolation. Within a
    group of n tied items, m of them positive, below ``a`` items of which ``r`` are positive, place j = 1..n holds a
    positive with probability m/n, and then (j-1)(m-1)/(n-1) of the tied positives precede it on average; so the
    group adds

        (m/n) * sum over j of (r + 1 + c (j-1)) / (a + j)  =  (m/n) * [(r + 1) h + c (n - (a + 1) h)]

    with c = (m-1)/(n-1) and h = 1/(a+1) + ... + 1/(a+n).

    Source: McSherry and Najork, Computing information retrieval performance measures efficiently in the presence of
    tied scores, ECIR 2008, section 3.
    """
    before = ranking.positives_above
    contributions = (before + 1.0) / (ranking.above + 1.0)
    tied = np.flatnonzero(ranking.size > 1)
    above, size, positives = ranking.above[tied], ranking.size[tied], ranking.positives[tied]
    reciprocals = reciprocal_sum(above, size)
    slope = (positives - 1) / (size - 1)
    inside = (before[tied] + 1) * reciprocals + slope * (size - (above + 1) * reciprocals)
    contributions[tied] = positives / size * inside
    return ranking.mean_over_positives(contributions)
