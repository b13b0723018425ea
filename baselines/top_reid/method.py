"""TOP-ReID: token permutation across sensors, and reconstruction of those that are missing."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.supervision import ClassVectorSupervision
from baselines.top_reid.card import CARD, TOPReIDOptions
from baselines.top_reid.permutation import TokenPermutation
from baselines.top_reid.reconstruction import Reconstruction, pair_name
from baselines.top_reid.released import TOPReIDRelease
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import Cameras, DataFacts, Encoded, Images, Method
from mdreid_bench.models.partial import seen_in
from mdreid_bench.models.parts import BottleneckHead
from mdreid_bench.models.released_format import ReleasedFormat
from mdreid_bench.models.trunk.token_trunk import TokenTrunk
from mdreid_bench.models.trunk.trunk import camera_of
from protocols.modality import Modality


class TOPReID(Method):
    """A trunk for each sensor, token permutation, complementary reconstruction (docs/methods/top-reid.md).

    Args:
        trunks: one for each sensor, nothing shared.
        data: identities and sensors size the modules.
        uniform_rate: train the trunks at the base rate, biases at their own, as the paper does.
    """

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = TOPReIDRelease()

    def __init__(
        self, trunks: dict[Modality, TokenTrunk], options: TOPReIDOptions, data: DataFacts, *, uniform_rate: bool
    ) -> None:
        super().__init__()
        self.options, self.sensors, self.uniform_rate = options, data.modalities, uniform_rate
        self.trunks = nn.ModuleDict({str(m): trunks[m] for m in self.sensors})
        first = next(iter(trunks.values()))
        width, heads = first.width, first.heads
        self.permutation = TokenPermutation(width, heads, self.sensors)
        self.reconstruction = Reconstruction(width, heads, self.sensors)
        self.supervision = ClassVectorSupervision(width, data, options.supervision, shared=False, train_bias=False)
        self.head = BottleneckHead(len(self.sensors) * width, data.identities)

    @classmethod
    def skip(cls, data: DataFacts) -> str | None:
        """Refuse a single sensor, which there is nothing to read across."""
        return None if len(data.modalities) > 1 else "it needs at least two sensors"

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "TOPReID":
        """Build from a configuration."""
        options = TOPReIDOptions.model_validate(config.options)
        trunks = {
            m: TokenTrunk.for_tokens(config, data.cameras, drop_path=options.drop_path) for m in data.modalities
        }
        return cls(trunks, options, data, uniform_rate=config.optimizer.trunk_lr is None)

    def backbones(self) -> tuple[TokenTrunk, ...]:
        """Return the trunks of all sensors."""
        trunks: Iterable[Any] = self.trunks.values()
        return tuple(trunks)

    def pretrained(self) -> Iterable[nn.Parameter]:
        """Give trunks their own rate if there is one; the camera tables always have the base rate."""
        return () if self.uniform_rate else super().pretrained()

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the terms of the fused feature, of the trunks and of the reconstruction.

        What rows lack is filled in as when testing, and no trunk or reconstruction is supervised with it.
        """
        seen = seen_in(represented, self.sensors)
        own = {m: represented[str(m)] for m in self.sensors}
        tokens = own if seen is None else self.reconstruction.filled(own, seen)
        fused = self.permutation(tokens)
        terms = {
            "identity": identity_loss(self.head(fused), identity),
            "triplet": soft_margin_triplet(fused, identity),
        }
        terms |= self.supervision({m: tokens[m][:, 0] for m in self.sensors}, identity, seen)
        terms["reconstruction"] = self.options.reconstruction_weight * self.reconstruction(own, seen)
        return terms

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return the same as ``represent``."""
        return self.represent(images, camera)

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return by sensor that is present, ``"R"`` and so on: all tokens (B, 1 + P, W)."""
        return {str(m): self.trunks[str(m)](image, camera_of(camera, m)) for m, image in images.items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Fill in the tokens of missing sensors, permute and normalise: (B, n W).

        A missing sensor is the mean of its predictions from the available ones, for the query and the gallery each
        by itself (docs/methods/top-reid.md, "Missing sensors").
        """
        tokens = {m: encoded[str(m)] for m in available}
        for target in self.sensors:
            if target not in available:
                predicted = [self._predicted(encoded, source, target) for source in available]
                tokens[target] = torch.stack(predicted).mean(0)
        return F.normalize(self.permutation(tokens).float(), dim=1)

    @torch.inference_mode()
    def embed_all(self, images: Images, camera: Tensor, subsets: tuple[Modality, ...]) -> dict[Modality, Tensor]:
        """Return the embedding of every subset; a prediction that several subsets need is made once."""
        encoded = dict(self.encode(images, camera))
        for source, target in self.reconstruction.pairs:
            if any(source in subset and target not in subset for subset in subsets):
                encoded[pair_name(source, target)] = self._predicted(encoded, source, target)
        return {subset: self.embed(encoded, subset) for subset in subsets}

    def _predicted(self, encoded: Encoded, source: Modality, target: Modality) -> Tensor:
        made = encoded.get(pair_name(source, target))
        return self.reconstruction.predict(encoded[str(source)], source, target) if made is None else made
