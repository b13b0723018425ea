"""DeMo: decoupled features of every subset of the sensors, and experts that attention weighs."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.demo.card import CARD, DeMoOptions, Feature
from baselines.demo.decoupling import HEADS, Decoupling
from baselines.demo.mixture import ExpertMixture
from baselines.demo.released import DeMoRelease
from baselines.pooled_feature import PooledFeature
from baselines.supervision import ClassVectorSupervision
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import Cameras, DataFacts, Encoded, Images, Method
from mdreid_bench.models.partial import seen_in
from mdreid_bench.models.parts import BottleneckHead, KeptPerCamera
from mdreid_bench.models.released_format import ReleasedFormat
from mdreid_bench.models.trunk.trunk import Trunk, run_trunk
from protocols.modality import Modality, subsets

_CAMERA, _DECOUPLED = "camera", "decoupled"


class DeMo(Method):
    """Shared trunk, pooled features, decoupled features, attention-triggered experts (docs/methods/demo.md).

    The vector of an item is [ori | moe]: a pooled feature for each sensor, then the weighted outputs of the experts
    for each subset of sensors. An absent sensor is a mid-grey image of the same camera, which passes the trunk once.

    Args:
        trunk: shared by the sensors; puts out all tokens.
        image_size: (height, width) in pixels.
    """

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = DeMoRelease()

    def __init__(self, trunk: Trunk, options: DeMoOptions, data: DataFacts, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.trunk, self.options, self.sensors, self.image_size = trunk, options, data.modalities, image_size
        width, count = trunk.width, len(subsets(self.sensors))
        self.pooled = nn.ModuleDict({str(m): PooledFeature(width) for m in self.sensors})
        self.decoupler = Decoupling(width, self.sensors, options.dropout)
        self.mixture = ExpertMixture(width, count, options.heads)
        self.supervision = ClassVectorSupervision(width, data, options.supervision, shared=False, train_bias=False)
        self.head = BottleneckHead(count * width, data.identities)
        self._absent: KeptPerCamera[dict[Modality, Tensor]] = KeptPerCamera()

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "DeMo":
        """Build from a configuration.

        Raises:
            UsageError: when the width of the trunk is no multiple of the number of heads.
        """
        options = DeMoOptions.model_validate(config.options)
        trunk = Trunk.build(config, data.cameras, shared_token=False, all_tokens=True)
        for heads, what in ((options.heads, "options.heads"), (HEADS, "the attention of the method")):
            if trunk.width % heads:
                raise UsageError(
                    f"The {trunk.width} outputs of the trunk {config.trunk.name} cannot be divided into {heads} "
                    f"heads ({what}); choose another trunk.name, or options.heads."
                )
        return cls(trunk, options, data, config.image_size)

    def backbones(self) -> tuple[Trunk]:
        """Return the shared trunk."""
        return (self.trunk,)

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return the pooled features (B, D) by sensor, ``"R"`` and so on, and ``"decoupled"`` (B, S, D)."""
        sequences = self._sequences(images, camera)
        pooled = {str(m): sequence[:, 0] for m, sequence in sequences.items()}
        return pooled | {_DECOUPLED: self.decoupler(sequences)}

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the terms of the outputs of the experts and of the pooled features.

        What rows lack are mid-grey images, as when testing, that the terms of single sensors leave out.
        """
        weight = self.options.identity_weight
        moe = self.mixture(represented[_DECOUPLED]).flatten(1)
        features, seen = {m: represented[str(m)] for m in self.sensors}, seen_in(represented, self.sensors)
        ori = self.supervision(features, identity, seen)
        return {
            "identity": weight * identity_loss(self.head(moe), identity),
            "triplet": soft_margin_triplet(moe, identity),
            "pooled_identity": weight * ori["trunk_identity"],
            "pooled_triplet": ori["trunk_triplet"],
        }

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return by sensor that is present [pooled feature | patches], (B, 1 + P, D), and ``"camera"`` (B,)."""
        return {str(m): x for m, x in self._sequences(images, camera).items()} | {_CAMERA: camera}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return [ori | moe] or one of them, normalised as a whole: (B, (n + S) D), (B, n D) or (B, S D)."""
        absent = self._grey(encoded[_CAMERA]) if available != self.sensors else {}
        sequences = {m: encoded[str(m)] if m in available else absent[m] for m in self.sensors}
        ori = torch.stack([sequence[:, 0] for sequence in sequences.values()], dim=1)
        blocks = torch.cat([ori, self.mixture(self.decoupler(sequences))], dim=1).float()
        if self.options.missing == "left_out":
            of = (*self.sensors, *self.decoupler.subsets)
            kept = [bool(block & available) for block in of]
            blocks = blocks * torch.tensor(kept, device=blocks.device)[:, None]
        return _chosen(blocks.flatten(1), self.options.feature, self.sensors)

    @classmethod
    def derive(cls, embeddings: Tensor, options: Mapping[str, Any], sensors: Modality) -> Tensor:
        """Return one of the two parts of embeddings of both."""
        return _chosen(embeddings, options["feature"], sensors)

    def _sequences(self, images: Images, camera: Cameras) -> dict[Modality, Tensor]:
        """Return the output tokens of the sensors, the class token replaced by the pooled feature."""
        tokens = run_trunk(self.trunk, images, camera)
        return {m: self._sequence(m, some) for m, some in tokens.items()}

    def _sequence(self, sensor: Modality, tokens: Tensor) -> Tensor:
        return torch.cat([self.pooled[str(sensor)](tokens)[:, None], tokens[:, 1:]], dim=1)

    def _grey(self, camera: Tensor) -> dict[Modality, Tensor]:
        """Return what stands in for absent images of some cameras, by sensor."""
        absent = self._absent.get(self.trunk.camera, self._look_at_nothing, training=self.training)
        return {m: sequences[camera] for m, sequences in absent.items()}

    def _look_at_nothing(self) -> dict[Modality, Tensor]:
        """Return the sequences (cameras, 1 + P, D) of an absent image of each camera, by sensor."""
        table = self.trunk.camera
        grey = table.new_zeros(len(table), 3, *self.image_size)
        tokens = self.trunk(grey, torch.arange(len(table), device=table.device))
        return {m: self._sequence(m, tokens) for m in self.sensors}


def _chosen(vectors: Tensor, feature: Feature, sensors: Modality) -> Tensor:
    """Return the unit vector of what is compared, of vectors (B, (n + S) D)."""
    width = vectors.shape[1] // (len(sensors) + len(subsets(sensors)))
    place = len(sensors) * width
    parts = {"both": vectors, "ori": vectors[:, :place], "moe": vectors[:, place:]}
    return F.normalize(parts[feature], dim=1)
