"""What is looked at: a run under one protocol, its stored embeddings and, where they are to be had, its images."""

from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import UsageError
from mdreid_bench.inspection.compared import Compared
from mdreid_bench.inspection.images import Thumbnails, open_images
from mdreid_bench.progress import Reporter
from mdreid_bench.report.sensors import refused, unserved
from mdreid_bench.report.titles import dataset_title, method_title
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.store import RunFolder, Scope
from protocols.chance import chance
from protocols.suites import Setting, resolve


@dataclass(frozen=True)
class Inspected:
    """A run under one protocol.

    Attributes:
        compared: both sides of the protocol.
        index: the dataset with the images; None without them.
        config: of the run; None without images.
        without: why there are no images, in a few words; empty where there are.
        thumbnails: of the test items.
    """

    folder: RunFolder
    scope: Scope
    facts: RunFacts
    stored: StoredItems
    compared: Compared
    index: DatasetIndex | None
    config: RunConfig | None
    without: str
    thumbnails: Thumbnails

    @classmethod
    def open(
        cls,
        folder: RunFolder,
        scope: Scope,
        protocol: str | None,
        data_root: Path | None,
        reporter: Reporter,
        *,
        images: bool,
        memory_budget: int,
    ) -> "Inspected":
        """Read stored embeddings, and find the images unless nobody wants them.

        Raises:
            UnknownNameError: for an unknown protocol.
            UsageError: for several protocols, or one that dataset or method does not serve.
            DataError: when stored embeddings are missing or damaged, or images are not those of the run.
        """
        facts, embeddings = RunFacts.read(folder.facts), EmbeddingFolder(scope.embeddings)
        setting = setting_of(facts, protocol)
        stored = embeddings.read_items()
        embeddings.check_training(stored, facts.training)
        compared = Compared.read(facts, embeddings, stored, setting, memory_budget)
        index, without = None, "--no-images was given"
        if images:
            index, without = open_images(facts, stored, data_root, reporter)
        config = None if index is None else read_config(folder.config, facts)
        return cls(folder, scope, facts, stored, compared, index, config, without, Thumbnails(index, config))

    @property
    def embeddings(self) -> EmbeddingFolder:
        """Where the vectors lie."""
        return EmbeddingFolder(self.scope.embeddings)

    @property
    def title(self) -> str:
        """What is looked at, in a line."""
        shared = self.facts.shared
        kind = " (SYNTHETIC data)" if shared.data_kind == "synthetic" else ""
        limit = f", limit {self.stored.limit}" if self.stored.limit else ""
        return (
            f"{method_title(shared.method)} on {dataset_title(shared.dataset)}{kind}, {self.compared.setting}{limit}"
        )

    def about(self) -> dict[str, str]:
        """Return the facts that the pictures rest on, by name."""
        compared, measured = self.compared, self.compared.measured
        random = chance(measured.positives, measured.items).summary()
        found, failed = measured.summary(), int((measured.valid & (measured.rank1 < 1)).sum())
        trials = f"the first of {compared.trials} draws" if compared.trials > 1 else "one, of all items"
        return {
            "Run": self.folder.path.name,
            "Protocol": str(compared.setting),
            "Trial": trials,
            "Queries": f"{found.queries} with a right item in the gallery, {found.left_out} without",
            "Gallery": f"{len(compared.gallery)} items",
            "Excluded": _rule(str(compared.exclusion)),
            "mAP": f"{100 * found.mAP:.1f} %, by chance {100 * random.mAP:.1f} %",
            "Failures": f"{failed} queries whose first item is not right ({100 * failed / found.queries:.0f} %)",
        }

    def warnings(self) -> list[str]:
        """Return what must be known to read the pictures."""
        found = []
        if self.facts.shared.data_kind == "synthetic":
            found.append("SYNTHETIC data: images and labels were drawn; they say nothing about the published images.")
        if self.facts.shared.selection == "best-test":
            found.append("The epoch of this run was CHOSEN ON TEST DATA.")
        if self.without:
            left_out = "the images in lists, pairs and maps, and attention"
            found.append(f"Without images, because {self.without}. Left out: {left_out}.")
        return found

    def item(self, row: int) -> str:
        """Return the name of a test item with its labels."""
        labels = self.stored.items.labels
        return f"{self.stored.items.names[row]} (identity {labels.identity[row]}, camera {labels.camera[row]})"


def setting_of(facts: RunFacts, protocol: str | None) -> Setting:
    """Return the one setting that is meant; None stands for the first of the dataset's own.

    Raises:
        UnknownNameError: for an unknown name.
        UsageError: for a suite of several, or a setting that dataset or method does not serve.
    """
    shared = facts.shared
    name = protocol or datasets.get(shared.dataset).card.default_protocols[0]
    settings = resolve([name], facts.modalities)
    if len(settings) != 1:
        raise UsageError(
            f"--protocol {name} stands for {len(settings)} protocols, and inspect shows one, such as {settings[0]}."
        )
    named = [str(settings[0])]
    reason = unserved(shared.dataset, named) or refused(shared.method, shared.options, facts.modalities, named)
    if reason:
        raise UsageError(
            f"--protocol {settings[0]} cannot be shown of {shared.method} on {shared.dataset}: {reason}."
        )
    return settings[0]


def _rule(exclusion: str) -> str:
    same, _, hidden = exclusion.partition("; ")
    rules = {"none": "nothing", "camera": "items of the query's identity from its camera"}
    text = rules.get(same, "items of the query's identity from its scene")
    return f"{text}, and whole cameras ({hidden})" if hidden else text
