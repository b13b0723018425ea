"""Object-centric feature refinement: class tokens stay near the centre of their identity."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdreid_bench.losses.precision import full_precision
from mdreid_bench.models.partial import Seen
from protocols.modality import Modality

NEW_SHARE = 0.8
"""Weight of the batch mean in an updated centre."""


class ObjectCentres(nn.Module):
    """Moving centres of unit class tokens by modality and identity.

    See docs/methods/editor.md, "Object-centric refinement".
    """

    def __init__(self, identities: int, width: int, sensors: Modality) -> None:
        super().__init__()
        self.sensors = sensors
        self.centres: Tensor
        self.register_buffer("centres", torch.zeros(len(sensors), identities, width))

    def forward(self, classes: Mapping[Modality, Tensor], identity: Tensor, seen: Seen | None = None) -> Tensor:
        """Update the centres of the identities in the batch, then return the loss, a scalar.

        The loss is the sum over the modalities of the mean squared distance, over B x W, to the centre of the item's
        identity. Centres have no gradient and are not normalised again.

        Args:
            classes: (B, W) by modality.
            identity: (B,) labels in 0..C-1.
            seen: which rows have which sensor; the others move no centre of it, and enter no mean.
        """
        features = F.normalize(torch.stack([full_precision(classes[m]) for m in self.sensors]), dim=2)
        if seen is None:
            self._update(features.detach(), identity)
            return (self.centres[:, identity] - features).square().mean((1, 2)).sum()
        terms = []
        for place, m in enumerate(self.sensors):
            own, labels = features[place : place + 1, seen[m]], identity[seen[m]]
            if len(labels):
                self._update(own.detach(), labels, slice(place, place + 1))
                terms.append((self.centres[place, labels] - own).square().mean())
        return torch.stack(terms).sum()

    @torch.no_grad()
    def _update(self, features: Tensor, identity: Tensor, sensors: slice = slice(None)) -> None:
        present = torch.unique(identity)
        members = (present[:, None] == identity).to(features.dtype)
        with torch.autocast(features.device.type, enabled=False):
            means = members @ features / members.sum(1, keepdim=True)
        means = means.to(self.centres.dtype)
        self.centres[sensors, present] = NEW_SHARE * means + (1 - NEW_SHARE) * self.centres[sensors, present]
