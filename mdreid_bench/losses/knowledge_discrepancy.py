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
    positive, negative = _extremes(euclidean_distances(combined), identity)
    alone = [_extremes(euclidean_distances(part.detach()), identity) for part in (specific, shared)]
    share_positive = positive / (positive + sum(p for p, _ in alone))
    share_negative = negative / (negative + sum(n for _, n in alone))
    return share_positive.abs() + (share_negative - 1).abs()


def _extremes(distances: Tensor, identity: Tensor) -> tuple[Tensor, Tensor]:
    positive, negative = hardest_pairs(distances, identity)
    return positive.amax(), negative.amin()
