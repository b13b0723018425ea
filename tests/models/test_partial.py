"""Batches whose items lack sensors: what is lost has no influence, and losses are those of what is there."""

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.knowledge_discrepancy import knowledge_discrepancy, partial_knowledge_discrepancy
from mdreid_bench.models import registry
from mdreid_bench.models.method import Method, TrainingBatch
from mdreid_bench.models.partial import with_seen
from protocols.modality import RNT, Modality, N, R, T
from tests.support import build, training_batch, without_chance

METHODS = [name for name in registry.names() if registry.card(name).partial]
BY_FEATURES = ("mdreid", "top-reid")
"""Methods in which nothing that was represented of a lost sensor is used."""
ROWS: dict[Modality, tuple[int, ...]] = {
    R: (1, 1, 0, 1, 1, 0, 1, 0),
    N: (1, 0, 1, 1, 0, 0, 1, 1),
    T: (1, 1, 1, 0, 0, 1, 0, 1),
}
SEEN = {m: torch.tensor(rows, dtype=torch.bool) for m, rows in ROWS.items()}


def partial(seed: int = 0, seen: dict[Modality, Tensor] = SEEN) -> TrainingBatch:
    return replace(training_batch(seed), seen=seen)


def trained(name: str) -> Method:
    return build(name, {"options": without_chance(name)}).train()


