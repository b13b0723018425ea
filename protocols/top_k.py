"""The k best gallery items of each query, gathered from blocks of scores."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts


class TopK(NamedTuple):
    """The best gallery items of nq queries, best first.

    Attributes:
        scores: ``(nq, k)`` float32.
        indices: ``(nq, k)`` gallery items; of equal scores the lower number comes first.
    """

    scores: NDArray[np.float32]
    indices: Counts


class TopKCollector:
    """Keeps the k best items of each query while blocks of the gallery pass in order."""

    def __init__(self, queries: int, k: int) -> None:
        self._scores = np.full((queries, k), -np.inf, dtype=np.float32)
        self._indices = np.full((queries, k), -1, dtype=np.int64)

    def add(self, start: int, scores: NDArray[np.float32]) -> None:
        """Take in the ``(nq, columns)`` scores of the gallery items from ``start`` on."""
        for row, values in enumerate(scores):
            # A later item that only equals the last kept one has the higher number and loses.
            found = np.flatnonzero(values > self._scores[row, -1])
            if found.size:
                self._merge(row, values[found], found + start)

    def _merge(self, row: int, scores: NDArray[np.float32], indices: Counts) -> None:
        k = self._scores.shape[1]
        if len(scores) > k:
            kept = scores >= np.partition(scores, -k)[-k]
            scores, indices = scores[kept], indices[kept]
        scores = np.concatenate([self._scores[row], scores])
        indices = np.concatenate([self._indices[row], indices])
        best = np.argsort(-scores, kind="stable")[:k]
        self._scores[row], self._indices[row] = scores[best], indices[best]

    def result(self) -> TopK:
        """Return what was kept."""
        return TopK(self._scores, self._indices)
