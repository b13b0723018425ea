"""Modality prototypes of MUN, and the modality alignment loss (L_ma) between them."""

import torch
from torch import Tensor, nn

from baselines.mun.card import Prototypes
from mdreid_bench.losses.mean_discrepancy import mean_discrepancy
from mdreid_bench.losses.precision import full_precision

FIRST_SHARE = 1e-8
"""beta, the share of the features in a prototype, as the training begins; in the end it is 1."""


class ModalityPrototypes(nn.Module):
    """A moving prototype for each modality: beta W z + (1 - beta) times what it was (MUN, "modality prototypes").

    What it was has no gradient. ``W`` starts as the identity. Where prototypes belong to identities, the n-th row of
    an identity in a batch moves its n-th prototype, which begins when the identity is first drawn.

    Args:
        width: D, size of a feature.
        kind: what a prototype belongs to.
        rows: B, items in a batch.
        instances: items of an identity in it.
        identities: C.
    """

    def __init__(self, width: int, kind: Prototypes, rows: int, instances: int, identities: int) -> None:
        super().__init__()
        self.kind, self.instances = kind, instances
        self.first, self.second, self.auxiliary = (nn.Linear(width, width, bias=False) for _ in range(3))
        for linear in (self.first, self.second, self.auxiliary):
            nn.init.eye_(linear.weight)
        places = rows if kind == "slots" else identities * instances
        self.kept: Tensor
        self.begun: Tensor
        self.register_buffer("kept", torch.zeros(3, places, width), persistent=False)
        self.register_buffer("begun", torch.zeros(places, dtype=torch.bool), persistent=False)

    def forward(self, first: Tensor, second: Tensor, auxiliary: Tensor, identity: Tensor, share: float) -> Tensor:
        """Move the prototypes and return those of both sensors and of the auxiliary modality, (3, B, D).

        Args:
            first: (B, D) features of one sensor, like the next two of a batch whose identities come in blocks.
            second: (B, D) of the other sensor.
            auxiliary: (B, D) of the auxiliary modality.
            identity: (B,) labels in 0..C-1.
            share: beta.
        """
        with torch.autocast(first.device.type, enabled=False):
            new = torch.stack([self.first(first), self.second(second), self.auxiliary(auxiliary)])
        places = torch.arange(len(identity), device=identity.device)
        if self.kind == "identities":
            places = identity * self.instances + places % self.instances
        shares = torch.where(self.begun[places], share, 1.0).to(new.dtype)[:, None]
        moved = shares * new + (1 - shares) * self.kept[:, places]
        if self.training:
            self.kept[:, places] = moved.detach()
            self.begun[places] = True
        return moved


def modality_alignment(
    first: Tensor, second: Tensor, auxiliary: Tensor, instances: int, *, bridge: bool = True
) -> Tensor:
    """Return the mean over identities of MMD(T_v, T_a) + MMD(T_a, T_r) (MUN, L_ma), a scalar.

    Args:
        first: (B, D) prototypes of one sensor, identities in blocks.
        second: (B, D) of the other.
        auxiliary: (B, D) of the auxiliary modality.
        instances: rows of an identity.
        bridge: compare both sensors with the auxiliary modality; else with each other.
    """
    v, r, a = (full_precision(rows).reshape(-1, instances, rows.shape[1]) for rows in (first, second, auxiliary))
    if not bridge:
        return mean_discrepancy(v, r).mean()
    return (mean_discrepancy(v, a) + mean_discrepancy(a, r)).mean()
