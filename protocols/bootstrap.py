"""Percentile bootstrap over queries, clustered by identity.

Queries of one identity resemble each other; drawing them one by one would make intervals too narrow. So whole
identities are drawn, with replacement, and the mean is taken over all queries of the drawn ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from protocols.arrays import Counts, Values
from protocols.evaluation import NoValidQueryError


@dataclass(frozen=True)
class Difference:
    """How much the first of two paired scorers exceeds the second: the mean over the queries and its interval."""

    mean: float
    low: float
    high: float


def interval(
    values: Values, identities: Counts, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of the values.

    Args:
        values: ``(nq,)`` one metric; NaN marks queries left out. Several trials give ``values_over_trials``.
        identities: ``(nq,)`` identity of each query, the cluster.
        level: share of the bootstrap distribution inside the interval, in (0, 1).
        samples: number of bootstrap samples.
        seed: of the draws; the same seed and order of queries give the same interval to the last digit.

    Raises:
        NoValidQueryError: when every value is NaN.
        ValueError: for arrays of different shape, a level outside (0, 1) or no samples.
    """
    if values.shape != identities.shape:
        raise ValueError(f"values of shape {values.shape} and identities of shape {identities.shape} do not pair")
    if not 0 < level < 1 or samples < 1:
        raise ValueError(f"the level must lie between 0 and 1 and samples be at least 1, not {level} and {samples}")
    valid = ~np.isnan(values)
    if not valid.any():
        raise NoValidQueryError(len(values))
    _, cluster = np.unique(identities[valid], return_inverse=True)
    sums = np.bincount(cluster, weights=values[valid])
    counts = np.bincount(cluster)
    drawn = np.random.default_rng(seed).integers(len(counts), size=(samples, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_intervals(
    sums: Values, counts: Values, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> list[tuple[float, float]]:
    """Return the intervals of several means over queries, each itself a mean over some cells; see ``interval``.

    With one cell these are the intervals of ``interval``, but for rounding; identities are drawn for all cells.

    Args:
        sums: ``(c, cells, i)`` of c metrics or differences: in each cell, the sum over the queries of each identity.
        counts: ``(cells, i)`` number of those queries.
    """
    there = counts.any(axis=0)
    sums, counts = sums[:, :, there], counts[:, there]
    drawn = np.random.default_rng(seed).integers(counts.shape[1], size=(samples, counts.shape[1]))
    times = np.zeros((samples, counts.shape[1]))
    np.add.at(times, (np.arange(samples)[:, None], drawn), 1)
    with np.errstate(invalid="ignore"):  # of a cell that none of the drawn identities is in, there is no mean
        means = np.nanmean((sums @ times.T) / (counts @ times.T), axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def joint_interval(
    parts: Sequence[tuple[Values, Counts]],
    over: Callable[[Sequence[float]], float],
    level: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over several protocols; identities are drawn for all of them at once.

    Args:
        parts: values and identities of the queries of each protocol, as in ``interval``.
        over: from the mean of each protocol to that over all, such as ``statistics.harmonic_mean``.

    Raises:
        NoValidQueryError: when some protocol has no value.
    """
    known = np.unique(np.concatenate([identities for _, identities in parts]))
    drawn = np.random.default_rng(seed).integers(len(known), size=(samples, len(known)))
    means = []
    for values, identities in parts:
        valid = ~np.isnan(values)
        if not valid.any():
            raise NoValidQueryError(len(values))
        cluster = np.searchsorted(known, identities[valid])
        sums = np.bincount(cluster, weights=values[valid], minlength=len(known))[drawn].sum(axis=1)
        counts = np.bincount(cluster, minlength=len(known))[drawn].sum(axis=1)
        means.append(np.divide(sums, counts, where=counts > 0, out=np.full(samples, np.nan)))
    combined = [over(row) for row in np.stack(means, axis=1).tolist() if not np.isnan(row).any()]
    low, high = np.quantile(combined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    a: Values, b: Values, identities: Counts, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> Difference:
    """Return the mean of a - b over the queries that both rank, with its bootstrap interval; see ``interval``.

    Args:
        a: ``(nq,)`` one metric of the first scorer.
        b: ``(nq,)`` the same metric of the second scorer for the same queries, in the same order.
        identities: ``(nq,)`` identity of each query.

    Raises:
        NoValidQueryError: when no query has both values.
        ValueError: for arrays of different shape, a level outside (0, 1) or no samples.
    """
    if a.shape != b.shape:
        raise ValueError(f"values of shapes {a.shape} and {b.shape} are not paired")
    differences = a - b
    low, high = interval(differences, identities, level, samples, seed)
    return Difference(float(np.nanmean(differences)), low, high)
