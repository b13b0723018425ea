"""Triplet and identity losses against literal loops in float64."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import euclidean_distances, hardest_pairs, soft_margin_triplet


def _batch(seed: int, identities: int, instances: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(identities * instances, width, generator=generator, dtype=torch.float64)
    return features, torch.arange(identities).repeat_interleave(instances)


def _naive_triplet(features: Tensor, identity: Tensor) -> float:
    x, y = features.numpy(), identity.numpy()
    total = 0.0
    for a in range(len(x)):
        distances = [max(math.dist(x[a], x[b]), 1e-6) for b in range(len(x))]
        positive = max(d for b, d in enumerate(distances) if y[b] == y[a])
        negative = min(d for b, d in enumerate(distances) if y[b] != y[a])
        total += math.log1p(math.exp(positive - negative))
    return total / len(x)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 4), st.integers(1, 8))
def test_triplet_equals_the_loop(seed: int, identities: int, instances: int, width: int) -> None:
    features, identity = _batch(seed, identities, instances, width)
    loss = soft_margin_triplet(features, identity).item()
    assert math.isclose(loss, _naive_triplet(features, identity), rel_tol=1e-9)


def test_triplet_by_hand() -> None:
    features = torch.tensor([[0.0], [3.0], [10.0], [14.0]], dtype=torch.float64)
    identity = torch.tensor([0, 0, 1, 1])
    # hardest positives 3, 3, 4, 4; hardest negatives 10, 7, 7, 11
    expected = np.mean(np.log1p(np.exp(np.array([3 - 10, 3 - 7, 4 - 7, 4 - 11]))))
    assert math.isclose(soft_margin_triplet(features, identity).item(), expected, rel_tol=1e-9)


def test_order_of_the_batch_does_not_matter() -> None:
    features, identity = _batch(0, 4, 3, 6)
    order = torch.randperm(len(identity), generator=torch.Generator().manual_seed(1))
    first = soft_margin_triplet(features, identity)
    assert torch.allclose(first, soft_margin_triplet(features[order], identity[order]), atol=1e-6)


def test_distance_zero_has_a_finite_gradient() -> None:
    features = torch.zeros(4, 3, requires_grad=True)
    soft_margin_triplet(features, torch.tensor([0, 0, 1, 1])).backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_hardest_pairs_count_the_anchor_among_its_positives() -> None:
    distances = torch.tensor([[0.0, 5.0], [5.0, 0.0]])
    positive, negative = hardest_pairs(distances, torch.tensor([0, 1]))
    assert positive.tolist() == [0.0, 0.0]
    assert negative.tolist() == [5.0, 5.0]


def test_distances_by_hand() -> None:
    found = euclidean_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64))
    assert torch.allclose(found, torch.tensor([[1e-6, 5.0], [5.0, 1e-6]], dtype=torch.float64))


def test_identity_loss_equals_its_formula() -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    identity = torch.tensor([0, 3, 6, 3, 1])
    expected = 0.0
    for row, label in zip(logits, identity, strict=True):
        log_p = row - row.exp().sum().log()
        target = [0.1 / 7 + (0.9 if c == label else 0.0) for c in range(7)]
        expected -= sum(t * p.item() for t, p in zip(target, log_p, strict=True)) / 5
    assert math.isclose(identity_loss(logits, identity).item(), expected, rel_tol=1e-9)
