"""Identity-balanced batches that depend on nothing but the seed and the epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.errors import UsageError


class IdentityBatches:
    """The PK sampler of the released code, with explicit random draws.

    See docs/methods/training.md, "Identity-balanced batches". Every batch holds P = size / instances identities in
    contiguous blocks of ``instances`` samples. An identity's samples are shuffled, drawn with replacement first if
    there are too few, and cut into chunks; the epoch ends when fewer than P identities have a chunk left.

    Args:
        labels: (n,) identity of every training item; those below 0 are left out.
        size: items per batch.
        instances: items per identity K.

    Raises:
        UsageError: when there are fewer identities than a batch needs.
    """

    def __init__(self, labels: NDArray[np.int64], size: int, instances: int, seed: int) -> None:
        self.rows = {int(i): np.flatnonzero(labels == i) for i in np.unique(labels[labels >= 0])}
        self.instances, self.identities, self.seed = instances, size // instances, seed
        _check(len(self.rows), size, instances)

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


class UnpairedBatches:
    """Batches of P identities with K images of each sensor, every row of a sensor a draw of its own.

    Images are drawn with replacement, and an epoch has as many batches as it takes to draw as many images as the
    sensor with the most has: the sampler of Ye et al., "Channel Augmented Joint Learning for Visible-Infrared
    Recognition", ICCV 2021. See :class:`IdentityBatches` for the other arguments.

    Args:
        seen: for each sensor (n,) whether it saw the item; identities that a sensor never saw are left out.

    Raises:
        UsageError: when there are fewer identities than a batch needs.
    """

    def __init__(
        self, labels: NDArray[np.int64], seen: Sequence[NDArray[np.bool_]], size: int, instances: int, seed: int
    ) -> None:
        named = np.unique(labels[labels >= 0])
        rows = {int(i): [np.flatnonzero((labels == i) & own) for own in seen] for i in named}
        self.rows = {identity: own for identity, own in rows.items() if all(map(len, own))}
        self.instances, self.identities, self.seed = instances, size // instances, seed
        _check(len(self.rows), size, instances)
        most = max(sum(len(own[sensor]) for own in self.rows.values()) for sensor in range(len(seen)))
        self.batches = max(1, most // size)

    def epoch(self, number: int) -> Iterator[NDArray[np.int64]]:
        """Yield the batches of epoch ``number`` as row numbers, each (size, sensors)."""
        rng = np.random.default_rng((self.seed, number, 7919))
        for _ in range(self.batches):
            chosen = rng.choice(sorted(self.rows), size=self.identities, replace=False)
            drawn = [[rng.choice(own, size=self.instances) for own in self.rows[int(i)]] for i in chosen]
            yield np.concatenate([np.stack(columns, axis=1) for columns in drawn])


def _check(found: int, size: int, instances: int) -> None:
    if size // instances > found:
        raise UsageError(
            f"A batch of {size} with {instances} per identity needs {size} / {instances} = {size // instances} "
            f"identities, but the training set has {found}; lower batch.size or raise batch.instances."
        )
