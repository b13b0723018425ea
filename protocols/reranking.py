"""k-reciprocal re-ranking: what the neighbours of two items have in common corrects their distance.

Source: Zhong et al., Re-ranking person re-identification with k-reciprocal encoding, CVPR 2017. Where the paper
leaves it open, this does as its authors' code: neighbours are sought among queries and gallery items together, an
item is its own first neighbour, half of k1 is rounded to even, the overlap must exceed two thirds, and rows of V sum
to one. Labels play no part: items that a query must not see are neighbours like all others.

The distance is 1 - similarity, stretched for each item so that its most similar item has 0 and its least similar
one 1. For vectors of unit length that is their code's squared Euclidean distance over its largest value, and other
inner products keep their order.

Nothing depends on the order of the items. If equally similar items would have to be parted, because only some of them
are among the k nearest, none of them is. All numbers that are summed are multiples of 2^-36, so that sums are exact.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import Counts, FloatArray, Values
from protocols.scoring import TILE_QUERIES, check_finite, inner_products

_STEPS = 2.0**36
_FORM = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d*\.?\d+)\s*")
_ITEM_BYTES = 16
"""What one similarity of a block takes with the places of its sorted order."""


@dataclass(frozen=True)
class Reranking:
    """The parameters of the paper, which recommends 20, 6 and 0.3.

    Attributes:
        k1: neighbours that are looked at, at least 1.
        k2: neighbours, the item itself counted in, over which encodings are averaged, at least 1.
        weight: lambda, the share of the distance as it was, from 0 to 1.

    Raises:
        ValueError: when one lies outside its range.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.weight <= 1:
            found = f"{self.k1},{self.k2},{self.weight}"
            raise ValueError(f"re-ranking needs k1 and k2 of at least 1 and lambda from 0 to 1, not {found}")

    @classmethod
    def parse(cls, text: str) -> "Reranking":
        """Read ``"k1,k2,lambda"``, for example ``"20,6,0.3"``.

        Raises:
            ValueError: when the text has another form, or a value lies outside its range.
        """
        found = _FORM.fullmatch(text)
        if not found:
            raise ValueError(f"re-ranking is written k1,k2,lambda, for example {cls()}, not {text!r}")
        return cls(int(found[1]), int(found[2]), float(found[3]))

    @property
    def name(self) -> str:
        """The parameters as records and names of files have them, for example ``"20-6-0.3"``."""
        return str(self).replace(",", "-")

    def __str__(self) -> str:
        return f"{self.k1},{self.k2},{self.weight!r}"


