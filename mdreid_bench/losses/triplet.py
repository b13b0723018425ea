"""Triplet losses with batch-hard mining: with a soft margin, and with a fixed one."""

from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.losses.precision import in_full_precision


def euclidean_distances(features: Tensor) -> Tensor:
    """Return the (B, B) Euclidean distances between the rows of ``features`` (B, D).

    Squared distances are clamped at 1e-12, so that the gradient at distance zero stays finite.
    """
    squared = features.square().sum(1)
    products = features @ features.T
    return (squared[:, None] + squared[None, :] - 2 * products).clamp(min=1e-12).sqrt()


def hardest_pairs(distances: Tensor, identity: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each anchor the largest distance to its identity and the smallest to any other, each (B,).

    The anchor itself counts among the positives, so an identity with one sample has a positive distance of about 0.

    Args:
        distances: (B, B).
        identity: (B,) integer labels; at least two different ones.
    """
    same = identity[:, None] == identity[None, :]
    positive = distances.masked_fill(~same, float("-inf")).amax(1)
    negative = distances.masked_fill(same, float("inf")).amin(1)
    return positive, negative


@in_full_precision
def soft_margin_triplet(features: Tensor, identity: Tensor) -> Tensor:
    """Return mean over anchors of log(1 + exp(d_ap - d_an)) on un-normalised features, a scalar.

    Hermans et al. 2017, "In Defense of the Triplet Loss for Person Re-Identification", batch hard, soft margin.

    Args:
        features: (B, D), taken before batch normalisation.
        identity: (B,) integer labels.
    """
    positive, negative = hardest_pairs(euclidean_distances(features), identity)
    return F.softplus(positive - negative).mean()


@in_full_precision
def margin_triplet(features: Tensor, identity: Tensor, margin: float = 0.3) -> Tensor:
    """Return mean over anchors of max(0, margin + d_ap - d_an) on un-normalised features, a scalar.

    Hermans et al. 2017, as above, batch hard, with the hinge.

    Args:
        features: (B, D), taken before batch normalisation.
        identity: (B,) integer labels.
        margin: by which the nearest other identity must be farther than the farthest own item.
    """
    positive, negative = hardest_pairs(euclidean_distances(features), identity)
    return F.relu(margin + positive - negative).mean()