def step(method: Method, batch: TrainingBatch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the terms and the gradients of a copy of a method on a batch."""
    torch.manual_seed(7)
    method = copy.deepcopy(method)
    terms = method.training_losses(batch)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    return terms, {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


def test_all_methods_that_train_on_complete_items_say_how_they_do_without() -> None:
    for card in registry.cards().values():
        assert bool(card.with_lost_sensors) == card.trains
    refused = {name for name, card in registry.cards().items() if card.with_lost_sensors.startswith("not applicable")}
    assert refused == {"man", "fusion-clustering"}


@pytest.mark.parametrize("name", METHODS)
def test_pixels_of_a_lost_sensor_have_no_influence(name: str) -> None:
    method, batch = trained(name), training_batch()
    other = {
        m: torch.where(SEEN[m][:, None, None, None], x, 1e3 * torch.randn_like(x)) for m, x in batch.images.items()
    }
    first, second = step(method, replace(batch, seen=SEEN)), step(method, replace(batch, images=other, seen=SEEN))
    for found, wanted in zip(second, first, strict=True):
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], value) for key, value in wanted.items())
    assert all(math.isfinite(term.item()) for term in first[0].values())
    assert all(torch.isfinite(gradient).all() for gradient in first[1].values())
    complete, _ = step(method, batch)
    assert complete.keys() == first[0].keys()
    assert any(not torch.equal(complete[key], value) for key, value in first[0].items())


@pytest.mark.parametrize("name", BY_FEATURES)
def test_what_is_represented_of_a_lost_sensor_has_no_influence(name: str) -> None:
    method, batch = trained(name), partial()
    represented = method.represented(batch.images, batch.camera, batch.seen)
    torch.manual_seed(1)
    found = []
    for noise in (0.0, 1.0):
        leaves = {k: x.detach().clone().requires_grad_() for k, x in represented.items() if not k.startswith("seen.")}
        given = {}
        for key, x in leaves.items():
            rows = SEEN[Modality.parse(key)].view(-1, *[1] * (x.ndim - 1))
            given[key] = torch.where(rows, x, x + noise * torch.randn_like(x))
        terms = copy.deepcopy(method).losses(with_seen(given, SEEN), batch.identity)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        found.append((terms, leaves))
    assert all(torch.equal(found[0][0][key], value) for key, value in found[1][0].items())
    for key, leaf in found[1][1].items():
        other = found[0][1][key].grad
        assert leaf.grad is not None
        assert other is not None
        assert torch.equal(leaf.grad, other)
        assert not leaf.grad[~SEEN[Modality.parse(key)]].any()


@pytest.mark.parametrize("name", METHODS)
def test_nothing_lost_is_the_usual_loss(name: str) -> None:
    method, everything = trained(name), {m: torch.ones(8, dtype=torch.bool) for m in RNT}
    wanted, _ = step(method, training_batch())
    found, _ = step(method, partial(seen=everything))
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in METHODS if registry.get(name).separable()])
def test_rows_that_lack_sensors_are_represented_piece_by_piece(name: str) -> None:
    method, batch = trained(name), partial()
    whole = method.represented(batch.images, batch.camera, batch.seen)
    slices = slice(0, 3), slice(3, 4), slice(4, 8)
    pieces = [method.represented(*batch.piece(rows), batch.seen_by(rows)) for rows in slices]
    for key, rows in whole.items():
        torch.testing.assert_close(torch.cat([piece[key] for piece in pieces]), rows, rtol=0, atol=1e-4)


def distance(a: Tensor, b: Tensor) -> float:
    return math.sqrt(max(float((a - b).square().sum()), 1e-12))


def literal_discrepancy(specific: Tensor, seen: Tensor, shared: Tensor, identity: Tensor) -> float:
    """KDL pair by pair, over the sensors that both items have."""
    count, sensors = seen.shape
    extremes = []
    for kind in ("both", "specific", "shared"):
        positives: list[float] = []
        negatives: list[float] = []
        for i in range(count):
            for j in range(count):
                common = [m for m in range(sensors) if seen[i, m] and seen[j, m]]
                if not common:
                    continue
                own = sum(float((specific[i, m] - specific[j, m]).square().sum()) for m in common)
                parts = {"specific": own * sensors / len(common), "shared": distance(shared[i], shared[j]) ** 2}
                squared = sum(parts.values()) if kind == "both" else parts[kind]
                (positives if identity[i] == identity[j] else negatives).append(math.sqrt(max(squared, 1e-12)))
        extremes.append((max(positives), min(negatives)))
    both, *alone = extremes
    positive: float = both[0] / (both[0] + sum(p for p, _ in alone))
    negative: float = both[1] / (both[1] + sum(n for _, n in alone))
    return abs(positive) + abs(negative - 1)


def test_knowledge_discrepancy_is_that_of_common_sensors() -> None:
    torch.manual_seed(3)
    specific, shared, identity = torch.randn(8, 3, 5), torch.randn(8, 15), torch.arange(4).repeat_interleave(2)
    seen = torch.stack([SEEN[m] for m in RNT], dim=1)
    found = partial_knowledge_discrepancy(specific, seen, shared, identity).item()
    assert found == pytest.approx(literal_discrepancy(specific, seen, shared, identity), abs=1e-5)
    whole = partial_knowledge_discrepancy(specific, torch.ones_like(seen), shared, identity)
    torch.testing.assert_close(whole, knowledge_discrepancy(specific.flatten(1), shared, identity))
    alone = torch.eye(8, 3, dtype=torch.bool)[[0, 0, 1, 1, 2, 2, 0, 0]]
    assert partial_knowledge_discrepancy(specific, alone, shared, torch.tensor([0, 0, 1, 1, 2, 2, 0, 0])).item() == 0


def literal_triplet(features: Tensor, identity: Tensor, rows: list[int]) -> float:
    terms = []
    for a in rows:
        positive = max(distance(features[a], features[p]) for p in rows if identity[p] == identity[a])
        negative = min(
            (distance(features[a], features[n]) for n in rows if identity[n] != identity[a]), default=math.inf
        )
        terms.append(math.log1p(math.exp(positive - negative)))
    return sum(terms) / len(terms)


def test_mdreid_equals_its_literal_form() -> None:
    method: Any = trained("mdreid")
    batch = partial()
    represented = method.represented(batch.images, batch.camera, batch.seen)
    with torch.no_grad():
        terms = copy.deepcopy(method).losses(represented, batch.identity)
        identity = batch.identity
        specific = {m: represented[str(m)][:, 0] for m in RNT}
        shared = []
        for row in range(8):
            own = [represented[str(m)][row, 1] for m in RNT if SEEN[m][row]]
            mean = torch.stack(own).mean(0)
            shared.append(torch.cat([represented[str(m)][row, 1] if SEEN[m][row] else mean for m in RNT]))
        joined = torch.stack(shared)
        heads, options = method.specific_heads, method.options
        classified = sum(identity_loss(heads[str(m)](specific[m][SEEN[m]]), identity[SEEN[m]]) for m in RNT)
        ranked = sum(literal_triplet(specific[m], identity, np.flatnonzero(SEEN[m]).tolist()) for m in RNT)
        orthogonality = []
        for row in range(8):
            vectors = torch.stack([represented[str(m)][row, k] for k in (0, 1) for m in RNT if SEEN[m][row]])
            cosine = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).T
            rows = cosine / (cosine.square().sum(1, keepdim=True) + 1e-6).sqrt()
            size = len(vectors) // 2
            ideal = torch.eye(2 * size)
            ideal[size:, size:] = 1
            orthogonality.append(float((rows @ rows.T - ideal).square().mean()))
        seen = torch.stack([SEEN[m] for m in RNT], dim=1)
        stacked = torch.stack([specific[m] for m in RNT], dim=1)
    wanted = {
        "identity": options.identity_weight * float(classified),
        "triplet": ranked,
        "shared_triplet": options.shared_weight * literal_triplet(joined, identity, list(range(8))),
        "orthogonality": options.orthogonality_weight * sum(orthogonality) / 8,
        "discrepancy": options.discrepancy_weight * literal_discrepancy(stacked, seen, joined, identity),
    }
    for name, value in wanted.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-4, abs=1e-5), name
