"""The parts of MAN against the paper's equations, read one after the other, in double precision."""

import math
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.man.card import Reduction
from baselines.man.clustering import aligned, consistency, kmeans, nearest_to_centres
from baselines.man.distribution_alignment import domain_alignment, modality_alignment
from baselines.man.memory import CrossBatchMemory
from baselines.man.prototypes import prototypes, update
from mdreid_bench.losses.hinge_triplet import hinge_triplet
from protocols.modality import RNT, Modality

TOLERANCE = 1e-6
Rows = list[list[float]]
Vectors = NDArray[np.float64]


def _vectors(seed: int, count: int, width: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(count, width, generator=generator, dtype=torch.float64) + 0.2
    return torch.nn.functional.normalize(found, dim=1)


def _by_sensor(seed: int, count: int) -> dict[Modality, Tensor]:
    return {m: _vectors(10 * seed + m.value, count) for m in RNT}


def _squared(x: Any, y: Any) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True))


def _discrepancy(first: Tensor, second: Tensor) -> float:
    """Eq. 12 and 13 with the sum of five kernels around the mean squared distance of two different rows."""
    rows = [*first, *second]
    mean = sum(_squared(x, y) for x in rows for y in rows) / (len(rows) ** 2 - len(rows))

    def kernel_mean(left: Tensor, right: Tensor) -> float:
        total = 0.0
        for x in left:
            for y in right:
                total += sum(math.exp(-_squared(x, y) / (mean / 4 * 2**i + 1e-9)) for i in range(5))
        return total / (len(left) * len(right))

    return kernel_mean(first, first) + kernel_mean(second, second) - 2 * kernel_mean(first, second)


def _reduced(values: list[float], margin: float, reduction: Reduction, hinge: bool) -> float:
    apart = [max(0.0, v - margin) if hinge else abs(margin - v) for v in values]
    return {"mean": sum(apart) / len(apart), "sum": sum(apart), "max": max(apart)}[reduction]


READINGS: list[tuple[Reduction, bool]] = [(how, hinge) for how in ("mean", "max", "sum") for hinge in (False, True)]


@pytest.mark.parametrize(("reduction", "hinge"), READINGS)
def test_domain_alignment_is_equations_12_to_16(reduction: Reduction, hinge: bool) -> None:
    source, target = _by_sensor(1, 6), _by_sensor(2, 4)
    known, guessed = _by_sensor(3, 3), _by_sensor(4, 5)
    for instances, bank in ((source, guessed), (target, known)):
        within = sum(_discrepancy(instances[m], bank[m]) for m in RNT)
        across = [_discrepancy(instances[i], bank[j]) for i, j in permutations(RNT, 2)]
        wanted = within + _reduced(across, 0.5, reduction, hinge)
        found = domain_alignment(instances, bank, 0.5, reduction, hinge=hinge)
        assert found.item() == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize(("reduction", "hinge"), READINGS)
def test_modality_alignment_is_equations_17_to_19(reduction: Reduction, hinge: bool) -> None:
    instances, bank = _by_sensor(1, 6), _by_sensor(3, 3)

    def centre(rows: Tensor) -> list[float]:
        return [sum(float(x[d]) for x in rows) / len(rows) for d in range(rows.shape[1])]

    features, prototypes_ = ({m: centre(x) for m, x in side.items()} for side in (instances, bank))
    wanted = 0.0
    for first, second in ((features, features), (prototypes_, prototypes_), (features, prototypes_)):
        distances = [_squared(first[i], second[j]) for i, j in permutations(RNT, 2)]
        wanted += _reduced(distances, 0.5, reduction, hinge)
    found = modality_alignment(instances, bank, 0.5, reduction, hinge=hinge)
    assert found.item() == pytest.approx(wanted, abs=TOLERANCE)


def test_with_one_sensor_nothing_lies_between_sensors() -> None:
    only = next(iter(RNT))
    instances, bank = {only: _vectors(1, 6)}, {only: _vectors(2, 3)}
    assert modality_alignment(instances, bank, 0.5).item() == 0
    within = _discrepancy(instances[only], bank[only])
    assert domain_alignment(instances, bank, 0.5).item() == pytest.approx(within, abs=TOLERANCE)
    features, centres = ({only: side[only].to("meta")} for side in (instances, bank))
    assert modality_alignment(features, centres, 0.5).device.type == "meta"


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("mean", [False, True])
def test_prototypes_are_equation_7(literal: bool, mean: bool) -> None:
    features, labels = 3 * _vectors(5, 9), torch.tensor([2, 0, 2, 2, 0, 0, 4, 2, 0])
    found = prototypes(features, labels, 5, literal=literal, mean=mean)
    for label in (0, 2, 4):
        rows = [x.tolist() for x in features[labels == label]]
        centre = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        length = math.sqrt(_squared(centre, [0.0] * 5))
        scores = []
        for row in rows:
            likeness = sum(a * b for a, b in zip(row, centre, strict=True))
            distance = 1 - likeness / math.sqrt(_squared(row, [0.0] * 5)) / length
            scores.append(0.0 if mean else 1 - distance)
        weights = [math.exp(s) / sum(math.exp(t) for t in scores) for s in scores]
        wanted = [sum(w * row[d] for w, row in zip(weights, rows, strict=True)) for d in range(5)]
        if literal:
            wanted = [value / len(rows) for value in wanted]
        else:
            norm = math.sqrt(_squared(wanted, [0.0] * 5))
            wanted = [value / norm for value in wanted]
        assert found[label].tolist() == pytest.approx(wanted, abs=TOLERANCE)
    assert found[[1, 3]].isnan().all()


