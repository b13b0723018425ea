"""A run: one trained method on one dataset, with the keys and the places of all that belongs to it."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import Tree, merge
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.models import registry
from mdreid_bench.models.card import DataFacts, MethodCard
from mdreid_bench.models.weights_path import file_digest, local_weights
from mdreid_bench.results.schema import RunId, placed
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import Scope, Store
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.stage import Stage
from mdreid_bench.wording import arrow
from protocols.corruption import Corruption

if TYPE_CHECKING:
    from mdreid_bench.models.method import Method
    from mdreid_bench.weights.given_weights import GivenWeights


@dataclass(frozen=True)
class Run:
    """One trained method on one dataset, to be evaluated on the full test set or as its index is limited.

    The code of the method is imported once it is asked for: what is stored of a run is found without torch.
    With given weights nothing is trained; ``overrides`` are what the user set, for the record; ``sources`` are other
    datasets that are trained on.
    """

    card: MethodCard
    index: DatasetIndex
    config: RunConfig
    overrides: Tree
    weights: Path | None
    store: Store
    sources: tuple[DatasetIndex, ...] = ()

    @property
    def method(self) -> "type[Method]":
        """The class of the method.

        Raises:
            UsageError: when it does not import or is none.
        """
        return registry.get(self.card.name)

    @property
    def _given(self) -> "GivenWeights":
        """What the given weights are."""
        from mdreid_bench.weights.weights_file import recognise

        assert self.weights is not None
        return recognise(self.weights)

    @property
    def name(self) -> str:
        """Method, datasets, split and seed in words."""
        return f"{self.config.method} on {arrow(self.source_names, self.config.dataset)}{self._repetition}"

    @property
    def title(self) -> str:
        """The same with the titles of method and datasets."""
        sources = tuple(source.card.title for source in self.sources)
        return f"{self.card.title} on {arrow(sources, self.index.card.title)}{self._repetition}"

    @property
    def _repetition(self) -> str:
        split = "" if self.index.split is None else f", split {self.index.split}"
        return f"{split}, seed {self.config.seed}"

    @property
    def source_names(self) -> tuple[str, ...]:
        """The other datasets that were trained on, also by whoever made given weights, as far as these say so."""
        if not self.weights:
            return self.config.sources
        given = self._given
        return given.sources or tuple(name for name in [given.dataset] if name not in (None, self.config.dataset))

    @property
    def facts(self) -> DataFacts:
        """What the method must know of the training data; of those behind the weights, where they are given."""
        if self.weights:
            return self._given.data
        return self.stage.facts

    @property
    def stage(self) -> Stage:
        """What the epochs of its training are drawn from."""
        config = self.config
        return Stage.of(self.card, self.index, self.sources, config.data.missing, config.seed)

    @cached_property
    def training_key(self) -> str:
        """Hash of all that determines the weights."""
        return canonical_hash(self._training_facts(self.config))

    @cached_property
    def run_key(self) -> str:
        """Hash of all that determines the records but the protocol and the limit."""
        return canonical_hash(self._evaluation_facts() | {"training": self.training_key})

    @cached_property
    def config_key(self) -> str:
        """The run key without seed and split: runs that share it are repetitions."""
        training = self._training_facts(self.config.model_copy(update={"seed": 0}))
        facts = self._evaluation_facts() | {"training": training}
        if self.index.split is not None:
            images = canonical_hash(sorted(fact.digest for fact in self.index.facts.values()))
            facts |= {"split": None, "test": images}
            training |= {name: images for name in ("data", "selected_on") if training.get(name) is not None}
            if self.sources:
                training["data"] = [images, *(source.train_fingerprint for source in self.sources)]
        return canonical_hash(facts)

    def _training_facts(self, config: RunConfig) -> dict[str, Any]:
        facts: dict[str, Any] = {"method": config.method, "version": self.card.version}
        tree = config.determining()
        later = self.card.later_options.items()
        tree["options"] = {name: v for name, v in tree["options"].items() if (name, v) not in later}
        if self.weights:
            # A released checkpoint leaves some options and the pixel statistics open.
            free = self.card.evaluation_options
            fixed = {name: v for name, v in tree["options"].items() if name not in free}
            return facts | {"weights": file_digest(self.weights), "options": fixed, "image": tree["image"]}
        if config.selection == "best-test":
            # What is looked at after every epoch decides which weights are kept.
            facts |= {"selected_on": self.index.test_fingerprint, "selected_in": config.evaluation.precision}
        else:
            for name in self.card.evaluation_options:
                tree["options"].pop(name, None)
        if config.init is not None:
            tree["init"] = file_digest(Path(config.init))
        if self.trunk_digest is not None:
            tree["trunk"]["pretrained"] = self.trunk_digest
        return facts | {"config": tree, "data": self.stage.fingerprint if self.card.trains else None}

    def _evaluation_facts(self) -> dict[str, Any]:
        options = {name: self.config.options[name] for name in sorted(self.card.evaluation_options)}
        size = list(self.config.image_size)
        # The whole test set counts, so that limited evaluations lie in the folder of the same run.
        test = self.index.full_test_fingerprint
        facts: dict[str, Any] = {"dataset": self.config.dataset, "test": test, "options": options, "size": size}
        if self.index.split is not None:
            facts["split"] = self.index.split
        if self.feature_batch is not None:
            facts["batch"] = self.feature_batch
        precision = self.config.evaluation.precision
        # What "auto" chose stands in the records: results stay usable on a machine that would choose otherwise.
        return facts if precision == "auto" else facts | {"precision": precision}

    def build(self) -> "Method":
        """Build the method as it is before training; all processes draw the same weights."""
        import torch

        torch.manual_seed(self.config.seed)
        return self.method.build(self.config, self.facts)

    @property
    def training_folder(self) -> TrainingFolder:
        """Where the weights lie."""
        split = "" if self.index.split is None else f"-{self.index.split}"
        dataset = placed(self.config.sources, self.config.dataset)
        name = f"{dataset}-{self.config.method}{split}-s{self.config.seed}-{self.training_key[:10]}"
        return TrainingFolder(self.store.root / "trained" / name)

    @property
    def trains(self) -> bool:
        """Whether its weights come of a training, and are not given."""
        return self.card.trains and not self.weights

    @property
    def must_train(self) -> bool:
        """Whether weights have to be trained because none are given or stored."""
        return self.trains and not self.training_folder.weights.exists()

    @property
    def id(self) -> RunId:
        """What names the run's folder."""
        return RunId(
            dataset=self.config.dataset,
            method=self.config.method,
            preset=self.config.preset,
            seed=self.config.seed,
            split=self.index.split,
            sources=self.source_names,
            run_key=self.run_key,
        )

    @property
    def scope(self) -> Scope:
        """Where the records for this limit lie."""
        return self.store.folder(self.id).scope(self.index.limit)

    @property
    def embeddings(self) -> EmbeddingFolder:
        """Where the embeddings for this limit lie."""
        return EmbeddingFolder(self.scope.embeddings)

    def embeddings_of(self, corruption: Corruption | None) -> EmbeddingFolder:
        """Return where the embeddings of corrupted test images lie, or those of the images as they are."""
        return EmbeddingFolder(self.scope.embeddings_of(corruption))

    @cached_property
    def source(self) -> "Run | None":
        """The run with the same weights from whose embeddings those of this one are derived, if there is one."""
        defining = self.card.derived_from
        options = merge(self.config.options, defining)
        if options == self.config.options:
            return None
        given = dict(self.overrides)
        if "options" in given:
            given["options"] = {name: value for name, value in given["options"].items() if name not in defining}
        found = replace(self, config=self.config.model_copy(update={"options": options}), overrides=given)
        return found if found.training_key == self.training_key else None

    @property
    def embedded(self) -> bool:
        """Whether no image has to be embedded any more, as it is."""
        return self.has_embedded(None)

    def has_embedded(self, corruption: Corruption | None) -> bool:
        """Tell whether no image has to be embedded any more, corrupted like that."""
        stored = self.embeddings_of(corruption).items_file
        return stored.exists() or (self.source is not None and self.source.has_embedded(corruption))

    @cached_property
    def trunk_digest(self) -> str | None:
        """The hash of the file that the trunk starts from; None where no local or shipped file is used."""
        file = None if self.weights else local_weights(self.config.trunk)
        return None if file is None else file_digest(file)

    @property
    def feature_batch(self) -> int | None:
        """How many test items are embedded together, where features depend on that."""
        depends = self.card.batch_dependent(self.config.options)
        return self.config.evaluation.batch_size if depends else None

    @property
    def trunk_label(self) -> str:
        """Name of the trunk and its weights, without folders."""
        trunk = self.config.trunk
        source = self.weights or Path(self.config.init or trunk.pretrained or "random")
        return f"{trunk.name}/{source.name}"
