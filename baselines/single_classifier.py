"""Single classifier: row 1 of the MDReID ablation."""

from typing import ClassVar

from pydantic import Field

from mdreid_bench.config.recipes import SINGLE_CLASSIFIER_RECIPES
from mdreid_bench.config.resolve import Recipes
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.method import DataFacts, MethodCard, Options
from mdreid_bench.models.single_branch import Missing, SingleBranch


class SingleClassifierOptions(Options):
    """Options of the single classifier."""

    missing: Missing = Field(default="zero_image", description="what stands in for a missing modality")
    identity_weight: float = Field(default=0.25, ge=0, description="weight of the identity loss")


class SingleClassifier(SingleBranch):
    """The lower reference of the any-to-any study (docs/methods/single-classifier.md)."""

    card: ClassVar[MethodCard] = MethodCard(
        name="single-classifier",
        title="Single classifier",
        paper="MDReID: Modality-Decoupled Learning for Any-to-Any Multi-Modal Object Re-Identification (ablation)",
        venue="NeurIPS 2025",
        url="https://arxiv.org/abs/2510.23301",
        summary="one trunk, one classifier over the concatenated class vectors, nothing decoupled",
    )
    options_model: ClassVar[type[Options]] = SingleClassifierOptions
    recipes: ClassVar[Recipes] = SINGLE_CLASSIFIER_RECIPES
    evaluation_options: ClassVar[frozenset[str]] = frozenset({"missing"})

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> SingleBranch:
        """Build from a configuration."""
        options = SingleClassifierOptions.model_validate(config.options)
        return cls.build_branch(config, data, identity_weight=options.identity_weight, missing=options.missing)
