"""MDReID: modality-decoupled learning for any-to-any multi-modal object re-identification."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.knowledge_discrepancy import knowledge_discrepancy
from mdreid_bench.losses.orthogonality import orthogonality_paper, orthogonality_released
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.heads import BottleneckHead
from mdreid_bench.models.mdreid.card import CARD, MDReIDOptions
from mdreid_bench.models.mdreid.folding import fold_paper, fold_released, keep_components
from mdreid_bench.models.mdreid.released import MDReIDRelease
from mdreid_bench.models.method import (
    DataFacts,
    Encoded,
    Images,
    Method,
    Rate,
)
from mdreid_bench.models.separable import SeparableMethod
from mdreid_bench.models.single_branch import SingleBranch
from mdreid_bench.models.trunk.stacking import run_trunk
from mdreid_bench.models.trunk.trunk import Trunk
from mdreid_bench.weights.released_format import ReleasedFormat
from protocols.modality import SINGLES, Modality

_ROL = {"paper": orthogonality_paper, "released": orthogonality_released}


class MDReID(SeparableMethod):
    """One specific and one shared vector per modality, decoupled by ROL and KDL (docs/methods/mdreid.md).

    Args:
        trunk: shared by the modalities, with two leading tokens.
        options: see ``MDReIDOptions``.
        identities: number of training identities C.
    """

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = MDReIDRelease()

    def __init__(self, trunk: Trunk, options: MDReIDOptions, identities: int) -> None:
        super().__init__()
        self.trunk, self.options = trunk, options
        self.specific_heads = nn.ModuleDict({str(m): BottleneckHead(trunk.width, identities) for m in SINGLES})
        self.shared_head = BottleneckHead(len(SINGLES) * trunk.width, identities)

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> Method:
        """Build from a configuration; without MDL this is the single-classifier network.

        Raises:
            UsageError: when ROL or KDL is on without MDL.
        """
        options = MDReIDOptions.model_validate(config.options)
        if not options.mdl:
            if options.orthogonality_weight or options.discrepancy_weight:
                raise UsageError(
                    "options.mdl=false leaves nothing to decouple: set options.orthogonality_weight=0 and "
                    "options.discrepancy_weight=0 as well."
                )
            return SingleBranch.build_branch(config, data, identity_weight=options.identity_weight)
        trunk = Trunk.build(config, data.cameras, shared_token=True, tie_shared_token=options.tie_shared_token)
        return cls(trunk, options, data.identities)

    def rate(self, parameter: str) -> Rate:
        """Give the position table the base rate, as the released code does; otherwise the common rule."""
        return "base" if parameter == "trunk.position" else super().rate(parameter)

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return identity and triplet terms of both branches, ROL and KDL (docs/methods/mdreid.md, "Losses")."""
        tokens = {m: represented[str(m)] for m in SINGLES}
        specific = [tokens[m][:, 0] for m in SINGLES]
        shared = torch.cat([tokens[m][:, 1] for m in SINGLES], dim=1)
        terms = self._specific_terms(specific, identity) | self._shared_terms(shared, identity)
        if self.options.orthogonality_weight:
            vectors = torch.cat([torch.stack([tokens[m][:, k] for m in SINGLES], 1) for k in (0, 1)], dim=1)
            terms["orthogonality"] = self.options.orthogonality_weight * _ROL[self.options.rol](vectors)
        if self.options.discrepancy_weight:
            loss = knowledge_discrepancy(torch.cat(specific, dim=1), shared, identity)
            terms["discrepancy"] = self.options.discrepancy_weight * loss
        return terms

    def _specific_terms(self, specific: list[Tensor], identity: Tensor) -> dict[str, Tensor]:
        pairs = list(zip(self.specific_heads.values(), specific, strict=True))
        classified = torch.stack([identity_loss(head(vector), identity) for head, vector in pairs]).sum()
        ranked = torch.stack([soft_margin_triplet(vector, identity) for vector in specific]).sum()
        return {"identity": self.options.identity_weight * classified, "triplet": ranked}

    def _shared_terms(self, shared: Tensor, identity: Tensor) -> dict[str, Tensor]:
        weight = self.options.shared_weight
        classified = identity_loss(self.shared_head(shared), identity)
        return {
            "shared_identity": weight * self.options.identity_weight * classified,
            "shared_triplet": weight * soft_margin_triplet(shared, identity),
        }

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return ``"R"``, ``"N"``, ``"T"`` as present: (B, 2, D), specific before shared."""
        return {str(m): tokens for m, tokens in run_trunk(self.trunk, images, camera).items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the folded vector of the available modalities or a part of it: (B, 4 D), released (B, 6 D)."""
        specific = {m: encoded[str(m)][:, 0].float() for m in available}
        shared = {m: encoded[str(m)][:, 1].float() for m in available}
        fold = fold_paper if self.options.similarity == "paper" else fold_released
        return keep_components(fold(specific, shared, available), self.options.components, self.options.similarity)

    @classmethod
    def derive(cls, embeddings: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Return the specific or the shared part of embeddings of both."""
        return keep_components(embeddings, options["components"], options["similarity"])
