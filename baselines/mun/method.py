"""MUN: a modality unifying network for images of two sensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.mun.card import CARD, MUNOptions, compared
from baselines.mun.generator import AuxiliaryGenerator
from baselines.mun.identity_alignment import identity_alignment
from baselines.mun.prototypes import FIRST_SHARE, ModalityPrototypes, modality_alignment
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.precision import full_precision
from mdreid_bench.losses.triplet import margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.epoch import EpochAhead
from mdreid_bench.models.method import DataFacts, Encoded, Images, Method, TrainingBatch
from mdreid_bench.models.trunk.resnet import ForkedResNet, ResNet
from protocols.modality import Modality

_EPSILON = 1e-12


@contextmanager
def _unnoticed(*modules: nn.Module) -> Iterator[None]:
    """Let batch normalisation keep nothing of the batches that pass."""
    norms = [m for module in modules for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


class MUN(Method):
    """A trunk that parts of belong to each sensor, and an auxiliary modality in training (docs/methods/mun.md).

    Args:
        trunk: of the two sensors.
        data: identities size the classifiers.
        rows: B, items in a batch.
        instances: items of an identity in it.
    """

    card: ClassVar[MethodCard] = CARD

    def __init__(self, trunk: ForkedResNet, options: MUNOptions, data: DataFacts, rows: int, instances: int) -> None:
        super().__init__()
        self.trunk, self.options, self.instances = trunk, options, instances
        self.pair = compared(options.pair, data.modalities)
        self.neck: nn.Module = nn.Identity()
        if options.neck:
            self.neck = nn.BatchNorm1d(trunk.width)
            self.neck.bias.requires_grad_(False)
        names = [*map(str, self.pair), *(["auxiliary"] if self._own_classifier else [])]
        self.classifiers = nn.ModuleDict({n: nn.Linear(trunk.width, data.identities, bias=False) for n in names})
        for classifier in self.classifiers.parameters():
            nn.init.normal_(classifier, std=0.001)
        self.generator: AuxiliaryGenerator | None = None
        self.prototypes: ModalityPrototypes | None = None
        if options.auxiliary:
            self.generator = AuxiliaryGenerator(trunk.low_width, options.scale_init, dense=options.dense_upsampling)
            if options.modality_weight and options.prototypes != "none":
                places = (rows, instances, data.identities)
                self.prototypes = ModalityPrototypes(trunk.width, options.prototypes, *places)
        self.done: Tensor
        self.steps: Tensor
        self.register_buffer("done", torch.zeros((), dtype=torch.int64), persistent=False)
        self.register_buffer("steps", torch.ones((), dtype=torch.int64), persistent=False)

    @property
    def _own_classifier(self) -> bool:
        return self.options.auxiliary and self.options.auxiliary_identity == "own"

    @classmethod
    def skip(cls, data: DataFacts) -> str | None:
        """Refuse a single sensor, which there is no other one to be compared with."""
        return None if len(data.modalities) > 1 else "it needs at least two sensors"

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "MUN":
        """Build from a configuration."""
        options = MUNOptions.model_validate(config.options)
        pair = compared(options.pair, data.modalities)
        trunk = ForkedResNet(ResNet.build(config.trunk), pair, options.border)
        return cls(trunk, options, data, config.batch.size, config.batch.instances)

    def backbones(self) -> tuple[ForkedResNet]:
        """Return the trunk."""
        return (self.trunk,)

    def before_epoch(self, ahead: EpochAhead) -> NDArray[np.int64] | None:
        """Note how far the training is, by which prototypes move."""
        self.done.fill_(ahead.done)
        self.steps.fill_(ahead.steps)
        return None

    def training_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the identity, consistency, triplet and both alignment terms (paper, Eq. 16; docs/methods/mun.md)."""
        low = [self.trunk.low(batch.images[m], m) for m in self.pair]
        if self.generator is not None:
            low.append(self.generator(*low))
        features, normed = self._passed(low)
        identity, options = batch.identity, self.options
        own = zip(self.pair, normed, strict=False)
        classified = [self._classified(str(m), rows, identity) for m, rows in own]
        terms = {
            "identity": torch.stack(classified).sum(),
            "triplet": margin_triplet(torch.cat(features[:2]), identity.repeat(2), options.triplet_margin),
        }
        return terms | (self._auxiliary_terms(features, normed[2], identity) if len(low) == 3 else {})

    def _passed(self, low: list[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return features and normed features, (B, D) each, of the low maps of every modality."""
        if len(low) < 3 or self.options.statistics == "common":
            pooled = self._pool(self.trunk.high(torch.cat(low)))
            return pooled.chunk(len(low)), self._normed(pooled).chunk(len(low))
        pooled = self._pool(self.trunk.high(torch.cat(low[:2])))
        normed = self._normed(pooled)
        with _unnoticed(self.trunk.stages, self.neck):
            auxiliary = self._pool(self.trunk.high(low[2]))
            return (*pooled.chunk(2), auxiliary), (*normed.chunk(2), self._normed(auxiliary))

    def _auxiliary_terms(self, features: tuple[Tensor, ...], normed: Tensor, identity: Tensor) -> dict[str, Tensor]:
        """Return the terms that the auxiliary modality takes part in."""
        options, terms = self.options, {}
        if self._own_classifier:
            terms["auxiliary_identity"] = self._classified("auxiliary", normed, identity)
        elif options.consistency_weight:
            both = [self._classified(str(m), normed, identity) for m in self.pair]
            terms["consistency"] = options.consistency_weight * torch.stack(both).sum()
        first, second, auxiliary = features
        if options.alignment_weight:
            loss = identity_alignment(
                auxiliary, first, second, identity, options.alignment_margin, hinge=options.hinge
            )
            terms["identity_alignment"] = options.alignment_weight * loss
        if options.modality_weight:
            kept: tuple[Tensor, ...] | Tensor = features
            if self.prototypes is not None:
                kept = self.prototypes(first, second, auxiliary, identity, self._share())
            loss = modality_alignment(kept[0], kept[1], kept[2], self.instances, bridge=options.bridge)
            terms["modality_alignment"] = options.modality_weight * loss
        return terms

    def _share(self) -> float:
        """Return beta, the share of the features in a prototype, and count the step."""
        done, last = int(self.done), int(self.steps) - 1
        if self.training:
            self.done += 1
        return FIRST_SHARE + (1 - FIRST_SHARE) * min(1.0, done / max(1, last))

    def _classified(self, name: str, normed: Tensor, identity: Tensor) -> Tensor:
        return identity_loss(self.classifiers[name](normed), identity, self.options.smoothing)

    def _pool(self, maps: Tensor) -> Tensor:
        """Return the generalised mean of maps, (B, D)."""
        power = self.options.exponent
        return (full_precision(maps).pow(power).mean((2, 3)) + _EPSILON) ** (1 / power)

    def _normed(self, pooled: Tensor) -> Tensor:
        """Return pooled features, of the weights' own type, as classifiers and retrieval take them."""
        normed: Tensor = self.neck(pooled.to(next(self.classifiers.parameters()).dtype))
        return normed

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return by sensor that is present, ``"R"`` and so on, (B, D) of unit length; zeros of those not compared."""
        encoded = {}
        for m, image in images.items():
            if m in self.pair:
                encoded[str(m)] = F.normalize(self._normed(self._pool(self.trunk(image, m))).float(), dim=1)
            else:
                encoded[str(m)] = image.new_zeros(len(image), self.trunk.width, dtype=torch.float32)
        return encoded

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the vector of one sensor; of several, which the paper does not compare, their normalised mean."""
        return F.normalize(torch.stack([encoded[str(m)] for m in available]).sum(0), dim=1)
