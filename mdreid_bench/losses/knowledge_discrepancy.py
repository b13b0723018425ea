"""Knowledge discrepancy loss (KDL) of MDReID."""

import torch
from torch import Tensor

from mdreid_bench.losses.precision import in_full_precision
from mdreid_bench.losses.triplet import euclidean_distances, hardest_pairs


@in_full_precision
def knowledge_discrepancy(specific: Tensor, shared: Tensor, identity: Tensor) -> Tensor:
    """Return |D_p - 0| + |D_n - 1| (MDReID, knowledge discrepancy loss), one scalar for the batch.

    For the combined features and for each kind alone, P is the largest hardest-positive distance of the batch and N
    the smallest hardest-negative distance; D_p and D_n are the shares of the combined features in the sum of the
    three. Each kind alone is detached, so the gradient flows through the combined features only. Because squared
    distances add, 1/3 <= D_p <= 1/2 and D_n >= sqrt(2) - 1, so the loss never reaches zero.

    Args:
        specific: (B, M*D), the specific vectors of all modalities side by side.
        shared: (B, M*D), the shared vectors likewise.
        identity: (B,) integer labels.
    """
    combined = torch.cat([specific, shared], dim=1)
    alone = [euclidean_distances(part.detach()) for part in (specific, shared)]
    return _discrepancy(euclidean_distances(combined), alone, identity)


@in_full_precision
def partial_knowledge_discrepancy(specific: Tensor, seen: Tensor, shared: Tensor, identity: Tensor) -> Tensor:
    """Return the same where items lack sensors (docs/missing-sensors.md, "MDReID"), a scalar.

    Two items are as far apart in their specific vectors as in those of the sensors that both have: the squared
    distance over these is scaled from their number to M. A pair without a common sensor takes part in nothing, and
    the loss is 0 when no pair of two identities is left.

    Args:
        specific: (B, M, D), any finite values where an item lacks a sensor.
        seen: (B, M) bool.
        shared: (B, M*D), with something in the place of what is lacking.
        identity: (B,) integer labels.
    """
    blocks = torch.where(seen[:, :, None], specific, 0)
    norms = blocks.square().sum(2)
    common = seen.to(blocks.dtype) @ seen.to(blocks.dtype).T
    squared = norms @ seen.to(blocks.dtype).T
    squared = squared + squared.T - 2 * blocks.flatten(1) @ blocks.flatten(1).T
    squared = squared * (seen.shape[1] / common.clamp(min=1))
    other = euclidean_distances(shared)
    combined = (squared.clamp(min=0) + other.square()).clamp(min=1e-12).sqrt()
    alone = [squared.detach().clamp(min=1e-12).sqrt(), other.detach()]
    met = common > 0
    if not (met & (identity[:, None] != identity[None, :])).any():
        return 0 * combined.sum()
    return _discrepancy(combined, alone, identity, met)


def _discrepancy(combined: Tensor, alone: list[Tensor], identity: Tensor, met: Tensor | None = None) -> Tensor:
    """Return the loss of (B, B) distances; pairs that ``met`` leaves out take no part."""
    positive, negative = _extremes(combined, identity, met)
    parts = [_extremes(distances, identity, met) for distances in alone]
    share_positive = positive / (positive + sum(p for p, _ in parts))
    share_negative = negative / (negative + sum(n for _, n in parts))
    return share_positive.abs() + (share_negative - 1).abs()


def _extremes(distances: Tensor, identity: Tensor, met: Tensor | None) -> tuple[Tensor, Tensor]:
    if met is None:
        positive, negative = hardest_pairs(distances, identity)
        return positive.amax(), negative.amin()
    same = identity[:, None] == identity[None, :]
    return distances[same & met].amax(), distances[~same & met].amin()
