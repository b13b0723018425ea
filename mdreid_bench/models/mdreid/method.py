"""MDReID: modality-decoupled learning for any-to-any multi-modal object re-identification."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.knowledge_discrepancy import knowledge_discrepancy, partial_knowledge_discrepancy
from mdreid_bench.losses.orthogonality import ideal_similarity, orthogonality_paper, orthogonality_released
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.mdreid.card import CARD, MDReIDOptions
from mdreid_bench.models.mdreid.folding import fold_paper, fold_released, keep_components
from mdreid_bench.models.mdreid.released import MDReIDRelease
from mdreid_bench.models.method import Cameras, DataFacts, Decoupling, Encoded, Images, Method
from mdreid_bench.models.partial import Seen, over_rows, rows_by_subset, seen_in, with_means
from mdreid_bench.models.parts import BottleneckHead
from mdreid_bench.models.released_format import ReleasedFormat
from mdreid_bench.models.trunk.trunk import Trunk, run_trunk
from protocols.modality import Modality

_ROL = {"paper": orthogonality_paper, "released": orthogonality_released}


class MDReID(Method):
    """One specific and one shared vector per modality, decoupled by ROL and KDL (docs/methods/mdreid.md)."""

    card: ClassVar[MethodCard] = CARD
    released: ClassVar[ReleasedFormat | None] = MDReIDRelease()

    def __init__(self, trunk: Trunk, options: MDReIDOptions, data: DataFacts) -> None:
        super().__init__()
        self.trunk, self.options, self.sensors = trunk, options, data.modalities
        self.specific_heads = nn.ModuleDict(
            {str(m): BottleneckHead(trunk.width, data.identities) for m in self.sensors}
        )
        self.shared_head = BottleneckHead(len(self.sensors) * trunk.width, data.identities)

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "MDReID":
        """Build from a configuration."""
        options = MDReIDOptions.model_validate(config.options)
        tied, apart = options.tie_shared_token, options.shared_token_start == "random"
        trunk = Trunk.build(config, data.cameras, shared_token=True, tie_shared_token=tied, random_shared_token=apart)
        return cls(trunk, options, data)

    def backbones(self) -> tuple[Trunk]:
        """Return the shared trunk."""
        return (self.trunk,)

    def pretrained(self) -> Iterable[nn.Parameter]:
        """Leave out the position table, which has the base rate in the released code, and perhaps the tokens."""
        based: list[nn.Parameter | None] = [self.trunk.position]
        if self.options.token_rate == "base":
            based += [self.trunk.class_token, self.trunk.shared_token]
        return (parameter for parameter in super().pretrained() if not any(parameter is own for own in based))

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return identity and triplet terms of both branches, ROL and KDL (docs/methods/mdreid.md, "Losses").

        Where rows lack sensors, see docs/missing-sensors.md, "MDReID".
        """
        seen = seen_in(represented, self.sensors)
        specific, shared = ({m: represented[str(m)][:, kind] for m in self.sensors} for kind in (0, 1))
        joined = torch.cat(list((shared if seen is None else with_means(shared, seen)).values()), dim=1)
        terms = self._specific_terms(specific, identity, seen) | self._shared_terms(joined, identity)
        if self.options.orthogonality_weight:
            terms["orthogonality"] = self.options.orthogonality_weight * self._orthogonality(represented, seen)
        if self.options.discrepancy_weight:
            if seen is None:
                loss = knowledge_discrepancy(torch.cat(list(specific.values()), dim=1), joined, identity)
            else:
                vectors, there = (torch.stack([found[m] for m in self.sensors], dim=1) for found in (specific, seen))
                loss = partial_knowledge_discrepancy(vectors, there, joined, identity)
            terms["discrepancy"] = self.options.discrepancy_weight * loss
        return terms

    def _orthogonality(self, represented: Encoded, seen: Seen | None) -> Tensor:
        """Return ROL; where rows lack sensors, of the vectors that there are: the mean over the rows."""
        loss, parts = _ROL[self.options.rol], self.parts(represented)
        if seen is None:
            return loss(parts)
        terms = []
        for subset, rows in rows_by_subset(seen):
            own = [place for place, m in enumerate(self.sensors) if m in subset]
            places = torch.tensor(own + [len(self.sensors) + place for place in own], device=parts.device)
            terms.append(loss(parts[rows][:, places]) * (len(rows) / len(parts)))
        return torch.stack(terms).sum()

    def _specific_terms(
        self, specific: Mapping[Modality, Tensor], identity: Tensor, seen: Seen | None
    ) -> dict[str, Tensor]:
        def classify(head: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
            return lambda vectors, labels: identity_loss(head(vectors), labels)

        losses = [(m, classify(self.specific_heads[str(m)])) for m in self.sensors]
        if seen is None:
            classified = [loss(specific[m], identity) for m, loss in losses]
            ranked = [soft_margin_triplet(vectors, identity) for vectors in specific.values()]
        else:
            classified = [over_rows(loss, specific[m], identity, seen[m]) for m, loss in losses]
            ranked = [over_rows(soft_margin_triplet, specific[m], identity, seen[m]) for m in self.sensors]
        return {
            "identity": self.options.identity_weight * torch.stack(classified).sum(),
            "triplet": torch.stack(ranked).sum(),
        }

    def _shared_terms(self, shared: Tensor, identity: Tensor) -> dict[str, Tensor]:
        weight = self.options.shared_weight
        classified = identity_loss(self.shared_head(shared), identity)
        return {
            "shared_identity": weight * self.options.identity_weight * classified,
            "shared_triplet": weight * soft_margin_triplet(shared, identity),
        }

    def decoupling(self) -> Decoupling:
        """Name the specific vectors of all sensors and then the shared ones, with ROL's matrix A."""
        names = tuple(f"{kind} {m}" for kind in ("specific", "shared") for m in self.sensors)
        return Decoupling(names, ideal_similarity(len(self.sensors)).numpy())

    def parts(self, encoded: Encoded) -> Tensor:
        """Return the specific vectors and then the shared ones, (B, 2M, D) for M sensors."""
        tokens = [encoded[str(m)] for m in self.sensors]
        return torch.cat([torch.stack([both[:, k] for both in tokens], 1) for k in (0, 1)], dim=1)

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return the same as ``represent``."""
        return self.represent(images, camera)

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return by sensor that is present, ``"R"`` and so on: (B, 2, D), specific before shared."""
        return {str(m): tokens for m, tokens in run_trunk(self.trunk, images, camera).items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the folded vector of the available modalities or a part of it: (B, (n + 1) D) or (B, 2 n D)."""
        specific = {m: encoded[str(m)][:, 0].float() for m in available}
        shared = {m: encoded[str(m)][:, 1].float() for m in available}
        fold = fold_paper if self.options.similarity == "paper" else fold_released
        folded = fold(specific, shared, available, self.sensors)
        return keep_components(folded, self.options.components, self.options.similarity, self.sensors)

    @classmethod
    def derive(cls, embeddings: Tensor, options: Mapping[str, Any], sensors: Modality) -> Tensor:
        """Return the specific or the shared part of embeddings of both."""
        return keep_components(embeddings, options["components"], options["similarity"], sensors)