def test_an_item_near_the_centre_weighs_more() -> None:
    features = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.zeros(3, dtype=torch.int64)
    weighted, plain = (prototypes(features, labels, 1, mean=mean)[0] for mean in (False, True))
    assert weighted[0] / weighted[1] > plain[0] / plain[1]


@pytest.mark.parametrize("literal", [False, True])
def test_the_bank_moves_by_equation_11(literal: bool) -> None:
    bank, features, labels = _vectors(6, 4), _vectors(7, 6), torch.tensor([3, 1, 3, 3, 1, 1])
    wanted = bank.tolist()
    for label in (1, 3):
        rows = features[labels == label].tolist()
        mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        moved = [0.99 * v + (1 - 0.99) * f for v, f in zip(wanted[label], mean, strict=True)]
        norm = 1.0 if literal else math.sqrt(_squared(moved, [0.0] * 5))
        wanted[label] = [value / norm for value in moved]
    backwards = bank.clone()
    update(bank, features, labels, 0.99, literal=literal)
    torch.testing.assert_close(bank, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=TOLERANCE)
    update(backwards, features.flip(0), labels.flip(0), 0.99, literal=literal)
    torch.testing.assert_close(bank, backwards, rtol=0, atol=1e-12)


def test_alignment_is_the_cheapest_of_all_pairings() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        clusters = int(rng.integers(2, 6))
        reference, labels = rng.integers(0, clusters, (2, 14))
        costs = {}
        for naming in permutations(range(clusters)):
            # naming[j] is the cluster of the reference that cluster j is paired with.
            costs[naming] = sum(
                sum(int((reference[s] == naming[j]) != (labels[s] == j)) for s in range(14)) for j in range(clusters)
            )
        best = [naming for naming, cost in costs.items() if cost == min(costs.values())]
        renamed = {tuple(naming[j] for j in labels) for naming in best}
        assert tuple(aligned(labels, reference, clusters)) in renamed


def test_labels_that_are_only_named_otherwise_are_aligned_exactly() -> None:
    reference = np.random.default_rng(1).integers(0, 20, 300)
    names = np.random.default_rng(2).permutation(20)
    assert np.array_equal(aligned(names[reference], reference, 20), reference)


def test_consistency_is_equation_5() -> None:
    labels = {kind: np.array(found) for kind, found in zip("FRNT", _all_agreements(), strict=True)}
    wanted = []
    for sample in range(len(labels["F"])):
        pairs = list(combinations("FRNT", 2))
        wanted.append(sum(int(labels[a][sample] == labels[b][sample]) for a, b in pairs) / len(pairs))
    assert consistency(labels).tolist() == wanted
    assert set(wanted) == {1, 1 / 2, 1 / 3, 1 / 6, 0}


def _all_agreements() -> list[list[int]]:
    """Return labels of four kinds for samples of which four, three, two and two, two and none are equal."""
    samples = [(7, 7, 7, 7), (1, 7, 7, 7), (1, 1, 2, 2), (1, 1, 2, 3), (0, 1, 2, 3)]
    return [[sample[kind] for sample in samples] for kind in range(4)]


def test_kmeans_finds_what_lies_together() -> None:
    rng = np.random.default_rng(3)
    centres = 10 * rng.standard_normal((6, 8))
    true = rng.integers(0, 6, 240)
    features = (centres[true] + rng.standard_normal((240, 8))).astype(np.float32)
    for algorithm in ("lloyd", "minibatch", "faiss"):
        found = kmeans(features, 6, 1, algorithm, restarts=5)
        assert found.dtype == np.int64
        assert np.array_equal(aligned(found, true, 6), true), algorithm
        assert np.array_equal(kmeans(features, 6, 1, algorithm, restarts=5), found), algorithm


def test_the_nearest_to_a_centre_by_hand() -> None:
    features = np.array([[0.0], [1.0], [5.0], [10.0], [11.0], [30.0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 2, 2, 2])
    assert nearest_to_centres(features, labels, 1).tolist() == [False, True, False, False, True, False]
    assert nearest_to_centres(features, labels, 5).all()


def test_the_triplet_loss_is_that_of_equation_22_against_any_features() -> None:
    features, others = _vectors(8, 6), _vectors(9, 7)
    identity, named = [0, 0, 1, 1, 2, 5], [0, 1, 1, 0, 3, 3, 2]
    terms = []
    for anchor in range(6):
        distances = [math.sqrt(_squared(features[anchor], other)) for other in others]
        same = [d for d, name in zip(distances, named, strict=True) if name == identity[anchor]]
        different = [d for d, name in zip(distances, named, strict=True) if name != identity[anchor]]
        if same:  # identity 5 has no positive
            terms.append(max(0.0, max(same) - min(different) + 0.3))
    found = hinge_triplet(features, torch.tensor(identity), others, torch.tensor(named), 0.3)
    assert found.item() == pytest.approx(sum(terms) / len(terms), abs=TOLERANCE)
    lone = hinge_triplet(features.requires_grad_(), torch.full((6,), 9), others, torch.tensor(named))
    lone.backward()  # type: ignore[no-untyped-call]
    assert lone.item() == 0


def test_the_memory_forgets_the_oldest() -> None:
    memory = CrossBatchMemory(1, 5, torch.zeros(1, 1))
    for start in (0, 2, 4):
        memory.add(torch.tensor([[start], [start + 1.0]]), torch.tensor([start, start + 1]))
    features, labels = memory.content()
    assert sorted(labels.tolist()) == [1, 2, 3, 4, 5]
    assert features[:, 0].tolist() == labels.tolist()
    memory.add(torch.tensor([[float("nan")]]), torch.tensor([9]))
    assert 9 not in memory.content()[1]
