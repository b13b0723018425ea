"""TOP-ReID: token permutation across spectra, and reconstruction of those that are missing."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.supervision import ClassVectorSupervision, bottleneck
from baselines.top_reid.card import CARD, TOPReIDOptions
from baselines.top_reid.permutation import TokenPermutation
from baselines.top_reid.reconstruction import PAIRS, Reconstruction, pair_name
from baselines.top_reid.released import TOPReIDRelease
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import (
    DataFacts,
    Encoded,
    Images,
    Rate,
)
from mdreid_bench.models.separable import SeparableMethod
from mdreid_bench.models.trunk.token_trunk import TokenTrunk
from mdreid_bench.weights.released_format import ReleasedFormat
from protocols.modality import SINGLES, Modality


class TOPReID(SeparableMethod):
    """Three trunks, token permutation, complementary reconstruction (docs/methods/top-reid.md).

    Args:
        trunks: one for each spectrum, nothing shared.
        options: see ``TOPReIDOptions``.
        identities: number of training identities C.
        uniform_rate: train the trunks at the base rate, biases at their own, as the paper does.
    """

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = TOPReIDRelease()

    def __init__(
        self, trunks: dict[Modality, TokenTrunk], options: TOPReIDOptions, identities: int, *, uniform_rate: bool
    ) -> None:
        super().__init__()
        first = trunks[SINGLES[0]]
        self.trunks = nn.ModuleDict({str(m): trunks[m] for m in SINGLES})
        self.permutation = TokenPermutation(first.width, first.heads)
        self.reconstruction = Reconstruction(first.width, first.heads)
        self.supervision = ClassVectorSupervision(
            first.width, identities, options.supervision, shared=False, train_bias=False
        )
        self.head = bottleneck(len(SINGLES) * first.width, identities, train_bias=False)
        self.options, self.uniform_rate = options, uniform_rate

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "TOPReID":
        """Build from a configuration."""
        options = TOPReIDOptions.model_validate(config.options)
        trunks = {m: TokenTrunk.for_tokens(config, data.cameras, drop_path=options.drop_path) for m in SINGLES}
        return cls(trunks, options, data.identities, uniform_rate=config.optimizer.trunk_lr is None)

    def rate(self, parameter: str) -> Rate:
        """Give trunks their own rate if there is one; the camera tables always have the base rate."""
        in_trunk = parameter.startswith("trunks.") and not parameter.endswith(".camera")
        return "trunk" if in_trunk and not self.uniform_rate else "base"

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the terms of the fused feature, of the trunks and of the reconstruction."""
        tokens = {m: represented[str(m)] for m in SINGLES}
        fused = self.permutation(tokens)
        terms = {
            "identity": identity_loss(self.head(fused), identity),
            "triplet": soft_margin_triplet(fused, identity),
        }
        terms |= self.supervision({m: tokens[m][:, 0] for m in SINGLES}, identity)
        terms["reconstruction"] = self.options.reconstruction_weight * self.reconstruction(tokens)
        return terms

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return ``"R"``, ``"N"``, ``"T"`` as present: all tokens (B, 1 + P, W)."""
        return {str(m): self.trunks[str(m)](image, camera) for m, image in images.items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Fill in the tokens of missing spectra, permute and normalise: (B, 3 W).

        A missing spectrum is the mean of its predictions from the available ones, for the query and the gallery each
        by itself (docs/methods/top-reid.md, "Missing spectra").
        """
        tokens = {m: encoded[str(m)] for m in available}
        for target in SINGLES:
            if target not in available:
                predicted = [self._predicted(encoded, source, target) for source in available]
                tokens[target] = torch.stack(predicted).mean(0)
        return F.normalize(self.permutation(tokens).float(), dim=1)

    @torch.inference_mode()
    def embed_all(self, images: Images, camera: Tensor, subsets: tuple[Modality, ...]) -> dict[Modality, Tensor]:
        """Return the embedding of every subset; a prediction that several subsets need is made once."""
        encoded = dict(self.encode(images, camera))
        for source, target in PAIRS:
            if any(source in subset and target not in subset for subset in subsets):
                encoded[pair_name(source, target)] = self._predicted(encoded, source, target)
        return {subset: self.embed(encoded, subset) for subset in subsets}

    def _predicted(self, encoded: Encoded, source: Modality, target: Modality) -> Tensor:
        made = encoded.get(pair_name(source, target))
        return self.reconstruction.predict(encoded[str(source)], source, target) if made is None else made
