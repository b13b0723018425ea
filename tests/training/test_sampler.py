"""Identity-balanced batches: structure, coverage, reproducibility."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.errors import UsageError
from mdreid_bench.training.sampler import IdentityBatches


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=3, max_size=8),
    instances=st.integers(2, 4),
    identities=st.integers(2, 3),
    seed=st.integers(0, 99),
)
def test_every_batch_is_balanced(counts: list[int], instances: int, identities: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    sampler = IdentityBatches(labels, identities * instances, instances, seed)
    used: list[int] = []
    for batch in sampler.epoch(1):
        blocks = labels[batch].reshape(identities, instances)
        assert (blocks == blocks[:, :1]).all()
        assert len(np.unique(blocks[:, 0])) == identities
        used += batch.tolist()
    repeated = [row for row in used if used.count(row) > 1]
    assert all(counts[labels[row]] < instances for row in repeated)
    # an epoch ends only when too few identities have a chunk left
    chunks = {i: max(n, instances) // instances for i, n in enumerate(counts)}
    for row_block in np.array(used).reshape(-1, instances):
        chunks[int(labels[row_block[0]])] -= 1
    assert sum(left > 0 for left in chunks.values()) < identities


def test_epochs_differ_and_repeat_with_the_seed() -> None:
    labels = np.repeat(np.arange(6), 8)
    first, again, other = (IdentityBatches(labels, 8, 4, seed) for seed in (1, 1, 2))

    def rows(sampler: IdentityBatches, epoch: int) -> list[int]:
        return [int(row) for batch in sampler.epoch(epoch) for row in batch]

    assert rows(first, 3) == rows(again, 3)
    assert rows(first, 3) != rows(first, 4)
    assert rows(first, 3) != rows(other, 3)


def test_published_iteration_count_on_uniform_identities() -> None:
    """8 identities x 16 samples, K = 8, P = 8: two chunks each, two full batches."""
    sampler = IdentityBatches(np.repeat(np.arange(8), 16), 64, 8, 0)
    assert len(list(sampler.epoch(1))) == 2


def test_too_few_identities_are_refused_with_the_arithmetic() -> None:
    with pytest.raises(UsageError, match=r"64 / 8 = 8 identities, but the training set has 5"):
        IdentityBatches(np.arange(5), 64, 8, 0)
