"""EDITOR: selects object-centric tokens in all modalities together and aggregates only those."""

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.editor.aggregation import HierarchicalAggregation
from baselines.editor.background_consistency import background_consistency
from baselines.editor.card import CARD, EDITOROptions
from baselines.editor.object_centric import ObjectCentres
from baselines.editor.released import EDITORRelease
from baselines.editor.selection import frequency_mask, spatial_mask
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
from mdreid_bench.models.trunk.token_trunk import TokenTrunk
from mdreid_bench.models.trunk.trunk import stacked_cameras
from protocols.modality import Modality

_ABSENT = "absent"
_SPATIAL, _BRIGHT = ".spatial", ".bright"


class EDITOR(Method):
    """Shared trunk, token selection, hierarchical masked aggregation (docs/methods/editor.md).

    The selection looks at all modalities of a subset together, so it and the aggregation are repeated for every
    subset; the trunk is not. No source says what stands in for a missing sensor. Here it is an image of zeros
    after normalisation, mid-grey, from the same camera, which the whole network sees: its rollout takes part in the
    selection. With ``missing=zero_feature`` its tokens are zeros and it selects nothing.

    Args:
        uniform_rate: train the trunk at the base rate, biases at their own, as the paper does.
    """

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = EDITORRelease()

    def __init__(self, trunk: TokenTrunk, options: EDITOROptions, data: DataFacts, *, uniform_rate: bool) -> None:
        super().__init__()
        self.trunk, self.options, self.sensors, self.uniform_rate = trunk, options, data.modalities, uniform_rate
        self.aggregation = HierarchicalAggregation(trunk.width, trunk.heads, self.sensors)
        self.centres = ObjectCentres(data.identities, trunk.width, self.sensors)
        self.supervision = ClassVectorSupervision(
            trunk.width, data, options.supervision, shared=True, train_bias=True
        )
        self.head = BottleneckHead(len(self.sensors) * trunk.width, data.identities, train_bias=True)
        self._absent: KeptPerCamera[tuple[Tensor, Tensor]] = KeptPerCamera()

    @classmethod
    def skip(cls, data: DataFacts) -> str | None:
        """Refuse a single sensor, whose background there is nothing to compare with."""
        return None if len(data.modalities) > 1 else "it needs at least two sensors"

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "EDITOR":
        """Build from a configuration.

        Raises:
            UsageError: when more patches are to be kept than there are, or patches overlap.
        """
        options = EDITOROptions.model_validate(config.options)
        trunk = TokenTrunk.for_tokens(config, data.cameras, drop_path=options.drop_path)
        if trunk.patch.stride != trunk.patch_size:
            raise UsageError(f"{config.method} counts the pixels of patches side by side; leave trunk.stride out.")
        patches = trunk.grid[0] * trunk.grid[1]
        for name in ("head_keep", "frequency_keep"):
            if getattr(options, name) > patches:
                raise UsageError(
                    f"options.{name} {getattr(options, name)} is more than the {patches} patches of images of "
                    f"{config.image_size}; lower it or set a larger image.size."
                )
        return cls(trunk, options, data, uniform_rate=config.optimizer.trunk_lr is None)

    def backbones(self) -> tuple[TokenTrunk]:
        """Return the shared trunk."""
        return (self.trunk,)

    def pretrained(self) -> Iterable[nn.Parameter]:
        """Give the trunk its own rate if there is one; otherwise everything has the base rate."""
        return () if self.uniform_rate else super().pretrained()

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return what ``encode`` does of the images that are there."""
        return self._look(images, camera)

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the terms of the fused feature and of the trunk, BCC and OCFR (docs/methods/editor.md).

        What rows lack are mid-grey images, as when testing, that the terms of single sensors leave out.
        """
        seen = seen_in(represented, self.sensors)
        tokens = {m: represented[str(m)] for m in self.sensors}
        spatial = [represented[str(m) + _SPATIAL] for m in self.sensors]
        selected = self._select(spatial, [represented[str(m) + _BRIGHT] for m in self.sensors])
        fused = self.aggregation(tokens, selected)
        terms = {
            "identity": identity_loss(self.head(fused.feature), identity),
            "triplet": soft_margin_triplet(fused.feature, identity),
        }
        terms |= self.supervision({m: tokens[m][:, 0] for m in self.sensors}, identity, seen)
        terms["background"] = self.options.background_weight * background_consistency(tokens, selected, seen)
        terms["object_centric"] = self.options.object_weight * self.centres(fused.classes, identity, seen)
        return terms

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return what the selection and the aggregation need of each image, and of an absent one.

        Names: ``"R"`` tokens (B, 1 + P, W), ``"R.spatial"`` patches that the attention selects (B, P) bool,
        ``"R.bright"`` mean over channels (B, H, W); likewise N and T; and ``"absent"``, ``"absent.spatial"``.
        """
        encoded = self._look(images, camera)
        tokens, spatial = self._absent.get(self.trunk.camera, self._look_at_nothing, training=self.training)
        return encoded | {_ABSENT: tokens[camera], _ABSENT + _SPATIAL: spatial[camera]}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Select for this subset, aggregate and normalise: (B, n W)."""
        names = {m: str(m) if m in available else _ABSENT for m in self.sensors}
        spatial = [encoded[name + _SPATIAL] for name in names.values()]
        selected = self._select(spatial, [encoded[str(m) + _BRIGHT] for m in available])
        fused = self.aggregation({m: encoded[name] for m, name in names.items()}, selected)
        return F.normalize(fused.feature.float(), dim=1)

    def _look(self, images: Images, camera: Cameras) -> dict[str, Tensor]:
        """Run the trunk once over all images, stacked on the batch axis, and take the modalities apart again."""
        present = list(images)
        stacked = torch.cat([images[m] for m in present])
        tokens, rollout = self.trunk.attended(stacked, stacked_cameras(images, camera))
        spatial = spatial_mask(rollout, self.options.head_keep, self.options.ties)
        parts = {"": tokens, _SPATIAL: spatial, _BRIGHT: stacked.float().mean(1)}
        return {
            str(m) + suffix: part
            for suffix, whole in parts.items()
            for m, part in zip(present, whole.chunk(len(present)), strict=True)
        }

    def _select(self, spatial: list[Tensor], bright: list[Tensor]) -> Tensor:
        """Return the union of the masks of all modalities and of the brightness of all together, (B, P) bool."""
        total = torch.stack(bright).sum(0)
        keep, ties = self.options.frequency_keep, self.options.ties
        return torch.stack(spatial).any(0) | frequency_mask(total, self.trunk.patch_size, keep, ties)

    def _look_at_nothing(self) -> tuple[Tensor, Tensor]:
        """Return tokens (cameras, 1 + P, W) and attention masks (cameras, P) of an absent image of each camera."""
        table, (rows, columns), (height, width) = self.trunk.camera, self.trunk.grid, self.trunk.patch_size
        count, patches = len(table), rows * columns
        if self.options.missing == "zero_feature":
            nothing = table.new_zeros(count, patches, dtype=torch.bool)
            return table.new_zeros(count, 1 + patches, self.trunk.width), nothing
        grey = table.new_zeros(count, 3, rows * height, columns * width)
        tokens, rollout = self.trunk.attended(grey, torch.arange(count, device=table.device))
        return tokens, spatial_mask(rollout, self.options.head_keep, self.options.ties)
