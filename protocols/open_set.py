"""Open-set identification: is the person asked for in the gallery at all, and if so, where?

A seeded share of the identities that are asked for is *enrolled*. The gallery items of the others are taken out, so
that their queries have no mate: these are the non-mated probes. Queries of enrolled identities that keep a positive
are the mated probes. Gallery items of identities that nobody asks for stay. With a threshold tau on the scores,

    FAR(tau)    = FPIR(tau) = share of non-mated probes whose best score is at least tau
    DIR(tau, k) = share of mated probes whose best positive has rank k or better and a score of at least tau
    FNIR(tau, R) = 1 - DIR(tau, R)

The threshold for a target FAR f over n non-mated probes is the smallest score that was observed, of a best positive
or of the best item of a non-mated probe, which at most n f non-mated probes reach; if there is none, nothing passes.
A score at the threshold passes. So a scorer that gives all pairs one score has a DIR of 0 at every FAR below 1.

Sources: Liao et al. 2014, arXiv 1408.0872 (DIR and FAR); NIST FRVT 1:N (FNIR and FPIR).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, FloatArray, Values
from protocols.chance import random_order
from protocols.exclusion import Exclusion, Labels
from protocols.metrics.cmc import rank_k
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from protocols.relevance import IdentityIndex, Relevance
from protocols.scoring import TILE_QUERIES, check_finite, check_labelled, inner_products
from protocols.tie_groups import Ranking

FARS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Targets, which make up a curve; the last one has no threshold."""
RANKS = (1, 10, 20)
SPLITS, SHARE = 20, 0.5
_PASSES = 8
"""Copies of a chunk of scores that are held at once."""


class NoProbesError(ValueError):
    """A split has no mated or no non-mated probes, so it has no figures."""


@dataclass(frozen=True, eq=False)
class OpenSetRates:
    """DIR of S splits at K ranks and F targets of FAR.

    Attributes:
        dir: ``(S, K, F)``.
        chance: ``(S, K, F)``, what independent random scores give the same probes in expectation.
        mated: ``(S,)`` number of mated probes.
        strangers: ``(S,)`` number of non-mated probes.
    """

    dir: Values
    chance: Values
    mated: Counts
    strangers: Counts


@dataclass(frozen=True, eq=False)
class _Seen:
    """What nq queries see of their galleries, which differ from split to split.

    Attributes:
        score: ``(nq,)`` of the best positive; -inf where there is none.
        positives: ``(nq,)`` valid positives.
        tied_positives: ``(nq,)`` positives with the score of the best one.
        above: ``(nq, S)`` valid items with a higher score than the best positive.
        tied: ``(nq, S)`` valid items with its score, positives counted in.
        items: ``(nq, S)`` valid items.
        best: ``(nq, S)`` the highest score of a valid item; -inf where there is none.
    """

    score: Values
    positives: Counts
    tied_positives: Counts
    above: Counts
    tied: Counts
    items: Counts
    best: Values


def enrolled(asked: Counts, split: int, share: float = SHARE) -> Counts:
    """Draw the enrolled ones among the different identities that are asked for, ascending.

    Raises:
        NoProbesError: when there are fewer than two identities.
    """
    if len(asked) < 2:
        raise NoProbesError(f"an open set needs two identities that are asked for, and there are {len(asked)}")
    count = min(max(round(share * len(asked)), 1), len(asked) - 1)
    return np.sort(np.random.default_rng(split).permutation(np.sort(asked))[:count])


