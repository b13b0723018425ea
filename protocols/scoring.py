"""Inner products of queries and gallery items: the score of a pair depends on its two vectors alone.

A matrix product adds up the same numbers in another order here than there: at the edge of a matrix, in a narrow one,
with another number of threads. Two copies of one image would then score a last bit apart and a tie be lost. So:

- *Exact sums*, on any processor and with any BLAS. Every vector x is rounded to multiples of 2^(e - 26), where e is
  the least integer with |x| < 2^(e + 0.4). In these units each product of two elements is an integer, and by Cauchy
  and Schwarz no sum of any of them exceeds |q| |g| < 2^53. Float64 holds all these integers, so every sum is exact in
  whatever order it is taken, fused or not; rounding it to float32 is a function of one number. The score is off by at
  most about 2^-26 sqrt(E) |q| |g|, less than what a sum in float32 usually loses.
- *Float32 in whole tiles*, twice as fast, where OpenBLAS runs its AVX-512 kernels (KERNEL.SKYLAKEX, which the later
  ones include). Their sgemm keeps one accumulator for each score and adds to it by fused multiply-add from the first
  element to the last, in the middle of a matrix and at its edges alike. It cuts long vectors where their length alone
  says, and, if that is a multiple of 32, in the same places for one thread and for many. Other routines take the
  place of sgemm only in small or narrow products. Hence zeros fill up the rows to tiles and the vectors to 32.

Both give ties to equal vectors, and the same ranks in memory and from disk. They differ from each other in the last
bits of float32, so two processors may disagree on items whose scores are that close to each other.
"""

import mmap
from collections.abc import Sized

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import FloatArray
from protocols.blas import openblas_kernels

TILE_QUERIES = 256
TILE_GALLERY = 1024
"""Rows of a tile."""
_TILES_AT_ONCE = 4
"""Most tiles on either side of one product: enough to keep the processor busy, few enough to hold."""
_IN_ORDER = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
"""The kernels of OpenBLAS that add up the elements in their order wherever a score stands."""
_LENGTHS = 32
"""What the lengths of vectors are filled up to a multiple of, with zeros."""
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
    prepare = _whole_tiles if openblas_kernels() in _IN_ORDER else _whole_steps
    height, width = _TILES_AT_ONCE * TILE_QUERIES, _TILES_AT_ONCE * TILE_GALLERY
    # Overflow and NaN are for check_finite to report, which knows whose they are.
    with np.errstate(over="ignore", invalid="ignore"):
        lefts = [prepare(query[row : row + height], TILE_QUERIES) for row in range(0, len(query), height)]
        for column in range(0, len(gallery), width):
            right = prepare(gallery[column : column + width], TILE_GALLERY)
            for number, left in enumerate(lefts):
                row = number * height
                _multiply(left, right, out[row : row + height, column : column + width])
            release_pages(gallery)


def _multiply(left: FloatArray, right: FloatArray, out: NDArray[np.float32]) -> None:
    """Multiply and keep as much of the product as ``out`` asks for, as float32."""
    rows, columns = out.shape
    if (rows, columns, out.dtype) == (len(left), len(right), left.dtype):
        np.matmul(left, right.T, out=out)
    else:
        out[...] = np.matmul(left, right.T)[:rows, :columns]


def _whole_tiles(rows: FloatArray, tile: int) -> FloatArray:
    """Copy the rows as float32 and add zeros: rows up to a multiple of the tile, columns up to one of 32.

    It is always a copy, because NumPy computes the product of an array with itself in a different way.
    """
    count, length = rows.shape
    padded = np.zeros((-(-count // tile) * tile, -(-length // _LENGTHS) * _LENGTHS), dtype=np.float32)
    padded[:count, :length] = rows
    return padded


def _whole_steps(rows: FloatArray, tile: int) -> FloatArray:
    """Round each row to its multiples of a power of two, in float64; the tile plays no part."""
    exact = rows.astype(np.float32, copy=False).astype(np.float64, order="C")
    _, exponent = np.frexp(2**-0.4 * np.sqrt(np.square(exact).sum(axis=1)))
    # Float64 has 52 bits after the leading one: next to 1.5 * 2^52 steps it holds whole steps only.
    rounder = np.ldexp(1.5 * 2.0 ** (52 - _BITS), exponent)[:, None]
    exact += rounder
    exact -= rounder
    return exact


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
