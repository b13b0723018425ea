"""ROL and KDL against literal transcriptions, their known values and bounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mdreid_bench.losses.knowledge_discrepancy import knowledge_discrepancy
from mdreid_bench.losses.orthogonality import ideal_similarity, orthogonality_paper, orthogonality_released


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


def _ideal(i: int, j: int) -> float:
    return 1.0 if i == j or (i >= 3 and j >= 3) else 0.0


def _naive_paper(vectors: Tensor) -> float:
    per_sample = [sum((_cosine(v[i], v[j]) - _ideal(i, j)) ** 2 for i in range(6) for j in range(6)) for v in vectors]
    return sum(per_sample) / len(per_sample)


def _naive_released(vectors: Tensor) -> float:
    total = 0.0
    for v in vectors:
        cosines = [[_cosine(v[i], v[j]) for j in range(6)] for i in range(6)]
        rows = [[x / math.sqrt(sum(y * y for y in row) + 1e-6) for x in row] for row in cosines]
        for i in range(6):
            for j in range(6):
                second = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
                total += (second - _ideal(i, j)) ** 2 / 36
    return total / len(vectors)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 9))
def test_both_forms_equal_their_transcription(seed: int, batch: int, width: int) -> None:
    vectors = _random(seed, batch, 6, width)
    assert math.isclose(orthogonality_paper(vectors).item(), _naive_paper(vectors), rel_tol=1e-9)
    assert math.isclose(orthogonality_released(vectors).item(), _naive_released(vectors), rel_tol=1e-9)


def test_ideal_configuration_costs_nothing() -> None:
    basis = torch.eye(4)
    vectors = torch.stack([basis[0], basis[1], basis[2], basis[3], basis[3], basis[3]])[None]
    assert orthogonality_paper(vectors).item() == pytest.approx(0, abs=1e-6)
    assert orthogonality_released(vectors).item() == pytest.approx(0, abs=1e-5)


def test_six_equal_vectors() -> None:
    vectors = torch.ones(2, 6, 8)
    assert orthogonality_paper(vectors).item() == pytest.approx(24, abs=1e-4)
    assert orthogonality_released(vectors).item() == pytest.approx(2 / 3, abs=1e-4)


def test_ideal_similarity_is_block_diagonal() -> None:
    assert ideal_similarity(3).tolist() == [[_ideal(i, j) for j in range(6)] for i in range(6)]


def _naive_kdl(specific: Tensor, shared: Tensor, identity: Tensor) -> float:
    def extremes(x: Tensor) -> tuple[float, float]:
        positives, negatives = [], []
        for a in range(len(x)):
            distances = [math.sqrt(max(float((x[a] - x[b]).square().sum()), 1e-12)) for b in range(len(x))]
            positives.append(max(d for b, d in enumerate(distances) if identity[b] == identity[a]))
            negatives.append(min(d for b, d in enumerate(distances) if identity[b] != identity[a]))
        return max(positives), min(negatives)

    (p_all, n_all), (p_sp, n_sp), (p_sh, n_sh) = map(extremes, (torch.cat([specific, shared], 1), specific, shared))
    return abs(p_all / (p_all + p_sp + p_sh)) + abs(n_all / (n_all + n_sp + n_sh) - 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 3))
def test_kdl_equals_its_transcription_within_its_bounds(seed: int, identities: int, instances: int) -> None:
    specific, shared = _random(seed, identities * instances, 5), _random(seed + 1, identities * instances, 5)
    identity = torch.arange(identities).repeat_interleave(instances)
    loss = knowledge_discrepancy(specific, shared, identity).item()
    assert math.isclose(loss, _naive_kdl(specific, shared, identity), rel_tol=1e-9)
    assert 1 / 3 - 1e-9 <= loss <= 0.5 + (2 - math.sqrt(2)) + 1e-9
