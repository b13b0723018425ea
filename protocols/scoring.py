"""Inner products of queries and gallery items: the score of a pair depends on its two vectors alone.

A matrix product adds up the same numbers in another order here than there: at the edge of a matrix, in a narrow one,
with another number of threads. Two copies of one image would then score a last bit apart and a tie be lost. So:

- *Exact sums*, on any processor and with any BLAS. Every vector x is rounded to multiples of 2^(e - 26), where e is
  the least integer with |x| < 2^(e + 0.4). In these units each product of two elements is an integer, and by Cauchy
  and Schwarz no sum of any of them exceeds |q| |g| < 2^53. Float64 holds all these integers, so every sum is exact in
  whatever order it is taken, fused or not; rounding it to float32 is a function of one number. The score is off by at
  most about 2^-26 sqrt(E) |q| |g|, less than what a sum in float32 usually loses.
- *Float32 in order*, twice as fast, where OpenBLAS runs its AVX-512 kernels (KERNEL.SKYLAKEX, which the later ones
  include). Their sgemm keeps one accumulator for each score and adds to it by fused multiply-add from the first
  element to the last, in the middle of a matrix and at its edges alike. It cuts long vectors where their length alone
  says, and, if that is a multiple of 32, in the same places for one thread and for many. Other routines take the
  place of sgemm only in small or narrow products. Hence zeros fill up the vectors to 32 and few rows to more.
  Elements that are 0 in all vectors of one side add nothing to any sum: they are left out, part by part between the
  cuts. MDReID's vectors have zeros for absent sensors, so over all protocols half of the work falls away.

Both give ties to equal vectors, and the same ranks in memory and from disk. They differ from each other in the last
bits of float32, so two processors may disagree on items whose scores are that close to each other.
"""

import mmap
from collections.abc import Iterator, Sized
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import FloatArray
from protocols.blas import cuts, multiply, openblas_kernels

TILE_QUERIES = 256
TILE_GALLERY = 1024
"""Rows of a tile."""
_TILES_AT_ONCE = 9
"""Most rows on either side of one product, in tiles: enough to keep the processor busy, few enough to hold."""
_FEW_QUERIES, _FEW_GALLERY = 64, 1024
"""Fewer rows than these are filled up to them: times 16 elements, OpenBLAS no longer calls the product small."""
_IN_ORDER = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
"""The kernels of OpenBLAS that add up the elements in their order wherever a score stands."""
_LENGTHS = 32
"""What the lengths of vectors are filled up to a multiple of, with zeros."""
_GROUP = 16
"""Elements that are left out together; cuts lie between such groups."""
_BITS = 26
"""Of a vector of length 1, how many bits its elements keep after the binary point."""


class NonFiniteScoreError(ValueError):
    """A score is NaN or infinite, so no rank follows from it; query and gallery item are named by their numbers."""

    def __init__(self, query: int, gallery: int, score: float) -> None:
        self.query, self.gallery, self.score = query, gallery, score
        super().__init__(f"The score of query {query} with gallery item {gallery} is {score}, not a finite number.")


def check_embeddings(query: FloatArray, gallery: FloatArray) -> None:
    """Raise a ValueError unless both are matrices with rows of one length."""
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(f"embeddings of shapes {query.shape} and {gallery.shape} have no inner product")


def check_labelled(query: FloatArray, gallery: FloatArray, query_labels: Sized, gallery_labels: Sized) -> None:
    """Raise a ValueError unless the embeddings fit each other and there is one for each label."""
    check_embeddings(query, gallery)
    if len(query) != len(query_labels) or len(gallery) != len(gallery_labels):
        raise ValueError(
            f"{len(query)} and {len(gallery)} embeddings do not fit"
            f" {len(query_labels)} labelled queries and {len(gallery_labels)} labelled gallery items"
        )


def check_finite(scores: FloatArray, first_query: int = 0, first_gallery: int = 0) -> None:
    """Raise NonFiniteScoreError for the first NaN or infinity of a block of scores.

    Args:
        scores: ``(queries, gallery items)``.
        first_query: number of the query in the first row.
        first_gallery: number of the gallery item in the first column.
    """
    if not scores.size or (np.isfinite(scores.min()) and np.isfinite(scores.max())):
        return
    for row, values in enumerate(scores):
        columns = np.flatnonzero(~np.isfinite(values))
        if columns.size:
            column = int(columns[0])
            raise NonFiniteScoreError(first_query + row, first_gallery + column, float(values[column]))


def inner_products(query: FloatArray, gallery: FloatArray, out: NDArray[np.float32]) -> None:
    """Write the inner product of every query with every gallery item into ``out``, in float32.

    Apart from ``out``, memory holds a copy of the queries and a few tiles; a memory-mapped gallery is read once and
    its pages are given back as soon as they have been used.

    Args:
        query: ``(nq, E)`` embeddings.
        gallery: ``(ng, E)`` embeddings, float16 or float32, in memory or memory-mapped.
        out: ``(nq, ng)``.
    """
    # Overflow and NaN are for check_finite to report, which knows whose they are.
    with np.errstate(over="ignore", invalid="ignore"):
        if openblas_kernels() in _IN_ORDER:
            _block_by_block(_Ordered, query, gallery, out)
        else:
            _block_by_block(_Exact, query, gallery, out)


