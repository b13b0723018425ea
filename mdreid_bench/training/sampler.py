"""Identity-balanced batches that depend on nothing but the seed and the epoch."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.errors import UsageError


class IdentityBatches:
    """The PK sampler of the released code, with explicit random draws.

    See docs/methods/training.md, "Identity-balanced batches". Every batch holds P = size / instances identities in
    contiguous blocks of ``instances`` samples. An identity's samples are shuffled, drawn with replacement first if
    there are too few, and cut into chunks; the epoch ends when fewer than P identities have a chunk left.

    Args:
        labels: (n,) identity of every training triplet.
        size: triplets per batch.
        instances: triplets per identity K.
        seed: of the run.

    Raises:
        UsageError: when there are fewer identities than a batch needs.
    """

    def __init__(self, labels: NDArray[np.int64], size: int, instances: int, seed: int) -> None:
        self.rows = {int(i): np.flatnonzero(labels == i) for i in np.unique(labels)}
        self.instances, self.identities, self.seed = instances, size // instances, seed
        if self.identities > len(self.rows):
            raise UsageError(
                f"A batch of {size} with {instances} per identity needs {size} / {instances} = {self.identities} "
                f"identities, but the training set has {len(self.rows)}; lower batch.size or raise batch.instances."
            )

    def epoch(self, number: int) -> Iterator[NDArray[np.int64]]:
        """Yield the batches of epoch ``number`` as row numbers, each (size,)."""
        rng = np.random.default_rng((self.seed, number, 7919))
        chunks = {identity: self._chunks(rows, rng) for identity, rows in self.rows.items()}
        left = sorted(chunks)
        while len(left) >= self.identities:
            chosen = rng.choice(len(left), size=self.identities, replace=False)
            picked = [left[i] for i in chosen]
            yield np.concatenate([chunks[identity].pop() for identity in picked])
            left = [identity for identity in left if chunks[identity]]

    def _chunks(self, rows: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
        k = self.instances
        if len(rows) < k:
            rows = rng.choice(rows, size=k, replace=True)
        shuffled = rng.permutation(rows)
        return [shuffled[i : i + k] for i in range(0, len(shuffled) - k + 1, k)]
