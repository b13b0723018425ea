"""Inverse negative penalty (its mean is mINP), in expectation over a random order of tied items."""

import numpy as np

from protocols.arrays import Counts, Values
from protocols.tie_groups import Ranking


def inverse_negative_penalty(ranking: Ranking) -> Values:
    """Return P / (rank of the worst positive) of every query with P positives, ``(nq,)`` in (0, 1]; NaN if P is 0.

    With ties the worst positive is one of the m in the last group that has any, n items below ``a`` others. The last
    of m among n in random order stands at place l = m..n with probability C(l-1, m-1) / C(n, m), so

        INP = P * sum over l of C(l-1, m-1) / C(n, m) / (a + l).

    The probabilities follow from that of l = n, which is m/n, by the factor (l - m) / (l - 1) from l to l - 1.

    Source: Ye et al., Deep learning for person re-identification: a survey and outlook, TPAMI 2022, section 4.1.
    """
    last = ranking.last
    above, size, positives = ranking.above[last], ranking.size[last], ranking.positives[last]
    reciprocals = 1.0 / (above + size)
    loose = np.flatnonzero(size > positives)
    groups = np.stack([above, size, positives])[:, loose]
    distinct, place = np.unique(groups, axis=1, return_inverse=True)
    expected = np.array([_expected_reciprocal(*group) for group in distinct.T.tolist()])
    reciprocals[loose] = expected[place.reshape(-1)]
    return ranking.spread(ranking.positive_counts[ranking.valid] * reciprocals)


def _expected_reciprocal(above: int, size: int, positives: int) -> float:
    """Return the expectation of 1 / (rank of the last of the positives) in one tie group."""
    places: Counts = np.arange(size, positives - 1, -1)
    probability = np.empty(len(places))
    probability[0] = positives / size
    probability[1:] = (places[:-1] - positives) / (places[:-1] - 1)
    return float(np.sum(np.cumprod(probability) / (above + places)))
