"""Supervision of the trunk's class vectors by identity and triplet losses, together or one by one."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from baselines.top_reid.card import Supervision
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.method import DataFacts
from mdreid_bench.models.partial import Seen, over_rows
from mdreid_bench.models.parts import BottleneckHead
from protocols.modality import Modality


class ClassVectorSupervision(nn.Module):
    """Identity and triplet loss on class vectors (docs/methods/top-reid.md, "Heads and losses").

    Args:
        width: W, size of a class vector.
        kind: ``joint`` concatenates the three vectors and takes each loss once; ``separate`` takes the losses of
            every modality and adds them up.
        shared: whether the modalities share one head when they are supervised separately.
        train_bias: whether the bias of the batch normalisation is trained.
    """

    def __init__(self, width: int, data: DataFacts, kind: Supervision, *, shared: bool, train_bias: bool) -> None:
        super().__init__()
        self.kind, self.sensors = kind, data.modalities
        size = len(self.sensors) * width if kind == "joint" else width
        names = ["all"] if kind == "joint" or shared else [str(m) for m in self.sensors]
        self.heads = nn.ModuleDict(
            {name: BottleneckHead(size, data.identities, train_bias=train_bias) for name in names}
        )

    def forward(
        self, vectors: Mapping[Modality, Tensor], identity: Tensor, seen: Seen | None = None
    ) -> dict[str, Tensor]:
        """Return ``trunk_identity`` and ``trunk_triplet``.

        Args:
            vectors: (B, W) by modality; when supervised together, with something in the place of what rows lack.
            identity: (B,) labels in 0..C-1.
            seen: which rows have which sensor; when supervised separately, the others take no part.
        """
        if self.kind == "joint":
            features = {"all": torch.cat([vectors[m] for m in self.sensors], dim=1)}
        else:
            features = {str(m): vectors[m] for m in self.sensors}
        heads = {name: self.heads[name if name in self.heads else "all"] for name in features}
        if seen is None or self.kind == "joint":
            classified = [identity_loss(heads[name](x), identity) for name, x in features.items()]
            ranked = [soft_margin_triplet(x, identity) for x in features.values()]
        else:
            classified = [self._classified(heads[str(m)], features[str(m)], identity, seen[m]) for m in self.sensors]
            ranked = [over_rows(soft_margin_triplet, features[str(m)], identity, seen[m]) for m in self.sensors]
        return {"trunk_identity": torch.stack(classified).sum(), "trunk_triplet": torch.stack(ranked).sum()}

    @staticmethod
    def _classified(head: nn.Module, features: Tensor, identity: Tensor, rows: Tensor) -> Tensor:
        return over_rows(lambda x, labels: identity_loss(head(x), labels), features, identity, rows)
