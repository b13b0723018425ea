"""Adaptation by clusters of the fused feature: what MAN adds its parts to, and a baseline of its own."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.man.card import FUSION_CLUSTERING, FusionClusteringOptions
from baselines.man.clustering import Features, Labels, kmeans
from baselines.man.domain_norm import has_norms, norms_by_domain, part, split
from baselines.man.memory import CrossBatchMemory
from baselines.man.three_branch import FUSED, ThreeBranch, branches_for
from mdreid_bench.config.schema import BatchConfig, RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.losses.hinge_triplet import hinge_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.epoch import EpochAhead, TrainingSet
from mdreid_bench.models.method import DataFacts, Encoded, TrainingBatch
from mdreid_bench.models.parts import BottleneckHead
from mdreid_bench.models.trunk.resnet import ResNet
from mdreid_bench.models.trunk.trunk import Trunk
from protocols.modality import Modality

Kinds = dict[str, Features]
"""(n, D) float32 of unit length for the fused feature and for each sensor."""


class HybridHead(BottleneckHead):
    """Classifier of the known identities and of the guessed ones behind them (MAN, Section 3.1)."""

    def __init__(self, width: int, classes: int, guessed: int) -> None:
        super().__init__(width, classes)
        self.guessed = nn.Linear(width, guessed, bias=False)
        nn.init.normal_(self.guessed.weight, std=0.001)

    def forward(self, feature: Tensor) -> Tensor:
        """Return logits (B, C + k) of features (B, D)."""
        normed = self.norm(feature)
        return torch.cat([self.classifier(normed), self.guessed(normed)], dim=1)


class FusionClustering(ThreeBranch):
    """Trains on the labelled dataset and, after some epochs, on clusters of the other as well (docs/methods/man.md).

    Args:
        batch: what a batch of each dataset consists of.

    Raises:
        UsageError: for options that do not go together.
    """

    card: ClassVar[MethodCard] = FUSION_CLUSTERING
    opened: Tensor
    """(2,) number of the epoch, and features that are remembered in it."""

    def __init__(
        self,
        branches: dict[Modality, ResNet | Trunk],
        options: FusionClusteringOptions,
        data: DataFacts,
        batch: BatchConfig,
    ) -> None:
        self.known, self.clusters = data.identities, options.clusters
        super().__init__(branches, options, data)
        self.options, self.batch = options, batch
        self.memory: CrossBatchMemory | None = None
        self.register_buffer("opened", torch.zeros(2, dtype=torch.int64), persistent=False)
        if options.domain_norm:
            if not has_norms(self.branches):
                raise UsageError("options.domain_norm=true needs a trunk with batch normalisation, such as resnet50.")
            norms_by_domain(self.branches)
        groups = batch.size // batch.instances
        if options.clusters < groups:
            raise UsageError(
                f"options.clusters={options.clusters} is less than the {groups} identities of a batch; give at least "
                "as many, or lower batch.size."
            )

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "FusionClustering":
        """Build from a configuration."""
        options = FusionClusteringOptions.model_validate(config.options)
        return cls(branches_for(config, data), options, data, config.batch)

    def head(self, width: int, data: DataFacts) -> BottleneckHead:
        """Return the classifier of one kind of feature."""
        return HybridHead(width, data.identities, self.clusters)

    def before_epoch(self, ahead: EpochAhead) -> NDArray[np.int64] | None:
        """Guess identities, and let the classifiers start from the means of what was guessed.

        Raises:
            UsageError: for more clusters than there are items.
        """
        target, wanted = ahead.unlabelled, self.sensors.value
        assert target is not None
        items = int(((target.sensors & wanted) == wanted).sum())
        if self.clusters > items:
            raise UsageError(
                f"options.clusters={self.clusters} is more than the {items} items that are to be clustered; give at "
                "most as many."
            )
        self.memory = None
        if ahead.epoch <= self.options.pretrain_epochs:
            return None
        known_rows, known = self._features(ahead.labelled)
        rows, features = self._features(target)
        assert ahead.labelled.identity is not None
        identity = ahead.labelled.identity[known_rows]
        labels = self.cluster(features[FUSED], ahead.seed)
        guessed = self.guess(features, labels, ahead)
        first = ahead.epoch == self.options.pretrain_epochs + 1
        if first and self.options.domain_norm:
            part(self.branches)
        for kind, head in self.heads.items():
            assert isinstance(head, HybridHead)
            _begin(head.guessed, features[kind], labels)
            if first:
                _begin(head.classifier, known[kind], identity)
        self.prepare(known, identity, features, guessed)
        self.opened = torch.tensor([ahead.epoch, len(known_rows) + len(rows)], device=self.opened.device)
        found = np.full(len(target.names), -1, dtype=np.int64)
        found[rows] = guessed
        return found

    def cluster(self, features: Features, seed: int) -> Labels:
        """Return the cluster (n,) of each row."""
        return kmeans(features, self.clusters, seed, self.options.clustering, self.options.restarts)

    def guess(self, features: Kinds, labels: Labels, ahead: EpochAhead) -> Labels:
        """Return the guessed identities (n,) from the clusters (n,) of the fused feature: here these clusters."""
        return labels

    def prepare(self, known: Kinds, identity: Labels, features: Kinds, guessed: Labels) -> None:
        """Get ready for an epoch with what is known of one dataset and guessed of the other: here nothing."""

    def represent_both(self, batch: TrainingBatch) -> tuple[Encoded, Encoded]:
        """Represent both datasets in one pass."""
        with split(self.branches):
            return super().represent_both(batch)

    def adapting_losses(
        self, labelled: Encoded, unlabelled: Encoded, identity: Tensor, guessed: Tensor
    ) -> dict[str, Tensor]:
        """Return the terms on the labels of one dataset and the guesses of the other, and those of the memory."""
        known, other = self.kinds(labelled), self.kinds(unlabelled)
        both = {kind: torch.cat([x, other[kind]]) for kind, x in known.items()}
        names = torch.cat([identity, self.known + guessed])
        rows = torch.cat([torch.ones_like(identity, dtype=torch.bool), self.trusted(guessed)])
        terms = self.supervise(both, names, rows)
        if self.options.memory_weight:
            terms["memory"] = self.options.memory_weight * self._remembered(both[FUSED][rows], names[rows])
        return terms

    def trusted(self, guessed: Tensor) -> Tensor:
        """Return (B,) which guesses are learned from as if they were identities."""
        return guessed >= 0

    def _remembered(self, features: Tensor, names: Tensor) -> Tensor:
        """Return the triplet loss of a batch against all features of the epoch so far, its own among them."""
        epoch, capacity = self.opened.tolist()
        if self.memory is None or self.memory.epoch != epoch:
            self.memory = CrossBatchMemory(epoch, capacity, features)
        self.memory.add(features, names)
        return hinge_triplet(features, names, *self.memory.content(), self.margin)

    def _features(self, items: TrainingSet) -> tuple[Labels, Kinds]:
        """Return the rows of the items that all sensors saw, and their features by kind."""
        fused = items.embed((self.sensors,))[self.sensors]
        rows = np.flatnonzero(~np.isnan(fused[:, 0]))
        fused = fused[rows]
        blocks = np.split(fused, len(self.sensors), axis=1)
        unit = {str(m): block * np.float32(len(blocks) ** 0.5) for m, block in zip(self.sensors, blocks, strict=True)}
        return rows, {FUSED: fused} | unit


@torch.no_grad()
def _begin(classifier: nn.Linear, features: Features, labels: Labels) -> None:
    """Let the rows of a classifier start from the normalised means of their items; those without items stay."""
    for label in np.unique(labels):
        mean = torch.from_numpy(features[labels == label].mean(axis=0))
        classifier.weight[int(label)] = F.normalize(mean, dim=0).to(classifier.weight)
