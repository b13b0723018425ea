"""What commands that train have in common before they plan: arguments, device, data, preset."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import chosen
from mdreid_bench.config.resolve import Overrides
from mdreid_bench.config.tree import Tree
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.processes.device import pick_device
from mdreid_bench.processes.ranks import Ranks
from mdreid_bench.results.store import Store
from mdreid_bench.training.nonfinite import OnNan
from mdreid_bench.weights.weights_file import recognise
from protocols.evaluation import AveragePrecision
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from protocols.suites import Setting, resolve

SMALLEST = "tiny"
RELEASED_PRESET = "paper"
"""Preset that belongs to checkpoints released with a paper."""


@dataclass(frozen=True)
class Arguments:
    """The command line, as typed; ``ablate`` has no use for some of it."""

    datasets: Sequence[str]
    protocols: Sequence[str]
    data_root: Path | None
    preset: str | None
    seeds: Sequence[int]
    epochs: int | None
    device: str
    config: Path | None
    assignments: Sequence[str]
    limit: int | None
    results: Path
    methods: Sequence[str] = ()
    batch_size: int | None = None
    precision: str | None = None
    compile: bool = False
    weights: Path | None = None
    select: str | None = None
    average_precision: AveragePrecision = "standard"
    memory_budget: int = DEFAULT_MEMORY_BUDGET
    shard: str | None = None
    on_nan: OnNan = "stop"
    keep_going: bool = True

    def flags(self) -> Tree:
        """Return the shorthand flags as a configuration tree."""
        tree: Tree = {}
        if self.epochs is not None:
            tree["schedule"] = {"epochs": self.epochs}
        if self.batch_size is not None:
            tree["batch"] = {"size": self.batch_size}
        if self.precision is not None:
            tree["evaluation"] = {"precision": self.precision}
        if self.compile:
            tree["evaluation"] = tree.get("evaluation", {}) | {"compile": True}
        if self.select is not None:
            tree["selection"] = self.select
        return tree

    def overrides(self) -> Overrides:
        """Return what the user set of the configuration."""
        return Overrides(self.config, self.assignments, self.flags())


class Workspace:
    """Where the work is done and what on; data are not read before they are asked for.

    Args:
        arguments: as typed.
        console: to say what was chosen.

    Raises:
        UnknownNameError: for an unknown dataset, protocol or device.
        UsageError: for CUDA where there is none.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        self.arguments, self.console = arguments, console
        self.settings: tuple[Setting, ...] = resolve(arguments.protocols)
        self.dataset_names = chosen(arguments.datasets, datasets.names(), "dataset")
        self.device = pick_device(arguments.device)
        self.ranks = Ranks.join(self.device)
        self.store = Store(arguments.results)

    @property
    def cards(self) -> list[DatasetCard]:
        """What is known of the datasets before they are opened."""
        return [datasets.get(name).card for name in self.dataset_names]

    @cached_property
    def indexes(self) -> list[DatasetIndex]:
        """The datasets, located, checked and limited."""
        found = []
        for name in self.dataset_names:
            location = resolve_data_root(self.arguments.data_root, name, self.console)
            self.console.message(f"Data: {location.reason}")
            index = open_dataset(name, location.root, self.console)
            found.append(index if self.arguments.limit is None else index.limited(self.arguments.limit))
        return found

    @cached_property
    def preset(self) -> str:
        """The preset asked for, or one that suits data and device; opens the datasets."""
        if self.arguments.preset is not None:
            return self.arguments.preset
        if self.arguments.weights and recognise(self.arguments.weights).released:
            self.console.message(f"Preset: {RELEASED_PRESET}, because the weights were released with a paper.")
            return RELEASED_PRESET
        synthetic = any(index.synthetic for index in self.indexes)
        preset = "paper" if self.device.type == "cuda" and not synthetic else SMALLEST
        why = "the data are synthetic" if synthetic else f"the device is {self.device.type} and the data are real"
        self.console.message(f"Preset: {preset}, because {why}; choose another with --preset.")
        return preset
