"""MFRNet: sparse mixtures of experts generate tokens across sensors and adapt those of the last block."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.mfrnet.balance import expert_balance
from baselines.mfrnet.card import CARD, MFRNetOptions
from baselines.mfrnet.expert_trunk import ExpertTrunk
from baselines.mfrnet.generation import Generated, Generation
from baselines.mfrnet.released import MFRNetRelease
from baselines.pooled_feature import PooledFeature
from baselines.supervision import ClassVectorSupervision
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import Cameras, DataFacts, Encoded, Images, Method
from mdreid_bench.models.partial import Seen, rows_by_subset
from mdreid_bench.models.released_format import ReleasedFormat
from mdreid_bench.models.trunk.trunk import stacked_cameras
from protocols.modality import Modality

_WEIGHT, _SHARES, _ADAPTERS = ".weight", "shares.", "adapters"


class MFRNet(Method):
    """One trunk, generated tokens before it and adapted ones in its last block (docs/methods/mfrnet.md).

    What is generated depends on the subset of sensors and stands before the blocks, so these are repeated for every
    subset; the patch convolution and the generators are not.
    """

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = MFRNetRelease()

    def __init__(self, trunk: ExpertTrunk, options: MFRNetOptions, data: DataFacts) -> None:
        super().__init__()
        self.trunk, self.options, self.sensors = trunk, options, data.modalities
        self.generation = Generation(trunk.token_width, self.sensors, options)
        names = [str(m) for m in self.sensors] if options.global_local else []
        self.pooled = nn.ModuleDict({name: PooledFeature(trunk.width) for name in names})
        self.supervision = ClassVectorSupervision(
            trunk.width, data, options.supervision, shared=False, train_bias=False
        )

    @classmethod
    def skip(cls, data: DataFacts) -> str | None:
        """Refuse a single sensor, of which there is nothing to generate."""
        return None if len(data.modalities) > 1 else "it needs at least two sensors"

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "MFRNet":
        """Build from a configuration."""
        options = MFRNetOptions.model_validate(config.options)
        return cls(ExpertTrunk.with_experts(config, data.cameras, options), options, data)

    def backbones(self) -> tuple[ExpertTrunk]:
        """Return the shared trunk."""
        return (self.trunk,)

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return the features (B, D) by sensor, and shares (B, 2, n) as ``"shares.adapters"`` and the like."""
        tokens, generated, shares = self._generate(images, camera)
        features, shares[_ADAPTERS] = self._features(self.generation.compose(tokens, generated, self.sensors))
        return {str(m): x for m, x in features.items()} | {_SHARES + name: x for name, x in shares.items()}

    def represent_partly(self, images: Images, camera: Cameras, seen: Seen) -> Encoded:
        """Return the same of tokens that are composed, as when testing, of those that a row has."""
        tokens, count = self._tokens(images, camera), self.options.generators
        composed = dict(tokens)
        first = next(iter(tokens.values()))
        shares = {name: first.new_zeros(len(first), 2, count) for name in self.generation.generators}
        for subset, rows in rows_by_subset(seen):
            own = {m: tokens[m][rows] for m in subset}
            made, some = self.generation(own)
            for m, x in self.generation.compose(own, made, subset).items():
                composed[m] = composed[m].index_copy(0, rows, x.to(composed[m].dtype))
            for name, x in some.items():
                shares[name] = shares[name].to(x.dtype).index_copy(0, rows, x)
        features, shares[_ADAPTERS] = self._features(composed)
        return {str(m): x for m, x in features.items()} | {_SHARES + name: x for name, x in shares.items()}

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return identity and triplet terms, and the balance of generators and adapters."""
        options = self.options
        found = self.supervision({m: represented[str(m)] for m in self.sensors}, identity)
        balance = {name: expert_balance(x.sum(0)) for name, x in represented.items() if name.startswith(_SHARES)}
        adapters = balance.pop(_SHARES + _ADAPTERS)
        return {
            "identity": options.identity_weight * found["trunk_identity"],
            "triplet": found["trunk_triplet"],
            "generator_balance": options.generator_balance * torch.stack(list(balance.values())).sum(),
            "adapter_balance": options.adapter_balance * adapters,
        }

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return what enters the blocks of each image, ``"R"`` (B, 1 + P, W), and what is generated from it.

        The latter is called ``"R2N"`` for R and N, likewise for other pairs, with ``"R2N.weight"`` (B,).
        """
        tokens, generated, _ = self._generate(images, camera)
        made = {name: one.tokens for name, one in generated.items()}
        weights = {name + _WEIGHT: one.weight for name, one in generated.items()}
        return {str(m): x for m, x in tokens.items()} | made | weights

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Compose the tokens of every sensor from the available ones and run the blocks: (B, n D), normalised."""
        tokens = {m: encoded[str(m)] for m in available}
        pairs = {n.removesuffix(_WEIGHT): x for n, x in encoded.items() if n.endswith(_WEIGHT)}
        generated = {name: Generated(encoded[name], weight) for name, weight in pairs.items()}
        features, _ = self._features(self.generation.compose(tokens, generated, available))
        return F.normalize(torch.cat([features[m].float() for m in self.sensors], dim=1), dim=1)

    def _generate(
        self, images: Images, camera: Cameras
    ) -> tuple[dict[Modality, Tensor], dict[str, Generated], dict[str, Tensor]]:
        """Return the tokens by sensor, what is generated from them, and the shares of the generators' experts."""
        tokens = self._tokens(images, camera)
        return tokens, *self.generation(tokens)

    def _tokens(self, images: Images, camera: Cameras) -> dict[Modality, Tensor]:
        """Return the tokens (B, 1 + P, W) by sensor, before anything is generated."""
        stacked = self.trunk.assemble(torch.cat(list(images.values())), stacked_cameras(images, camera))
        return dict(zip(images, stacked.chunk(len(images)), strict=True))

    def _features(self, composed: Mapping[Modality, Tensor]) -> tuple[dict[Modality, Tensor], Tensor]:
        """Run the blocks over the tokens of all sensors; return features (B, D) and shares (B, 2, n)."""
        # Adapters that are balanced, or that take a limited number of tokens, have to see all of them.
        every = self.training or self.options.global_local or self.options.capacity is not None
        output, shares = self.trunk.transform(torch.cat([composed[m] for m in self.sensors]), None if every else 1)
        parts = dict(zip(self.sensors, output.chunk(len(self.sensors)), strict=True))
        by_sensor = shares.reshape(len(self.sensors), -1, *shares.shape[1:]).sum(0)
        if self.options.global_local:
            return {m: self.pooled[str(m)](x) for m, x in parts.items()}, by_sensor
        return {m: x[:, 0] for m, x in parts.items()}, by_sensor
