"""From a ranking to one value per query and metric, and from those to the figures of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, Values
from protocols.metrics.average_precision import average_precision as standard
from protocols.metrics.cmc import rank_k
from protocols.metrics.first_hit import first_hit_rank
from protocols.metrics.identity_cmc import identity_rank_k
from protocols.metrics.identity_first_hit import identity_first_hit_rank
from protocols.metrics.inverse_negative_penalty import inverse_negative_penalty
from protocols.metrics.trapezoid_average_precision import trapezoid_average_precision
from protocols.names import UnknownNameError
from protocols.tie_groups import Ranking

AveragePrecision = Literal["standard", "trapezoid"]
"""``standard`` is the mean of the precisions at the positives, ``trapezoid`` that of the Market-1501 MATLAB code."""

_AVERAGE_PRECISIONS: Mapping[str, Callable[[Ranking], Values]] = MappingProxyType(
    {"standard": standard, "trapezoid": trapezoid_average_precision}
)


class NoValidQueryError(ValueError):
    """No query has a positive that it may see, so no mean exists."""

    def __init__(self, queries: int) -> None:
        super().__init__(f"None of the {queries} queries has a valid positive in the gallery after exclusion.")


@dataclass(frozen=True)
class Metrics:
    """Means over the queries that have a valid positive, as fractions from 0 to 1.

    Attributes:
        mAP: mean average precision.
        rank1: expected share of queries whose first item, or identity, is right; likewise for one of the first 5,
            10 and 20.
        mINP: mean inverse negative penalty.
        queries: number of queries in the means.
        left_out: number of queries without a valid positive.
    """

    mAP: float  # noqa: N815 - the field's spelling
    rank1: float
    rank5: float
    rank10: float
    rank20: float
    mINP: float  # noqa: N815 - the field's spelling
    queries: int
    left_out: int


@dataclass(frozen=True, eq=False)
class PerQuery:
    """The metrics of nq queries, each ``(nq,)``; floats are NaN for queries without a valid positive.

    Attributes:
        ap: average precision, standard or trapezoid.
        inp: inverse negative penalty.
        first_hit_rank: rank of the best positive, among items or among identities.
        rank1: probability that the first item, or identity, is right; likewise for one of the first 5, 10 and 20.
        positives: valid positives.
        tied_positives: positives that share their score with another valid item.
        items: valid gallery items.
    """

    ap: Values
    inp: Values
    first_hit_rank: Values
    rank1: Values
    rank5: Values
    rank10: Values
    rank20: Values
    positives: Counts
    tied_positives: Counts
    items: Counts

    def __len__(self) -> int:
        return len(self.positives)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """``(nq,)`` True for queries with at least one valid positive."""
        return self.positives > 0

    def summary(self) -> Metrics:
        """Average over the valid queries.

        Raises:
            NoValidQueryError: when there is none.
        """
        valid = self.valid
        if not valid.any():
            raise NoValidQueryError(len(self))
        return Metrics(
            mAP=float(self.ap[valid].mean()),
            rank1=float(self.rank1[valid].mean()),
            rank5=float(self.rank5[valid].mean()),
            rank10=float(self.rank10[valid].mean()),
            rank20=float(self.rank20[valid].mean()),
            mINP=float(self.inp[valid].mean()),
            queries=int(valid.sum()),
            left_out=int((~valid).sum()),
        )


def evaluate(ranking: Ranking, average_precision: AveragePrecision = "standard") -> PerQuery:
    """Compute every metric of every query.

    Where the ranking counts identities, so do ``rank1`` to ``rank20`` and ``first_hit_rank``; the others always count
    items.

    Raises:
        UnknownNameError: for an average precision other than ``"standard"`` and ``"trapezoid"``.
    """
    if average_precision not in _AVERAGE_PRECISIONS:
        raise UnknownNameError("average precision", average_precision, _AVERAGE_PRECISIONS)
    at, first = (rank_k, first_hit_rank) if ranking.rivals is None else (identity_rank_k, identity_first_hit_rank)
    return PerQuery(
        ap=_AVERAGE_PRECISIONS[average_precision](ranking),
        inp=inverse_negative_penalty(ranking),
        first_hit_rank=first(ranking),
        rank1=at(ranking, 1),
        rank5=at(ranking, 5),
        rank10=at(ranking, 10),
        rank20=at(ranking, 20),
        positives=ranking.positive_counts,
        tied_positives=ranking.tied_positives,
        items=ranking.items,
    )


def mean_of_trials(trials: Sequence[PerQuery]) -> Metrics:
    """Average the figures of several trials, each of which counts the same; those of one trial are its own.

    A query counts as left out if it has no valid positive in any trial.

    Args:
        trials: at least one; all of the same queries in the same order.

    Raises:
        NoValidQueryError: when a trial has no valid query.
        ValueError: when the trials differ in their number of queries, or there is none.
    """
    if not trials or len({len(trial) for trial in trials}) > 1:
        raise ValueError(
            f"trials of the same queries are averaged, not of {[len(trial) for trial in trials]} queries"
        )
    summaries = [trial.summary() for trial in trials]
    valid = np.any([trial.valid for trial in trials], axis=0)

    names = ("mAP", "rank1", "rank5", "rank10", "rank20", "mINP")
    means = {name: float(np.mean([getattr(summary, name) for summary in summaries])) for name in names}
    return Metrics(**means, queries=int(valid.sum()), left_out=int((~valid).sum()))


def values_over_trials(trials: Sequence[Values]) -> Values:
    """Average one metric of each query over the trials in which it has a value, for ``bootstrap.interval``.

    Their mean over the queries is that of ``mean_of_trials`` where every trial leaves out the same queries.

    Args:
        trials: ``(nq,)`` each, NaN where a query has no valid positive; NaN stays where no trial has a value.
    """
    values = np.stack(trials)
    counts = (~np.isnan(values)).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
