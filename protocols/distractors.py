"""Galleries that grow: items of identities that nobody asks for, added in nested seeded subsets.

Distractors can only stand before positives or beside them. So it is enough to count, for every positive, how many
distractors of each subset have a higher score and how many have the same one: vectors stream by in blocks, and what
comes out is what ranking the whole gallery at once would give, ties included.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.arrays import FloatArray, Values
from protocols.exclusion import Exclusion, Labels
from protocols.ranking import DEFAULT_MEMORY_BUDGET, rank_embeddings
from protocols.relevance import Relevance
from protocols.scoring import TILE_GALLERY, TILE_QUERIES, check_finite, inner_products
from protocols.tie_groups import Ranking

SIZES = (100, 1_000, 10_000, 100_000)
"""Usual numbers of distractors, before all of them."""
BLOCK = 4 * TILE_GALLERY
"""Most distractors that are scored at once."""
_COPIES = 4
"""Of a block of scores that are held at once."""


def nested(count: int, sizes: Sequence[int] = SIZES, seed: int = 0) -> tuple[tuple[int, ...], NDArray[np.int8]]:
    """Draw nested subsets of ``count`` distractors: of these sizes, as far as they are smaller, and all of them.

    Returns:
        the sizes, ascending, and ``(count,)`` for each distractor the number of the smallest subset that it is in.

    Raises:
        ValueError: without distractors, or for a size below 1.
    """
    if count < 1 or any(size < 1 for size in sizes):
        raise ValueError(f"subsets have one distractor or more, not {sorted(sizes)} of {count}")
    kept = (*sorted({size for size in sizes if size < count}), count)
    place = np.empty(count, dtype=np.int64)
    place[np.random.default_rng(seed).permutation(count)] = np.arange(count)
    return kept, np.searchsorted(np.array(kept), place, side="right").astype(np.int8)


def rank_among(
    query_embeddings: FloatArray,
    gallery_embeddings: FloatArray,
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    blocks: Iterable[FloatArray],
    levels: NDArray[np.int8],
    *,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Ranking]:
    """Rank a gallery by itself, then with the distractors of each subset; places are those of items.

    Every query sees every distractor. Apart from the embeddings, memory holds one block and its scores.

    Args:
        query_embeddings: ``(nq, E)``.
        gallery_embeddings: ``(ng, E)``.
        query: labels of the nq queries.
        gallery: labels of the ng gallery items.
        exclusion: which gallery items a query must not see.
        blocks: the n distractors, ``(b, E)`` each, in their order; memory-mapped ones are read once.
        levels: ``(n,)`` the subset of each, see :func:`nested`.
        memory_budget: bytes for scores; one query and one tile of distractors are always taken.

    Raises:
        NonFiniteScoreError: for a NaN or infinite inner product; distractors are counted after the gallery.
        ValueError: when the shapes do not fit each other, the labels or the levels.
    """
    labels, count = (query, gallery), int(levels.max(initial=-1)) + 1
    whole = (query_embeddings, gallery_embeddings, *labels, exclusion)
    first = rank_embeddings(*whole, memory_budget=memory_budget)
    wanted = _wanted(*whole, memory_budget)
    queries, owner = np.ascontiguousarray(query_embeddings), first.owner
    borders = first.offsets.tolist()
    above, tied = np.zeros((2, count, len(wanted)), dtype=np.int64)
    tiles, done = memory_budget // (_COPIES * 4 * max(len(query), 1)) // TILE_GALLERY, 0
    for block in _cut(blocks, min(max(tiles, 1) * TILE_GALLERY, BLOCK)):
        scores = np.empty((len(queries), len(block)), dtype=np.float32)
        inner_products(queries, block, out=scores)
        check_finite(scores, first_gallery=len(gallery) + done)
        own = levels[done : done + len(block)]
        done += len(block)
        for level in np.unique(own).tolist():
            keys = np.sort(scores[:, own == level], axis=1)
            for row in np.unique(owner).tolist():
                mine = slice(borders[row], borders[row + 1])
                below = keys[row].searchsorted(wanted[mine], side="left")
                reached = keys[row].searchsorted(wanted[mine], side="right")
                above[level, mine] += keys.shape[1] - reached
                tied[level, mine] += reached - below
    if done != len(levels):
        raise ValueError(f"{done} distractors came for {len(levels)} levels")
    sizes = np.cumsum(np.bincount(levels, minlength=count))
    return [
        first,
        *(
            Ranking(first.items + n, first.offsets, first.above + more, first.size + beside, first.positives)
            for n, more, beside in zip(sizes, above.cumsum(axis=0), tied.cumsum(axis=0), strict=True)
        ),
    ]


def _cut(blocks: Iterable[FloatArray], rows: int) -> Iterable[FloatArray]:
    return (block[start : start + rows] for block in blocks for start in range(0, len(block), rows))


def _wanted(
    queries: FloatArray,
    items: FloatArray,
    query: Labels,
    gallery: Labels,
    exclusion: Exclusion,
    memory_budget: int,
) -> Values:
    """Return the score of each group of positives, in the order of a ranking: for each query the best first."""
    relevance, found = Relevance(query, gallery, exclusion), [np.zeros(0, dtype=np.float32)]
    rows = min(max(memory_budget // (4 * max(len(gallery), 1)), 1), TILE_QUERIES)
    for start in range(0, len(query), rows):
        part = queries[start : start + rows]
        scores = np.empty((len(part), len(gallery)), dtype=np.float32)
        inner_products(part, items, out=scores)
        pairs = relevance.pairs(start, start + len(part))
        seen = ~pairs.excluded
        owner, values = pairs.query[seen], scores[pairs.query[seen], pairs.gallery[seen]]
        order = np.lexsort((-values, owner))
        owner, values = owner[order], values[order]
        opens = np.ones(len(values), dtype=np.bool_)
        opens[1:] = (values[1:] != values[:-1]) | (owner[1:] != owner[:-1])
        found.append(values[opens])
    return np.concatenate(found)