def _even(count: int, tile: int) -> int:
    """Return how many of so many rows are taken at once: as many each time, because a few would be filled up."""
    return -(-count // -(-max(count, 1) // (_TILES_AT_ONCE * tile))) or 1


def _row_by_row(matrix: FloatArray) -> bool:
    """Tell whether rows follow each other in memory, with or without gaps, and elements within a row without."""
    return matrix.strides[1] == matrix.itemsize and matrix.strides[0] >= matrix.shape[1] * matrix.itemsize


class _Ordered:
    """Vectors of one side of a product in float32, whose sums are taken in the order of the elements.

    Attributes:
        rows: with zeros added: rows up to ``few``, columns up to a multiple of 32; no copy where none are missing.
        empty: groups of columns that are 0 in all rows; of such ones side by side all are found or none.
    """

    def __init__(self, vectors: FloatArray, few: int) -> None:
        count, length = vectors.shape
        shape = max(count, few), -(-length // _LENGTHS) * _LENGTHS
        if vectors.dtype == np.float32 and vectors.shape == shape and _row_by_row(vectors):
            self.rows: NDArray[np.float32] = np.asarray(vectors)
        else:
            self.rows = np.zeros(shape, dtype=np.float32)
            self.rows[:count, :length] = vectors
        ends = self.rows[[0, count - 1]].reshape(2, -1, _GROUP)
        self.empty: NDArray[np.bool_] = (ends == 0).all(axis=(0, 2))
        for groups, columns in self._runs(self.empty):
            self.empty[groups] = columns.min() == columns.max() == 0

    def times(self, other: "_Ordered", out: NDArray[np.float32]) -> None:
        """Multiply and keep as much of the product as ``out`` asks for."""
        whole = out.shape == (len(self.rows), len(other.rows)) and out.dtype == np.float32 and _row_by_row(out)
        target = out if whole else np.empty((len(self.rows), len(other.rows)), dtype=np.float32)
        parts = self._parts(other)
        for start, stop in parts:
            multiply(self.rows[:, start:stop], other.rows[:, start:stop], target, add=start > parts[0][0])
        if not parts:
            target[...] = 0
        if not whole:
            out[...] = target[: out.shape[0], : out.shape[1]]

    def _parts(self, other: "_Ordered") -> list[tuple[int, int]]:
        """Return the ranges of columns that are multiplied, at most one between two cuts of the whole; ascending."""
        length = self.rows.shape[1]
        used = ~(self._adds_nothing_to(other) | other._adds_nothing_to(self))
        if used.all() or any(cut % _GROUP for cut in cuts(length)):
            return [(0, length)]
        found = []
        for start, stop in pairwise([0, *cuts(length), length]):
            groups = np.flatnonzero(used[start // _GROUP : stop // _GROUP]).tolist()
            if groups:
                found.append((start + groups[0] * _GROUP, start + (groups[-1] + 1) * _GROUP))
        return found

    def _adds_nothing_to(self, other: "_Ordered") -> NDArray[np.bool_]:
        """Tell which empty groups of columns meet nothing but numbers; 0 times infinity would be NaN."""
        result: NDArray[np.bool_] = self.empty.copy()
        for groups, columns in other._runs(self.empty & ~other.empty):
            result[groups] = np.isfinite(columns.sum())
        return result

    def _runs(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield groups of columns that follow each other, and the columns themselves."""
        borders = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
        for start, stop in borders.reshape(-1, 2).tolist():
            yield slice(start, stop), self.rows[:, start * _GROUP : stop * _GROUP]


class _Exact:
    """Vectors of one side of a product, rounded to multiples of a power of two, in float64."""

    def __init__(self, vectors: FloatArray, few: int) -> None:
        self.rows = _whole_steps(vectors)

    def times(self, other: "_Exact", out: NDArray[np.float32]) -> None:
        """Multiply and round to float32."""
        out[...] = np.matmul(self.rows, other.rows.T)


def _whole_steps(rows: FloatArray) -> FloatArray:
    """Round each row to its multiples of a power of two, in float64."""
    exact = rows.astype(np.float32, copy=False).astype(np.float64, order="C")
    _, exponent = np.frexp(2**-0.4 * np.sqrt(np.square(exact).sum(axis=1)))
    # Float64 has 52 bits after the leading one: next to 1.5 * 2^52 steps it holds whole steps only.
    rounder = np.ldexp(1.5 * 2.0 ** (52 - _BITS), exponent)[:, None]
    exact += rounder
    exact -= rounder
    return exact


_Side = TypeVar("_Side", _Ordered, _Exact)


def _block_by_block(side: type[_Side], query: FloatArray, gallery: FloatArray, out: NDArray[np.float32]) -> None:
    """Multiply in one of both ways."""
    height, width = _even(len(query), TILE_QUERIES), _even(len(gallery), TILE_GALLERY)
    lefts = [side(query[row : row + height], _FEW_QUERIES) for row in range(0, len(query), height)]
    for column in range(0, len(gallery), width):
        right = side(gallery[column : column + width], _FEW_GALLERY)
        for number, left in enumerate(lefts):
            row = number * height
            left.times(right, out[row : row + height, column : column + width])
        release_pages(gallery)


def release_pages(array: FloatArray) -> None:
    """Give the pages of a memory-mapped array back to the system; they are read again when next touched.

    Without this a gallery larger than memory counts in full as memory of the process. Arrays in memory are left
    alone, as are copy-on-write maps, which would lose what was written to them.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c":
            return
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
