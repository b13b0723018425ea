"""Rank-k where every identity takes one place, in expectation over a random order of tied items."""

from functools import cache, lru_cache

import numpy as np

from protocols.arrays import Values
from protocols.tie_groups import Ranking

_NODES = 401
_REACH = 3.3


def identity_rank_k(ranking: Ranking, k: int) -> Values:
    """Return the probability that a query's identity is among the first k, ``(nq,)``; NaN without a valid positive.

    An identity stands where its best valid item does. Without ties Rank-k is 1 or 0. Otherwise let ``a`` other
    identities stand above the best positive, m positives have its score, and other identities lead with c_1, c_2, ...
    items of that score. Give each tied item a random number in [0, 1], the largest first. With u the largest of the m
    positives, identity j comes before them with probability 1 - u^(c_j), independently of the others, so

        Rank-k = integral over u from 0 to 1 of m u^(m-1) P(fewer than k - a of the identities come before | u).

    The integral is a sum over nodes that crowd at both ends (tanh-sinh), exact to some 1e-13.

    Source: the evaluation of SYSU-MM01, Wu et al., RGB-infrared cross-modality person re-identification, ICCV 2017;
    ties as in ``protocols.metrics.cmc``.

    Args:
        ranking: of nq queries, made with ``cmc="identities"``.
        k: number of identities looked at, at least 1.

    Raises:
        ValueError: when k is below 1, or the ranking knows of no identities.
    """
    if k < 1:
        raise ValueError(f"Rank-k needs k of at least 1, not {k}")
    if ranking.rivals is None:
        raise ValueError("the ranking was made without counting identities")
    positives = ranking.positives[ranking.first].tolist()
    rows = [row for row, valid in zip(ranking.rivals.rows(), ranking.valid.tolist(), strict=True) if valid]
    values = [
        _fewer(k - above, own, tuple(sorted(tied.tolist())))
        for (above, tied), own in zip(rows, positives, strict=True)
    ]
    return ranking.spread(np.array(values, dtype=np.float64))


@cache
def _nodes() -> tuple[Values, Values]:
    """Return the logarithms of nodes from 0 to 1, and their weights in an integral."""
    places = np.linspace(-_REACH, _REACH, _NODES)
    bent = np.pi * np.sinh(places)
    below, rest = -np.logaddexp(0.0, -bent), -np.logaddexp(0.0, bent)
    return below, np.pi * np.cosh(places) * np.exp(below + rest) * (places[1] - places[0])


def _fewer(places: int, own: int, tied: tuple[int, ...]) -> float:
    """Return the probability that fewer than ``places`` of the tied identities come before the query's own."""
    if places <= 0:
        return 0.0
    if places > len(tied):
        return 1.0
    return _fewer_of_many(places, own, tied)


@lru_cache(maxsize=2**14)
def _fewer_of_many(places: int, own: int, tied: tuple[int, ...]) -> float:
    below, weights = _nodes()
    before = np.zeros((places, _NODES))
    before[0] = 1.0
    for count in tied:
        stays = np.exp(count * below)
        moved = before[:-1] * -np.expm1(count * below)
        before *= stays
        before[1:] += moved
    inside = own * np.exp((own - 1) * below) * before.sum(axis=0)
    return min(float(np.sum(inside * weights)), 1.0)
