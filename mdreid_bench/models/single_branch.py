"""One class vector per modality and one classifier over the three: the reference without decoupling."""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.absent import KeptPerCamera
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.heads import BottleneckHead
from mdreid_bench.models.method import DataFacts, Encoded, Images
from mdreid_bench.models.separable import SeparableMethod
from mdreid_bench.models.trunk.stacking import run_trunk
from mdreid_bench.models.trunk.trunk import Trunk
from protocols.modality import SINGLES, Modality

Missing = Literal["zero_image", "zero_feature"]
_ABSENT = "absent"


class SingleBranch(SeparableMethod):
    """Shared trunk with the class token alone; feature [cls_R | cls_N | cls_T].

    See docs/methods/single-classifier.md, "Network".

    Args:
        trunk: shared by the modalities, with one leading token.
        identities: number of training identities C.
        image_size: (height, width) in pixels, for the image that stands in for a missing one.
        identity_weight: weight of the identity loss.
        missing: what fills the block of a missing modality: the class vector of a mid-grey image taken by the same
            camera, as in the released code, or zeros.
    """

    card: ClassVar[MethodCard] = MethodCard(
        name="single-branch",
        title="Single classifier",
        paper="row 1 of the ablation of MDReID",
        venue="NeurIPS 2025",
        url="https://arxiv.org/abs/2510.23301",
        summary="one trunk, one classifier over the concatenated class vectors, nothing decoupled",
    )

    def __init__(
        self,
        trunk: Trunk,
        identities: int,
        image_size: tuple[int, int],
        *,
        identity_weight: float = 0.25,
        missing: Missing = "zero_image",
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = BottleneckHead(len(SINGLES) * trunk.width, identities)
        self.identity_weight, self.missing, self.image_size = identity_weight, missing, image_size
        self._absent: KeptPerCamera[Tensor] = KeptPerCamera()

    @classmethod
    def build_branch(
        cls,
        config: RunConfig,
        data: DataFacts,
        *,
        identity_weight: float = 0.25,
        missing: Missing = "zero_image",
    ) -> "SingleBranch":
        """Build from a configuration and the two options of this network."""
        trunk = Trunk.build(config, data.cameras, shared_token=False)
        return cls(trunk, data.identities, config.image_size, identity_weight=identity_weight, missing=missing)

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "SingleBranch":
        """Build with the default options."""
        return cls.build_branch(config, data)

    def represent(self, images: Images, camera: Tensor) -> Encoded:
        """Return the class vectors ``"R"``, ``"N"``, ``"T"``, (B, D)."""
        return {str(m): v[:, 0] for m, v in run_trunk(self.trunk, images, camera).items()}

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the identity and the triplet term on the concatenated feature."""
        feature = torch.cat([represented[str(m)] for m in SINGLES], dim=1)
        return {
            "identity": self.identity_weight * identity_loss(self.head(feature), identity),
            "triplet": soft_margin_triplet(feature, identity),
        }

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return ``"R"``, ``"N"``, ``"T"`` as present and ``"absent"``, each (B, D)."""
        encoded = dict(self.represent(images, camera))
        vectors = self._absent.get(self.trunk.camera, self._absent_vectors, training=self.training)
        encoded[_ABSENT] = vectors[camera]
        return encoded

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the three blocks, absent ones filled in, normalised as a whole: (B, 3 D)."""
        blocks = [encoded[str(m) if m in available else _ABSENT].float() for m in SINGLES]
        return F.normalize(torch.cat(blocks, dim=1), dim=1)

    def _absent_vectors(self) -> Tensor:
        """Return (cameras, D): what stands in for a missing image of each camera."""
        table = self.trunk.camera
        if self.missing == "zero_feature":
            return table.new_zeros(len(table), self.trunk.width)
        grey = table.new_zeros(len(table), 3, *self.image_size)
        tokens: Tensor = self.trunk(grey, torch.arange(len(table), device=table.device))
        return tokens[:, 0]
