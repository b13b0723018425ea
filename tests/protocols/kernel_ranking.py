"""Rank embeddings with the matrix kernels of this process and print what came out; started by test_kernels."""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from protocols.blas import openblas_kernels
from protocols.chance import chance
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.ranking import Ranking, rank_embeddings
from tests.protocols.cases import labels

QUERIES, ITEMS = 140, 1100
BUDGETS = (10**5, 2**19, 2**30)
WIDTHS = (48, 700)
"""Vectors of 700 elements are long enough to be cut, by some kernels in other places for one thread than for two."""


def digest(ranking: Ranking) -> str:
    arrays = (ranking.items, ranking.offsets, ranking.above, ranking.size, ranking.positives)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def digests(left: NDArray[np.float32], right: NDArray[np.float32], query: Labels, gallery: Labels) -> set[str]:
    """Rank with several budgets, in the order given and in another one, all queries at once and one by one."""
    found = set()
    for order in (np.arange(ITEMS), np.random.default_rng(1).permutation(ITEMS)):
        offered, known = right[order], gallery.take(order)
        for budget in BUDGETS:
            found.add(digest(rank_embeddings(left, offered, query, known, Exclusion.CAMERA, memory_budget=budget)))
        alone = [
            rank_embeddings(left[row : row + 1], offered, query.take([row]), known, Exclusion.CAMERA)
            for row in range(3)
        ]
        rest = rank_embeddings(left[3:], offered, query.take(np.arange(3, QUERIES)), known, Exclusion.CAMERA)
        found.add(digest(Ranking.concatenate([*alone, rest])))
    return found


def main() -> None:
    rng = np.random.default_rng(0)
    query, gallery = labels(rng, QUERIES, 20), labels(rng, ITEMS, 20)
    result: dict[str, object] = {"kernels": openblas_kernels()}
    for width in WIDTHS:
        left = rng.standard_normal((QUERIES, width)).astype(np.float32)
        right = rng.standard_normal((ITEMS, width)).astype(np.float32)
        right[::2] = right[1::2]  # Every item has a twin elsewhere.
        found = digests(left, right, query, gallery)
        sizes = rank_embeddings(left, right, query, gallery, Exclusion.CAMERA).size
        right[:] = right[0]
        constant = evaluate(rank_embeddings(left, right, query, gallery, Exclusion.CAMERA))
        expected = chance(constant.positives, constant.items)
        result[str(width)] = {
            "digests": sorted(found),
            "twins": float((sizes % 2 == 0).mean()),
            "constant is chance": constant.summary() == expected.summary(),
        }
    print(json.dumps(result))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
