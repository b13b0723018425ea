"""How evenly a gate spreads tokens over its experts, and the loss that asks for it."""

import torch
from torch import Tensor

from mdreid_bench.losses.precision import in_full_precision

_FLOOR = 1e-10


def expert_shares(clean: Tensor, noisy: Tensor, noise: float) -> Tensor:
    """Return what every token adds to the importance and to the load of every expert, (2, S, n).

    Importance is the softmax of the logits without noise. Load is the probability of being chosen under other noise,
    NormalCDF((softmax - highest noisy logit) / (noise / n)): as in the released code, which subtracts a logit from a
    probability (docs/methods/mfrnet.md, "Losses").

    Args:
        clean: (S, n) logits.
        noisy: the same with the noise that the experts were chosen under.
        noise: standard deviation of that noise times n, above 0.
    """
    importance = clean.softmax(dim=1)
    distance = (importance - noisy.amax(dim=1, keepdim=True)) * (clean.shape[1] / noise)
    return torch.stack([importance, torch.special.ndtr(distance)])


@in_full_precision
def expert_balance(totals: Tensor) -> Tensor:
    """Return the mean of var / (mean^2 + 1e-10) over the experts, of importance and load; 0 for equal shares.

    Args:
        totals: (2, n), the shares of all tokens added up.
    """
    spread = totals.var(dim=1) / (totals.mean(dim=1).square() + _FLOOR)
    return spread.mean()
