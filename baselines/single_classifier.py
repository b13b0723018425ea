"""Single classifier: one class vector per sensor and one classifier over all, row 1 of the ablation of MDReID."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.cards import SINGLE_CLASSIFIER, SingleClassifierOptions
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import Cameras, DataFacts, Encoded, Images, Method
from mdreid_bench.models.parts import BottleneckHead, KeptPerCamera
from mdreid_bench.models.trunk.trunk import Trunk, run_trunk
from protocols.modality import Modality

_ABSENT = "absent"


class SingleClassifier(Method):
    """Shared trunk with the class token alone; feature [cls_R | cls_N | cls_T] (docs/methods/single-classifier.md).

    The lower reference of the any-to-any study: nothing is decoupled. The block of a missing sensor is the class
    vector of a mid-grey image taken by the same camera, as in the released code of MDReID, or zeros.

    Args:
        trunk: shared by the sensors, with one leading token.
        data: identities and sensors size the classifier.
        image_size: (height, width) in pixels, for the image that stands in for a missing one.
    """

    card: ClassVar[MethodCard] = SINGLE_CLASSIFIER

    def __init__(
        self, trunk: Trunk, options: SingleClassifierOptions, data: DataFacts, image_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.trunk, self.options, self.sensors, self.image_size = trunk, options, data.modalities, image_size
        self.head = BottleneckHead(len(self.sensors) * trunk.width, data.identities)
        self._absent: KeptPerCamera[Tensor] = KeptPerCamera()

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "SingleClassifier":
        """Build from a configuration."""
        options = SingleClassifierOptions.model_validate(config.options)
        return cls(Trunk.build(config, data.cameras, shared_token=False), options, data, config.image_size)

    def backbones(self) -> tuple[Trunk]:
        """Return the shared trunk."""
        return (self.trunk,)

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return the class vectors by sensor, ``"R"`` and so on, (B, D)."""
        return {str(m): v[:, 0] for m, v in run_trunk(self.trunk, images, camera).items()}

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the identity and the triplet term on the concatenated feature."""
        feature = torch.cat([represented[str(m)] for m in self.sensors], dim=1)
        return {
            "identity": self.options.identity_weight * identity_loss(self.head(feature), identity),
            "triplet": soft_margin_triplet(feature, identity),
        }

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return the class vectors of the sensors that are present and ``"absent"``, each (B, D)."""
        encoded = dict(self.represent(images, camera))
        vectors = self._absent.get(self.trunk.camera, self._absent_vectors, training=self.training)
        encoded[_ABSENT] = vectors[camera]
        return encoded

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the blocks of all n sensors, absent ones filled in, normalised as a whole: (B, n D)."""
        blocks = [encoded[str(m) if m in available else _ABSENT].float() for m in self.sensors]
        return F.normalize(torch.cat(blocks, dim=1), dim=1)

    def _absent_vectors(self) -> Tensor:
        """Return (cameras, D): what stands in for a missing image of each camera."""
        table = self.trunk.camera
        if self.options.missing == "zero_feature":
            return table.new_zeros(len(table), self.trunk.width)
        grey = table.new_zeros(len(table), 3, *self.image_size)
        tokens: Tensor = self.trunk(grey, torch.arange(len(table), device=table.device))
        return tokens[:, 0]
