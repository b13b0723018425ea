"""Identity alignment loss (L_ia) of MUN."""

import torch
from torch import Tensor

from mdreid_bench.losses.precision import in_full_precision


@in_full_precision
def identity_alignment(
    auxiliary: Tensor, first: Tensor, second: Tensor, identity: Tensor, margin: float, *, hinge: bool = True
) -> Tensor:
    """Return by how much auxiliary centres fail to be nearer to their own identity than to others, a scalar.

    The sum over identities p of margin + max_m |C_p^a - C_p^m| - min_{m, q != p} |C_p^a - C_q^m| (MUN, L_ia), where a
    centre is the mean of the features of an identity. The paper prints no hinge; without one nothing bounds the loss
    from below.

    Args:
        auxiliary: (B, D) features of the auxiliary modality.
        first: (B, D) of one sensor.
        second: (B, D) of the other.
        identity: (B,) integer labels of the rows of all three; at least two different ones.
        margin: alpha.
        hinge: whether the term of an identity ends at 0.
    """
    labels = torch.unique(identity)
    members = (labels[:, None] == identity).to(first.dtype)
    centres = [(members @ features) / members.sum(1, keepdim=True) for features in (auxiliary, first, second)]
    # The difference itself, because distances of near points lose all digits to products of large features.
    apart = torch.stack([(centres[0][:, None] - other).square().sum(2) for other in centres[1:]])
    distances = apart.clamp(min=1e-12).sqrt()
    own = torch.eye(len(labels), dtype=torch.bool, device=identity.device)
    nearest = distances.masked_fill(own, float("inf")).amin((0, 2))
    terms = margin + distances.diagonal(dim1=1, dim2=2).amax(0) - nearest
    return (terms.clamp(min=0) if hinge else terms).sum()
