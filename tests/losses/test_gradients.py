"""Gradients of every loss against central differences in float64, and losses under mixed precision."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.editor.background_consistency import background_consistency
from baselines.editor.object_centric import NEW_SHARE, ObjectCentres
from baselines.top_reid.reconstruction import Reconstruction
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.knowledge_discrepancy import knowledge_discrepancy
from mdreid_bench.losses.orthogonality import orthogonality_paper, orthogonality_released
from mdreid_bench.losses.triplet import euclidean_distances, hardest_pairs, soft_margin_triplet
from protocols.modality import RNT

Loss = Callable[[Tensor], Tensor]
IDENTITY = torch.tensor([0, 0, 1, 1])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def differences(loss: Loss, at: Tensor, step: float = 1e-6) -> Tensor:
    """Return the gradient of a scalar function by central differences, one entry after the other."""
    gradient = torch.zeros_like(at)
    for place in range(at.numel()):
        values = []
        for sign in (1, -1):
            moved = at.detach().clone()
            moved.view(-1)[place] += sign * step
            values.append(loss(moved).item())
        gradient.view(-1)[place] = (values[0] - values[1]) / (2 * step)
    return gradient


def check(loss: Loss, at: Tensor, varied: Loss | None = None) -> None:
    """Compare; ``varied`` is the loss with everything held fixed that the gradient does not flow through."""
    point = at.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(point), point)
    wanted = differences(varied or loss, at)
    assert found.dtype == torch.float64
    assert wanted.abs().max() > 1e-4
    assert torch.allclose(found, wanted, atol=1e-8, rtol=1e-6)


LOSSES: dict[str, tuple[Loss, Tensor]] = {
    "identity": (lambda x: identity_loss(x, IDENTITY), draw(4, 3)),
    "triplet": (lambda x: soft_margin_triplet(x, IDENTITY), draw(4, 5)),
    "orthogonality, paper": (orthogonality_paper, draw(2, 6, 4)),
    "orthogonality, released": (orthogonality_released, draw(2, 6, 4)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_equals_differences(name: str) -> None:
    check(*LOSSES[name])


def test_gradient_of_the_knowledge_discrepancy_leaves_single_kinds_alone() -> None:
    both = draw(4, 6)
    alone = [_extremes(both[:, :3]), _extremes(both[:, 3:])]

    def with_fixed_parts(x: Tensor) -> Tensor:
        positive, negative = _extremes(x)
        share = positive / (positive + alone[0][0] + alone[1][0])
        return share + 1 - negative / (negative + alone[0][1] + alone[1][1])

    check(lambda x: knowledge_discrepancy(x[:, :3], x[:, 3:], IDENTITY), both, with_fixed_parts)


def _extremes(x: Tensor) -> tuple[Tensor, Tensor]:
    positive, negative = hardest_pairs(euclidean_distances(x), IDENTITY)
    return positive.amax(), negative.amin()


def test_gradient_of_the_background_consistency() -> None:
    selected = torch.tensor([[True, False, False], [False, True, False]])

    def loss(x: Tensor) -> Tensor:
        return background_consistency(dict(zip(tuple(RNT), x, strict=True)), selected)

    def literal(x: Tensor) -> Tensor:
        outside = x[:, :, 1:] * ~selected[:, :, None]
        return torch.stack([((a - b) ** 2).sum() / a.numel() for a, b in combinations(outside, 2)]).sum()

    tokens = draw(3, 2, 4, 2)
    assert torch.allclose(loss(tokens), literal(tokens))
    check(loss, tokens, literal)


def test_gradient_of_the_object_centres_does_not_move_the_centres() -> None:
    classes = draw(3, 4, 3)
    means = [F.normalize(classes, dim=2)[:, i == IDENTITY].mean(1) for i in (0, 1)]
    centres = NEW_SHARE * torch.stack(means, 1)

    def with_fixed_centres(x: Tensor) -> Tensor:
        return (centres[:, IDENTITY] - F.normalize(x, dim=2)).square().mean((1, 2)).sum()

    def loss(x: Tensor) -> Tensor:
        fresh: Tensor = ObjectCentres(2, 3, RNT).double()(dict(zip(tuple(RNT), x, strict=True)), IDENTITY)
        return fresh

    check(loss, classes, with_fixed_centres)


def test_gradient_of_the_reconstruction_reaches_source_and_target() -> None:
    torch.manual_seed(0)
    module = Reconstruction(4, 2, RNT).double()

    def loss(x: Tensor) -> Tensor:
        error: Tensor = module(dict(zip(tuple(RNT), x, strict=True)))
        return error

    check(loss, draw(3, 1, 3, 4))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_stops_at_the_features(name: str, half: torch.dtype) -> None:
    loss, at = LOSSES[name]
    features = at.to(half)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(features)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(features.float()))


def test_knowledge_discrepancy_is_not_computed_in_half_precision() -> None:
    specific, shared = draw(4, 3).float(), draw(4, 3, seed=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = knowledge_discrepancy(specific, shared, IDENTITY)
    assert torch.equal(found, knowledge_discrepancy(specific, shared, IDENTITY))
