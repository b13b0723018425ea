"""Scores that can be compared whatever the sensors of both sides: standardised for each pair of subsets.

How large a score is depends on the sensors that both sides have: MDReID's form divides by |Q| |G|, so an item of
three sensors scores lower than one of a single sensor that it shares with the query, whoever they show. Where a
gallery holds items of several subsets, that order decides the ranking. So each score s of a query with the subset Q
and an item with the subset G becomes z = (s - mean[Q, G]) / spread[Q, G], with the mean and the standard deviation of
the scores of training items of different identities that are known by Q and by G. For one query that is a factor and
an offset for each G: where the gallery is of one subset, no rank changes. docs/mixed-galleries.md has the figures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, FloatArray, Values
from protocols.modality import Modality
from protocols.scoring import inner_products

Pair = tuple[Modality, Modality]
"""The subsets of a query and of a gallery item."""
Adjustment = Callable[[int, int, FloatArray, FloatArray], None]
"""Takes a range of queries, their scores (queries, gallery items) and where what becomes of them is to be written."""
Compared = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
"""Takes the vectors of both sides to those whose inner product is the score."""
_CODES = (~Modality(0)).value + 1


class UnknownPairError(ValueError):
    """Scores of two subsets are to be standardised of which nothing was measured."""

    def __init__(self, query: Modality, gallery: Modality) -> None:
        super().__init__(f"no training item tells how {query} scores with {gallery}")


@dataclass(frozen=True, eq=False)
class Calibration:
    """How scores of training items of different identities are distributed, by the subsets of both sides.

    Attributes:
        mean: ``(codes, codes)`` float64, by the ``Modality`` values of query and gallery item; NaN where unknown.
        spread: likewise, their standard deviation; 1 where all scores are equal, which are then only shifted.
    """

    mean: Values
    spread: Values

    @classmethod
    def of(cls, pairs: Mapping[Pair, tuple[float, float]]) -> "Calibration":
        """Take mean and spread of each pair of subsets.

        Raises:
            ValueError: for a spread that is not above 0.
        """
        mean, spread = np.full((2, _CODES, _CODES), np.nan)
        for (query, gallery), (centre, width) in pairs.items():
            if not width > 0:
                raise ValueError(f"the spread of {query} with {gallery} must be above 0, not {width}")
            mean[query.value, gallery.value], spread[query.value, gallery.value] = centre, width
        return cls(mean, spread)

    @property
    def pairs(self) -> dict[Pair, tuple[float, float]]:
        """Mean and spread of each pair that is known."""
        known = np.argwhere(~np.isnan(self.mean)).tolist()
        return {(Modality(q), Modality(g)): (float(self.mean[q, g]), float(self.spread[q, g])) for q, g in known}

    @classmethod
    def estimate(
        cls, vectors: Mapping[Modality, FloatArray], identity: Counts, compared: Compared | None = None
    ) -> "Calibration":
        """Measure all pairs of the subsets that items of different identities have.

        Args:
            vectors: ``(n, E)`` embeddings of n training items by subset; NaN for items that lack a sensor of it.
            identity: ``(n,)`` of each.
            compared: see ``Compared``; None takes the inner product of the vectors themselves.
        """
        there = {subset: np.flatnonzero(np.isfinite(rows).all(axis=1)) for subset, rows in vectors.items()}
        found: dict[Pair, tuple[float, float]] = {}
        for query, asked in there.items():
            for gallery, offered in there.items():
                sides = vectors[query][asked], vectors[gallery][offered]
                left, right = compared(*sides) if compared else sides
                scores = np.empty((len(asked), len(offered)), dtype=np.float32)
                inner_products(left, right, out=scores)
                others = scores[identity[asked][:, None] != identity[offered]].astype(np.float64)
                if others.size:
                    found[query, gallery] = _mean_and_spread(others)
        return cls.of(found)

    def between(self, query: NDArray[np.uint8], gallery: NDArray[np.uint8]) -> Adjustment | None:
        """Return what standardises the scores of two sides; None where the gallery is of one subset.

        Args:
            query: ``(nq,)`` the ``Modality`` value of each query.
            gallery: ``(ng,)`` that of each gallery item.

        Raises:
            UnknownPairError: for a pair of subsets that is not known.
        """
        columns = {code: np.flatnonzero(gallery == code) for code in np.unique(gallery).tolist()}
        if len(columns) < 2:
            return None
        for asked in np.unique(query).tolist():
            for code in columns:
                if np.isnan(self.mean[asked, code]):
                    raise UnknownPairError(Modality(asked), Modality(code))

        def adjust(start: int, stop: int, scores: FloatArray, out: FloatArray) -> None:
            for asked in np.unique(query[start:stop]).tolist():
                rows = np.flatnonzero(query[start:stop] == asked)
                for code, own in columns.items():
                    place = np.ix_(rows, own)
                    out[place] = self.standardised(scores[place], Modality(asked), Modality(code))

        return adjust

    def standardised(self, scores: FloatArray, query: Modality, gallery: Modality) -> Values:
        """Return scores of one pair of subsets in standard deviations above those of other identities, float64."""
        wide = scores.astype(np.float64)
        return np.asarray((wide - self.mean[query.value, gallery.value]) / self.spread[query.value, gallery.value])


def _mean_and_spread(scores: Values) -> tuple[float, float]:
    """Return both; of equal scores exactly their value, and 1, so that a constant scorer stays one."""
    if scores.min() == scores.max():
        return float(scores[0]), 1.0
    return float(scores.mean()), float(scores.std())
