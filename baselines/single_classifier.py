"""Single classifier: row 1 of the MDReID ablation."""

from typing import ClassVar

from baselines.cards import SINGLE_CLASSIFIER, SingleClassifierOptions
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import DataFacts
from mdreid_bench.models.single_branch import SingleBranch


class SingleClassifier(SingleBranch):
    """The lower reference of the any-to-any study (docs/methods/single-classifier.md)."""

    card: ClassVar[MethodCard] = SINGLE_CLASSIFIER

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> SingleBranch:
        """Build from a configuration."""
        options = SingleClassifierOptions.model_validate(config.options)
        return cls.build_branch(config, data, identity_weight=options.identity_weight, missing=options.missing)
