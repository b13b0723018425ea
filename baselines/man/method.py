"""MAN: labels that all sensors agree on, and distributions of datasets and sensors that are aligned."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.man.card import MAN as CARD
from baselines.man.card import MANOptions
from baselines.man.clustering import Labels, aligned, consistency, nearest_to_centres
from baselines.man.distribution_alignment import domain_alignment, modality_alignment
from baselines.man.fusion_clustering import FusionClustering, Kinds
from baselines.man.prototypes import prototypes, update
from baselines.man.three_branch import FUSED, branches_for
from mdreid_bench.config.schema import BatchConfig, RunConfig
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.epoch import EpochAhead
from mdreid_bench.models.method import DataFacts, Encoded
from mdreid_bench.models.trunk.resnet import ResNet
from mdreid_bench.models.trunk.trunk import Trunk
from protocols.modality import Modality


class MAN(FusionClustering):
    """Clusters with three alignments: of labels (CPA), datasets (PDA) and sensors (MMA); see docs/methods/man.md.

    Attributes:
        known_bank: prototypes of the known identities, those of all sensors side by side, (C, n D).
        guessed_bank: those of the guessed ones, (k, n D); NaN where there is no reliable item.
        fallbacks: in how many epochs too few items were reliable.
    """

    card: ClassVar[MethodCard] = CARD
    options: MANOptions
    known_bank: Tensor
    guessed_bank: Tensor
    fallbacks: Tensor

    def __init__(
        self, branches: dict[Modality, ResNet | Trunk], options: MANOptions, data: DataFacts, batch: BatchConfig
    ) -> None:
        super().__init__(branches, options, data, batch)
        width = len(self.sensors) * self.width
        self.register_buffer("known_bank", torch.zeros(0, width), persistent=False)
        self.register_buffer("guessed_bank", torch.zeros(0, width), persistent=False)
        self.register_buffer("fallbacks", torch.zeros((), dtype=torch.int64), persistent=False)

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "MAN":
        """Build from a configuration."""
        options = MANOptions.model_validate(config.options)
        return cls(branches_for(config, data), options, data, config.batch)

    def guess(self, features: Kinds, labels: Labels, ahead: EpochAhead) -> Labels:
        """Return the clusters of the fused feature where enough kinds of features agree with them (MAN, Eq. 4-6).

        The others are -1, or k and more where they are drawn all the same. When the reliable items cannot fill a
        batch, they are the nearest to the centres of their clusters instead.
        """
        if not self.options.cpa:
            return labels
        single = {str(m): self.cluster(features[str(m)], ahead.seed) for m in self.sensors}
        named = {kind: aligned(found, labels, self.clusters) for kind, found in single.items()}
        reliable = consistency({FUSED: labels} | named) > self.options.sigma
        groups, each = self.batch.size // self.batch.instances, self.batch.instances
        found = len(np.unique(labels[reliable]))
        if found < groups:
            self.fallbacks = self.fallbacks + 1
            ahead.tell(
                f"The reliable items of epoch {ahead.epoch} are of {found} clusters, and a batch needs {groups}; the "
                f"{each} items nearest to the centre of each cluster are taken instead, as in "
                f"{int(self.fallbacks)} epochs so far."
            )
            reliable = nearest_to_centres(features[FUSED], labels, each)
        return np.where(reliable, labels, labels + self.clusters if self.options.align_all else -1)

    def trusted(self, guessed: Tensor) -> Tensor:
        """Leave out those that are drawn for the alignment alone."""
        return (guessed >= 0) & (guessed < self.clusters)

    @torch.no_grad()
    def prepare(self, known: Kinds, identity: Labels, features: Kinds, guessed: Labels) -> None:
        """Make the prototypes of both datasets anew."""
        reliable = (guessed >= 0) & (guessed < self.clusters)
        rows = {kind: x[reliable] for kind, x in features.items()}
        self.known_bank = self._bank(known, identity, self.known)
        self.guessed_bank = self._bank(rows, guessed[reliable], self.clusters)

    def adapting_losses(
        self, labelled: Encoded, unlabelled: Encoded, identity: Tensor, guessed: Tensor
    ) -> dict[str, Tensor]:
        """Add PDA and MMA to the terms of labels, and move the prototypes towards the features of the batch."""
        terms, options = super().adapting_losses(labelled, unlabelled, identity, guessed), self.options
        if not len(self.known_bank):
            return terms
        source, target = self._unit(labelled), self._unit(unlabelled)
        sides = ((source, self._prototypes(self.guessed_bank)), (target, self._prototypes(self.known_bank)))
        if options.pda:
            values = [
                domain_alignment(x, p, options.margin_p, options.reduction, hinge=options.hinge) for x, p in sides
            ]
            terms["domain"] = options.pda_weight * torch.stack(values).sum()
        if options.mma:
            values = [
                modality_alignment(x, p, options.margin_m, options.reduction, hinge=options.hinge) for x, p in sides
            ]
            terms["modality"] = options.mma_weight * torch.stack(values).sum()
        self._move(self.known_bank, source, identity)
        sure = self.trusted(guessed)
        self._move(self.guessed_bank, {m: x[sure] for m, x in target.items()}, guessed[sure])
        return terms

    def _unit(self, represented: Encoded) -> dict[Modality, Tensor]:
        return {m: F.normalize(represented[str(m)].float(), dim=1) for m in self.sensors}

    def _bank(self, features: Kinds, labels: Labels, classes: int) -> Tensor:
        device, options = self.known_bank.device, self.options
        names = torch.from_numpy(labels).to(device)
        how = {"literal": options.literal_eq7, "mean": options.weighting == "mean"}
        single = [
            prototypes(torch.from_numpy(features[str(m)]).to(device), names, classes, **how) for m in self.sensors
        ]
        return torch.cat(single, dim=1)

    def _prototypes(self, bank: Tensor) -> dict[Modality, Tensor]:
        """Return the prototypes (C, D) of each sensor, without those of classes that have none."""
        there = bank[~bank[:, 0].isnan()].detach().clone()
        return dict(zip(self.sensors, there.chunk(len(self.sensors), dim=1), strict=True))

    def _move(self, bank: Tensor, features: dict[Modality, Tensor], labels: Tensor) -> None:
        for part, x in zip(bank.chunk(len(self.sensors), dim=1), features.values(), strict=True):
            update(part, x.detach(), labels, self.options.momentum, literal=self.options.literal_eq7)
