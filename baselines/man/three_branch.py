"""A network for each sensor, trained on labels: what MAN starts from, and its lower and upper bound."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.man.card import THREE_BRANCH, ThreeBranchOptions
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.hinge_triplet import hinge_triplet
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import Cameras, DataFacts, Encoded, Images, Method
from mdreid_bench.models.partial import Seen, seen_in
from mdreid_bench.models.parts import BottleneckHead
from mdreid_bench.models.trunk.resnet import ResNet
from mdreid_bench.models.trunk.resnet_weights import RESNETS
from mdreid_bench.models.trunk.trunk import Trunk, camera_of, tower_for
from protocols.modality import Modality

FUSED = "F"
"""Name of the kind of feature that has all sensors side by side; the others are called like their sensors."""


class ThreeBranch(Method):
    """A trunk for each sensor, an identity and a triplet loss for each and for all together (docs/methods/man.md).

    With the images of another dataset it is the row "source only", with those of the evaluated one the upper bound.

    Args:
        branches: one for each sensor, nothing shared.
        options: margin of the triplet loss.
        data: sensors and identities size the heads.
    """

    card: ClassVar[MethodCard] = THREE_BRANCH

    def __init__(
        self, branches: dict[Modality, ResNet | Trunk], options: ThreeBranchOptions, data: DataFacts
    ) -> None:
        super().__init__()
        self.sensors, self.margin = data.modalities, options.margin
        self.branches = nn.ModuleDict({str(m): branches[m] for m in self.sensors})
        self.width = next(iter(branches.values())).width
        kinds = {FUSED: len(self.sensors) * self.width} | {str(m): self.width for m in self.sensors}
        self.heads = nn.ModuleDict({kind: self.head(size, data) for kind, size in kinds.items()})

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "ThreeBranch":
        """Build from a configuration."""
        options = ThreeBranchOptions.model_validate(config.options)
        return cls(branches_for(config, data), options, data)

    def head(self, width: int, data: DataFacts) -> BottleneckHead:
        """Return the classifier of one kind of feature."""
        return BottleneckHead(width, data.identities)

    def backbones(self) -> tuple[ResNet | Trunk, ...]:
        """Return the trunks of all sensors."""
        branches: Iterable[Any] = self.branches.values()
        return tuple(branches)

    @classmethod
    def separable(cls) -> bool:
        """Keep batches whole: those of a convolutional trunk have statistics in common."""
        return False

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return the feature of each sensor that is present, ``"R"`` and so on, (B, D)."""
        found = {}
        for m, x in images.items():
            branch = self.branches[str(m)]
            found[str(m)] = branch(x, camera_of(camera, m))[:, 0] if isinstance(branch, Trunk) else _pooled(branch(x))
        return found

    def represent_partly(self, images: Images, camera: Cameras, seen: Seen) -> Encoded:
        """Return the features of the images that there are, and zeros, as when testing, for those that are not."""
        found = {}
        for m, x in images.items():
            rows = seen[m].nonzero()[:, 0]
            cameras = camera_of(camera, m)
            nothing = x.new_zeros(len(x), self.width)
            if len(rows):
                own = self.represent({m: x[rows]}, cameras[rows])[str(m)]
                nothing = nothing.to(own.dtype).index_copy(0, rows, own)
            found[str(m)] = nothing
        return found

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the identity and the triplet term, each added up over the kinds of features (MAN, Eq. 21-22)."""
        every, seen = torch.ones_like(identity, dtype=torch.bool), seen_in(represented, self.sensors)
        if seen is None:
            return self.supervise(self.kinds(represented), identity, every)
        terms: list[Encoded] = []
        for kind, features in self.kinds(represented).items():
            rows = {str(m): own for m, own in seen.items()}.get(kind, every)
            if int(rows.sum()) > 1:
                terms.append(self.supervise({kind: features[rows]}, identity[rows], every[rows]))
        return {name: torch.stack([some[name] for some in terms]).sum() for name in terms[0]}

    def supervise(self, features: Encoded, identity: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Return both terms for some rows; all of them enter the statistics of the heads.

        Args:
            features: (B, D) by kind.
            identity: (B,).
            rows: (B,) bool.
        """
        known = identity[rows]
        classified = [identity_loss(self.heads[kind](x)[rows], known) for kind, x in features.items()]
        ranked = [hinge_triplet(x[rows], known, x[rows], known, self.margin) for x in features.values()]
        return {"identity": torch.stack(classified).sum(), "triplet": torch.stack(ranked).sum()}

    def kinds(self, represented: Encoded) -> dict[str, Tensor]:
        """Return the fused feature, all sensors side by side, and those of the sensors, by name."""
        single = {str(m): represented[str(m)] for m in self.sensors}
        return {FUSED: torch.cat(list(single.values()), dim=1)} | single

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return the same as ``represent``."""
        return self.represent(images, camera)

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the normalised features of the sensors, zeros for absent ones, of unit length: (B, n D)."""
        found = {m: F.normalize(encoded[str(m)].float(), dim=1) for m in available}
        nothing = torch.zeros_like(next(iter(found.values())))
        return F.normalize(torch.cat([found.get(m, nothing) for m in self.sensors], dim=1), dim=1)


def branches_for(config: RunConfig, data: DataFacts) -> dict[Modality, ResNet | Trunk]:
    """Return a trunk for each sensor, all with the same weights at first.

    A vision transformer gives its class vector. It gets no camera vector: other datasets have other cameras.
    """
    if config.trunk.name in RESNETS:
        return {m: ResNet.build(config.trunk) for m in data.modalities}
    trunks: dict[Modality, ResNet | Trunk] = {}
    for m in data.modalities:
        trunk = Trunk(tower_for(config), config.image_size, data.cameras, shared_token=False, camera_scale=0.0)
        trunk.camera.requires_grad_(False)
        trunks[m] = trunk
    return trunks


def _pooled(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))