@dataclass(frozen=True, eq=False)
class _Sparse:
    """Rows of few values: row i has ``columns[starts[i]:starts[i + 1]]``, ascending."""

    starts: Counts
    columns: Counts
    values: Values

    def gather(self, rows: Counts) -> tuple[Counts, Counts, Values]:
        """Return the entries of the rows, one row after the other: the place of its row, column and value of each."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        owner = np.repeat(np.arange(len(rows)), lengths)
        first = np.cumsum(lengths) - lengths
        places = np.arange(len(owner)) - first[owner] + self.starts[rows][owner]
        return owner, self.columns[places], self.values[places]

    def transposed(self, first_row: int, width: int) -> "_Sparse":
        """Return the columns as rows, of the rows from ``first_row`` on."""
        begin = self.starts[first_row]
        rows = np.repeat(np.arange(len(self.starts) - 1 - first_row), np.diff(self.starts[first_row:]))
        order = np.argsort(self.columns[begin:], kind="stable")
        starts = np.searchsorted(self.columns[begin:][order], np.arange(width + 1))
        return _Sparse(starts, rows[order], self.values[begin:][order])

    @classmethod
    def of(cls, rows: list[tuple[Counts, Values]]) -> "_Sparse":
        empty: Counts = np.zeros(0, dtype=np.int64)
        return cls(
            np.cumsum([0, *(len(columns) for columns, _ in rows)]),
            np.concatenate([empty, *(columns for columns, _ in rows)]),
            np.concatenate([np.zeros(0), *(values for _, values in rows)]),
        )


class RerankedDistances:
    """The distances of queries and gallery items after re-ranking.

    Similarities are computed once if all of them fit the memory budget, and otherwise once for each step.

    Memory holds a copy of the vectors, some hundred numbers an item, and blocks of similarities within the budget.

    Args:
        query: ``(nq, E)`` embeddings, compared by inner products.
        gallery: ``(ng, E)``.
        parameters: see ``Reranking``.
        memory_budget: bytes for blocks of similarities; a tile of rows is always taken.

    Raises:
        NonFiniteScoreError: for a NaN or infinite inner product.
    """

    def __init__(self, query: FloatArray, gallery: FloatArray, parameters: Reranking, memory_budget: int) -> None:
        self._queries, self._parameters = len(query), parameters
        self._vectors = np.concatenate([query, gallery]).astype(np.float32, copy=False)
        count = len(self._vectors)
        self._kept: NDArray[np.float32] | None = None
        everything = count * count * np.dtype(np.float32).itemsize
        if everything <= memory_budget:
            self._kept = self._similarities(0, count)
            memory_budget -= everything
        self._rows_at_once = max(memory_budget // (max(count, 1) * _ITEM_BYTES), TILE_QUERIES)
        near, sizes = self._neighbours()
        encoded = self._encoded(near, sizes)
        self._encoding = self._expanded(encoded, near, sizes[parameters.k2]) if parameters.k2 > 1 else encoded
        owner, _, values = self._encoding.gather(np.arange(count))
        self._sums = np.bincount(owner, weights=values, minlength=count)
        self._inverse = self._encoding.transposed(self._queries, count)

    def of(self, start: int, stop: int) -> Values:
        """Return the ``(stop - start, ng)`` distances of a range of queries, from 0 to 1 (Eq. 10 and 12)."""
        result = np.empty((stop - start, len(self._vectors) - self._queries))
        for row, similarities in enumerate(self._similarities(start, stop), start):
            _, columns, own = self._encoding.gather(np.array([row]))
            place, items, values = self._inverse.gather(columns)
            shared = np.bincount(items, weights=np.minimum(values, own[place]), minlength=result.shape[1])
            whole = self._sums[row] + self._sums[self._queries :] - shared
            before = _stretched(similarities)[self._queries :]
            result[row - start] = (1 - self._parameters.weight) * (
                1 - shared / whole
            ) + self._parameters.weight * before
        return result

    def _similarities(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the ``(stop - start, n)`` inner products of a range of items with all of them."""
        if self._kept is not None:
            return self._kept[start:stop]
        block = np.empty((stop - start, len(self._vectors)), dtype=np.float32)
        inner_products(self._vectors[start:stop], self._vectors, out=block)
        check_finite(block[: max(self._queries - start, 0), self._queries :], first_query=start)
        if not np.isfinite(block).all():
            raise ValueError("the inner products of some items with their like exceed the range of float32")
        return block

    def _blocks(self) -> Iterator[tuple[int, int]]:
        count = len(self._vectors)
        for start in range(0, count, self._rows_at_once):
            yield start, min(start + self._rows_at_once, count)

    def _neighbours(self) -> tuple[Counts, dict[int, Counts]]:
        """Find the nearest items of each, itself first, and how many of them are the k nearest, for each k needed."""
        count = len(self._vectors)
        k1, k2 = self._parameters.k1, self._parameters.k2
        wanted = {k: min(k, count) for k in (k1 + 1, round(k1 / 2) + 1, k2)}
        # One more than asked for shows whether the last one is tied with the next.
        kept = min(max(wanted.values()) + 1, count)
        near = np.empty((count, kept), dtype=np.int64)
        sizes = {k: np.full(count, least, dtype=np.int64) for k, least in wanted.items()}
        for start, stop in self._blocks():
            keys = -self._similarities(start, stop)
            keys[np.arange(stop - start), np.arange(start, stop)] = -np.inf
            found = np.argpartition(keys, kept - 1, axis=1)[:, :kept]
            values = np.take_along_axis(keys, found, axis=1)
            order = np.argsort(values, axis=1, kind="stable")
            near[start:stop] = np.take_along_axis(found, order, axis=1)
            values = np.take_along_axis(values, order, axis=1)
            for k, least in wanted.items():
                if least < count:
                    sizes[k][start:stop] = (values[:, :least] < values[:, least, None]).sum(axis=1)
        return near, sizes

    def _encoded(self, near: Counts, sizes: dict[int, Counts]) -> _Sparse:
        """Encode each item by its k-reciprocal neighbours and those of theirs that it shares (Eq. 2, 3 and 7)."""
        k1 = self._parameters.k1
        mutual = _mutual(near, sizes[k1 + 1])
        halves = _mutual(near, sizes[round(k1 / 2) + 1])
        half_sizes = np.array([len(half) for half in halves])
        inside = np.zeros(len(near), dtype=np.bool_)
        rows: list[tuple[Counts, Values]] = []
        for start, stop in self._blocks():
            for item, similarities in enumerate(self._similarities(start, stop), start):
                own = mutual[item]
                inside[own] = True
                candidates = np.concatenate([halves[other] for other in own.tolist()])
                owner = np.repeat(np.arange(len(own)), half_sizes[own])
                overlap = np.bincount(owner, weights=inside[candidates], minlength=len(own))
                chosen = 3 * overlap > 2 * half_sizes[own]
                inside[own] = False
                columns = np.unique(np.concatenate([own, candidates[chosen[owner]]]))
                weights = _stepped(np.exp(-_stretched(similarities)[columns]))
                rows.append((columns, _stepped(weights / weights.sum())))
        return _Sparse.of(rows)

    def _expanded(self, encoded: _Sparse, near: Counts, sizes: Counts) -> _Sparse:
        """Average the encodings of the k2 nearest items (Eq. 11)."""
        rows: list[tuple[Counts, Values]] = []
        for item, size in enumerate(sizes.tolist()):
            _, columns, values = encoded.gather(near[item, :size])
            found, place = np.unique(columns, return_inverse=True)
            rows.append((found, _stepped(np.bincount(place, weights=values) / size)))
        return _Sparse.of(rows)


def _mutual(near: Counts, sizes: Counts) -> list[Counts]:
    """Return, for each item, those of its nearest items that it is itself one of the nearest of."""
    count = len(near)
    owner = np.repeat(np.arange(count), sizes)
    other = near[np.arange(near.shape[1]) < sizes[:, None]]
    both = np.isin(other * count + owner, owner * count + other)
    return np.split(other[both], np.cumsum(np.bincount(owner[both], minlength=count))[:-1])


def _stretched(similarities: NDArray[np.float32]) -> Values:
    """Return the distances of one item, from 0 to 1; all 0 where all items are equally similar to it."""
    wide: Values = similarities.astype(np.float64)
    span = wide.max() - wide.min()
    distances: Values = (wide.max() - wide) / (span if span > 0 else 1.0)
    return distances


def _stepped(values: Values) -> Values:
    """Round to multiples of 2^-36."""
    stepped: Values = np.rint(values * _STEPS) / _STEPS
    return stepped
