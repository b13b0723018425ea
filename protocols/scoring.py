"""Inner products of queries and gallery items that do not depend on where in the matrix an item stands.

A matrix product may round differently at the edge of a matrix, or in a narrow one, than elsewhere; then two copies
of one image, or one image under two chunk sizes, score a last bit apart and a tie is lost. Here both sides of every
product are padded with zero rows to whole tiles, which leaves no edge. With OpenBLAS, which NumPy ships, the score of
a pair thus depends on its two vectors alone, and ranking from disk equals ranking in memory bit for bit.
"""

import mmap
from collections.abc import Sized

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import FloatArray

TILE_QUERIES = 256
TILE_GALLERY = 1024
"""Rows of a tile."""
_TILES_AT_ONCE = 4
"""Most tiles on either side of one product: enough to keep the processor busy, few enough to hold as float32."""


class NonFiniteScoreError(ValueError):
    """A score is NaN or infinite, so no rank follows from it.

    Attributes:
        query: number of the query.
        gallery: number of the gallery item.
        score: the value found.
    """

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
    height, width = _TILES_AT_ONCE * TILE_QUERIES, _TILES_AT_ONCE * TILE_GALLERY
    # Overflow and NaN are for check_finite to report, which knows whose they are.
    with np.errstate(over="ignore", invalid="ignore"):
        lefts = [_whole_tiles(query[row : row + height], TILE_QUERIES) for row in range(0, len(query), height)]
        for column in range(0, len(gallery), width):
            right = _whole_tiles(gallery[column : column + width], TILE_GALLERY)
            for number, left in enumerate(lefts):
                row = number * height
                _multiply(left, right, out[row : row + height, column : column + width])
            release_pages(gallery)


def _multiply(left: NDArray[np.float32], right: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Multiply whole tiles and keep as much of the product as ``out`` asks for."""
    rows, columns = out.shape
    if (rows, columns) == (len(left), len(right)):
        np.matmul(left, right.T, out=out)
    else:
        out[...] = np.matmul(left, right.T)[:rows, :columns]


def _whole_tiles(rows: FloatArray, tile: int) -> NDArray[np.float32]:
    """Copy the rows as float32 and add zero rows up to a multiple of the tile.

    It is always a copy, because NumPy computes the product of an array with itself in a different way.
    """
    padded = np.zeros((-(-len(rows) // tile) * tile, rows.shape[1]), dtype=np.float32)
    padded[: len(rows)] = rows
    return padded


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