def open_set(
    query_embeddings: FloatArray,
    gallery_embeddings: FloatArray,
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    *,
    fars: Sequence[float] = FARS,
    ranks: Sequence[int] = RANKS,
    splits: int = SPLITS,
    share: float = SHARE,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> OpenSetRates:
    """Measure by inner products; a query sees its gallery after the exclusion rule. Ties in rank: the expectation.

    Args:
        query_embeddings: ``(nq, E)``.
        gallery_embeddings: ``(ng, E)``.
        query: labels of the nq queries.
        gallery: labels of the ng gallery items.
        exclusion: which gallery items a query must not see.
        fars: the F targets.
        ranks: the K ranks.
        splits: number of draws of the enrolled identities, with the seeds from 0 on.
        share: of the identities that are asked for which is enrolled.
        memory_budget: bytes for everything that grows with a chunk of queries; one query is always taken.

    Raises:
        NonFiniteScoreError: for a NaN or infinite inner product.
        NoProbesError: when a split has no mated or no non-mated probes.
        ValueError: when the shapes do not fit each other or the labels.
    """
    check_labelled(query_embeddings, gallery_embeddings, query, gallery)
    asked = np.unique(query.identity)
    drawn = [enrolled(asked, split, share) for split in range(splits)]
    relevance = Relevance(query, gallery, exclusion)
    rows = max(memory_budget // (_PASSES * 4 * max(len(gallery), 1)), 1)
    parts = [
        _look(query_embeddings[start:stop], gallery_embeddings, relevance, start, drawn)
        for start, stop in _chunks(len(query), min(rows, TILE_QUERIES))
    ]
    seen = _Seen(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Seen.__annotations__))
    rates, chances, mated, strangers = [], [], [], []
    for split, identities in enumerate(drawn):
        known = np.isin(query.identity, identities)
        probes = known & np.isfinite(seen.score)
        if not probes.any():
            raise NoProbesError(f"no query of the identities enrolled in split {split} has a valid positive")
        rates.append(_rates(seen, split, probes, ~known, fars, ranks))
        chances.append(
            chance(seen.positives[probes], seen.items[probes, split], seen.items[~known, split], fars, ranks)
        )
        mated.append(int(probes.sum()))
        strangers.append(int((~known).sum()))
    return OpenSetRates(np.stack(rates), np.stack(chances), np.array(mated), np.array(strangers))


def chance(
    positives: Counts, items: Counts, strangers_items: Counts, fars: Sequence[float], ranks: Sequence[int]
) -> Values:
    """Return the DIR ``(K, F)`` that independent random scores of one distribution give in expectation.

    The threshold is the one at which a non-mated probe, which sees as many items as they do on average, passes with
    the probability f: a single item then passes with p = 1 - (1 - f)^(1/V). Which rank the best positive has says
    nothing about how high the scores are, so with V items of a mated probe

        DIR(k) = sum over j = 1..k of P(best positive has rank j) P(at least j of V items pass).

    Args:
        positives: ``(mated,)`` valid positives of each mated probe.
        items: ``(mated,)`` valid items of each.
        strangers_items: ``(non-mated,)`` valid items of each non-mated probe.
        fars: the F targets.
        ranks: the K ranks.
    """
    pairs, counts = np.unique(np.stack([positives, items]), axis=1, return_counts=True)
    ranking, deepest = random_order(*pairs), max(ranks)
    within = np.stack([np.zeros(len(counts)), *(rank_k(ranking, k) for k in range(1, deepest + 1))])
    at_rank = np.diff(within, axis=0)
    result = np.empty((len(ranks), len(fars)))
    for place, far in enumerate(fars):
        single = 1 - (1 - far) ** (1 / max(float(strangers_items.mean()), 1.0))
        running = np.cumsum(at_rank * _at_least(pairs[1], single, deepest), axis=0) @ counts / counts.sum()
        result[:, place] = running[np.asarray(ranks) - 1]
    return result


def _at_least(items: Counts, single: float, most: int) -> Values:
    """Return the probability that 1, 2, ... ``most`` or more of n items pass, ``(most, pairs)``."""
    if single >= 1:
        return (items >= np.arange(1, most + 1)[:, None]).astype(np.float64)
    exactly = (1 - single) ** items.astype(np.float64)
    result, fewer = np.empty((most, len(items))), np.zeros(len(items))
    for number in range(most):
        fewer = fewer + exactly
        result[number] = 1 - fewer
        exactly = exactly * (items - number) / (number + 1) * single / (1 - single)
    return np.clip(result, 0, 1)


def _chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, count)) for start in range(0, count, size))


def _look(queries: FloatArray, items: FloatArray, relevance: Relevance, start: int, drawn: Sequence[Counts]) -> _Seen:
    """Score a chunk of queries; identities come or go as a whole, so everything is counted by identity first."""
    index = relevance.index
    scores = np.empty((len(queries), len(items)), dtype=np.float32)
    inner_products(queries, items, out=scores)
    check_finite(scores, first_query=start)
    pairs = relevance.pairs(start, start + len(queries))
    scores[pairs.query[pairs.excluded], pairs.gallery[pairs.excluded]] = -np.inf
    for rows, columns in relevance.hidden(start, start + len(queries)):
        scores[np.ix_(rows, columns)] = -np.inf
    if not len(items):
        index, scores = IdentityIndex(np.array([-1])), np.full((len(queries), 1), -np.inf, dtype=np.float32)
    scores = scores[:, index.order]

    def by_identity(values: NDArray[np.bool_]) -> Counts:
        return np.add.reduceat(values, index.starts, axis=1, dtype=np.int64)

    identity = relevance.query.identity[start : start + len(queries)]
    own = index.identities == identity[:, None]
    best = np.maximum.reduceat(scores, index.starts, axis=1)
    score = np.where(own, best, -np.inf).max(axis=1)
    there = np.isfinite(scores)
    above = by_identity(scores > score[:, None].astype(np.float32))
    tied = by_identity((scores == score[:, None].astype(np.float32)) & there)
    asked = np.isin(index.identities, relevance.query.identity)
    kept = np.stack([~asked | np.isin(index.identities, identities) for identities in drawn], axis=1)
    return _Seen(
        score=score,
        positives=(by_identity(there) * own).sum(axis=1),
        tied_positives=(tied * own).sum(axis=1),
        above=above @ kept,
        tied=tied @ kept,
        items=by_identity(there) @ kept,
        best=np.stack([np.where(one, best, -np.inf).max(axis=1) for one in kept.T], axis=1),
    )


def _rates(
    seen: _Seen,
    split: int,
    probes: NDArray[np.bool_],
    strangers: NDArray[np.bool_],
    fars: Sequence[float],
    ranks: Sequence[int],
) -> Values:
    """Return the DIR ``(K, F)`` of a split."""
    count = int(probes.sum())
    ranking = Ranking(
        items=seen.items[probes, split],
        offsets=np.arange(count + 1),
        above=seen.above[probes, split],
        size=seen.tied[probes, split],
        positives=seen.tied_positives[probes],
    )
    found = np.stack([rank_k(ranking, k) for k in ranks])
    alarms = np.sort(seen.best[strangers, split])[::-1]
    result = np.empty((len(ranks), len(fars)))
    for place, far in enumerate(fars):
        allowed = int((np.arange(len(alarms) + 1) / len(alarms) <= far).sum()) - 1
        # All observed scores above the first one that must not pass lie at the threshold or above it.
        passing = seen.score[probes] > alarms[allowed] if allowed < len(alarms) else np.ones(count, dtype=np.bool_)
        result[:, place] = (found * passing).mean(axis=1)
    return result
