"""Triplet loss with a margin and batch-hard mining, within a batch or against remembered features."""

import torch
from torch import Tensor

from mdreid_bench.losses.precision import in_full_precision


@in_full_precision
def hinge_triplet(
    features: Tensor, identity: Tensor, others: Tensor, other_identity: Tensor, margin: float = 0.3
) -> Tensor:
    """Return mean over anchors of max(0, d_ap - d_an + margin), a scalar; 0 without an anchor that has both.

    Hermans et al. 2017, "In Defense of the Triplet Loss for Person Re-Identification", batch hard. With the features
    of earlier batches as the others it is the loss of Wang et al. 2020, "Cross-Batch Memory for Embedding Learning".

    Args:
        features: (B, D) of the anchors.
        identity: (B,).
        others: (N, D) that positives and negatives are chosen from; the anchors themselves within a batch.
        other_identity: (N,).
    """
    squared = features.square().sum(1)[:, None] + others.square().sum(1)[None, :] - 2 * features @ others.T
    distances = squared.clamp(min=1e-12).sqrt()
    same = identity[:, None] == other_identity[None, :]
    complete = same.any(1) & ~same.all(1)
    distances, same = distances[complete], same[complete]
    if not len(distances):
        return (0 * features).sum()
    positive = distances.masked_fill(~same, float("-inf")).amax(1)
    negative = distances.masked_fill(same, float("inf")).amin(1)
    return torch.clamp(positive - negative + margin, min=0).mean()
