"""Identity classification loss."""

from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.losses.precision import in_full_precision


@in_full_precision
def identity_loss(logits: Tensor, identity: Tensor, smoothing: float = 0.1) -> Tensor:
    """Return the label-smoothed cross entropy, mean over the batch, a scalar.

    Args:
        logits: (B, C).
        identity: (B,) labels in 0..C-1.
        smoothing: share of the target spread over all C classes, the true one included.
    """
    return F.cross_entropy(logits, identity, label_smoothing=smoothing)
